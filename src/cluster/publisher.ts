/**
 * Sends the messages of a chain in order, each once: the servers refuse a message that does not follow the
 * one that it expects.
 */
import type { StreamInfo } from '@nats-io/jetstream'
import { headers } from '@nats-io/transport-node'
import type { Cluster } from './connection.ts'
import { isFence } from './message.ts'
import { MessageBuilder, type OutgoingMessage } from './message-builder.ts'
import { NO_SUMS, SUMS_HEADER } from './message-sums.ts'
import { codeOf, unreachable } from './stream.ts'
import { limitsOf, nextOf, type StreamPosition } from './stream-position.ts'

/** A chain in a stream, to be continued there. */
export interface ChainInStream {
	readonly chainId: string
	readonly subject: string
	/** Stream that holds the chain. */
	readonly info: StreamInfo
	/** End of the chain in the stream. */
	readonly position: StreamPosition
}

/** How messages are built and sent. */
export interface PublishOptions {
	readonly stream: string
	/** Size at which a message is sent. */
	readonly messageBytes: number
	/** How long to wait for an answer. */
	readonly ackTimeoutMs: number
	/** Called after each acknowledged message. */
	readonly onAcknowledged: (message: OutgoingMessage) => void
}

/** Opens a builder and a publisher that continue a chain at its end in the stream. */
export function openPublisher(
	cluster: Cluster,
	chain: ChainInStream,
	options: PublishOptions,
): { readonly builder: MessageBuilder; readonly publisher: Publisher } {
	const { chainId, info, position } = chain
	const limits = limitsOf(cluster, info, options.messageBytes)
	return {
		builder: new MessageBuilder(chainId, limits, position.last?.sums ?? NO_SUMS),
		publisher: new Publisher(cluster, chain, options),
	}
}

/**
 * Codes of the servers: another message stands, or is in flight, where this one should follow. Another
 * program has sent it.
 */
const WRONG_LAST_SEQUENCE: readonly (number | undefined)[] = [10_071, 10_164]

/**
 * Messages that wait while one is in flight: the next one is sent as soon as an answer arrives, and memory
 * stays bounded.
 */
const AHEAD = 3

const FENCE = { body: new Uint8Array(0), sums: undefined }

interface PutOptions {
	readonly msgID?: string
	/** Whether the message names the sequence that it must follow. Default: true. */
	readonly expectsLast?: boolean
}

/**
 * Has one message in flight at a time. A failure fails the messages after it too, because each expects the
 * one before it.
 *
 * In a stream with replicas, servers of version 2.9 compare what a message expects with what the leader has
 * stored, and never again: a message that is repeated while its first copy is not stored yet would be stored
 * twice. (Refusing it by its id would be worse: a server that is killed forgets how many messages were
 * refused, and stores again what it finds in its log.) So two messages without a body, the fences, precede
 * the first message. Whatever was accepted before the first fence was stored stands before the second one,
 * and nothing older is accepted after it: once both are stored, the stream shows whether anything was in
 * flight.
 */
export class Publisher {
	readonly #cluster: Cluster
	readonly #subject: string
	readonly #options: PublishOptions
	readonly #position: StreamPosition
	/** Sequence that the next message must expect. */
	#expectSeq: number
	#needsFence: boolean
	#last: Promise<void> = Promise.resolve()
	/** Messages that are not known to be acknowledged, oldest first. */
	readonly #open: Promise<void>[] = []

	constructor(cluster: Cluster, { subject, info, position }: ChainInStream, options: PublishOptions) {
		this.#cluster = cluster
		this.#subject = subject
		this.#options = options
		this.#position = position
		this.#expectSeq = position.expectSeq
		this.#needsFence = info.config.num_replicas > 1
	}

	/** Resolves when there is room for another message. @throws what an earlier message failed with. */
	async publish(message: OutgoingMessage): Promise<void> {
		this.#last = this.#last.then(() => this.#send(message))
		// The next call throws it.
		this.#last.catch(() => {})
		this.#open.push(this.#last)
		if (this.#open.length > AHEAD) await this.#open.shift()
	}

	/** Resolves when no message is in flight. @throws what a message failed with. */
	settled(): Promise<void> {
		return this.#last
	}

	/**
	 * Resolves when nothing older is in flight and the known position holds.
	 *
	 * @throws {PositionTaken} where it does not hold.
	 */
	async fenced(): Promise<void> {
		if (!this.#needsFence) return
		await this.#answered(() => this.#fence())
		this.#needsFence = false
	}

	async #send(message: OutgoingMessage): Promise<void> {
		await this.fenced()
		await this.#answered(async () => {
			// A known id without its message is that of a message that was deleted.
			if (await this.#put(message, { msgID: message.id })) await this.#put(message)
		})
		this.#options.onAcknowledged(message)
	}

	async #answered(ask: () => Promise<void>): Promise<void> {
		try {
			await ask()
		} catch (error) {
			if (WRONG_LAST_SEQUENCE.includes(codeOf(error))) throw new PositionTaken()
			throw error instanceof PositionTaken ? error : unreachable(this.#cluster, this.#options.stream, error)
		}
	}

	/** @throws {PositionTaken} where records stand after the known position. */
	async #fence(): Promise<void> {
		await this.#put(FENCE, { expectsLast: false })
		await this.#put(FENCE)
		// A new leader may not have all messages yet; it has them once it shows the second fence.
		for (let seq = this.#position.lastStreamSeq; seq < this.#expectSeq; ) {
			const message = await nextOf(this.#cluster, this.#options.stream, this.#subject, seq + 1)
			if (message === undefined || !isFence(message)) throw new PositionTaken()
			seq = message.seq
		}
	}

	/** @returns Whether the servers know the id, and have not stored the message. */
	async #put(
		{ body, sums }: Pick<OutgoingMessage, 'body' | 'sums'> | typeof FENCE,
		{ expectsLast = true, ...id }: PutOptions = {},
	): Promise<boolean> {
		const { stream: streamName, ackTimeoutMs: timeout } = this.#options
		// The client adds headers of its own.
		const head = headers()
		if (sums !== undefined) head.set(SUMS_HEADER, JSON.stringify(sums))
		const { seq, duplicate } = await this.#cluster.client.publish(this.#subject, body, {
			...id,
			headers: head,
			expect: expectsLast ? { streamName, lastSubjectSequence: this.#expectSeq } : { streamName },
			timeout,
			retries: 0,
		})
		if (!duplicate) this.#expectSeq = seq
		return duplicate
	}
}

/**
 * The stream holds something else where a message should go: an answer was lost, or another forwarder was at
 * work.
 */
export class PositionTaken extends Error {
	constructor() {
		super('the stream now has another message at this position')
	}
}
