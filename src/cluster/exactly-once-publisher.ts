/**
 * Sends the messages of a chain in order and exactly once. Each message states which message must precede it.
 * The servers refuse a message if a different message precedes it.
 */
import type { StreamInfo } from '@nats-io/jetstream'
import { headers } from '@nats-io/transport-node'
import type { Cluster } from './connection.ts'
import { isFence } from './message.ts'
import { MessageBuilder, type OutgoingMessage } from './message-builder.ts'
import { NO_SUMS, SUMS_HEADER } from './message-sums.ts'
import { codeOf, unreachable } from './stream.ts'
import { limitsOf, nextOf, type StreamPosition } from './stream-position.ts'

/** A chain in a stream, and the position where publishing continues. */
export interface ChainInStream {
	readonly chainId: string
	readonly subject: string
	/** Information about the stream that contains the chain. */
	readonly info: StreamInfo
	/** End of the chain in the stream. */
	readonly position: StreamPosition
}

/** Options for building and sending messages. */
export interface PublishOptions {
	readonly stream: string
	/** Size in bytes at which a message is sent. */
	readonly messageBytes: number
	/** Time to wait for an answer from the servers, in milliseconds. */
	readonly ackTimeoutMs: number
	/** Called after each acknowledged message. */
	readonly onAcknowledged: (message: OutgoingMessage) => void
}

/** Opens a builder and a publisher that continue a chain from its end in the stream. */
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
 * Error codes that the servers return if another message is already stored or in flight at the expected
 * position.
 */
const WRONG_LAST_SEQUENCE: readonly (number | undefined)[] = [10_071, 10_164]

/**
 * Maximum number of messages that wait while one is in flight. A waiting message is sent as soon as an answer
 * arrives. The limit bounds memory use.
 */
const AHEAD = 3

const FENCE = { body: new Uint8Array(0), sums: undefined }

interface PutOptions {
	readonly msgID?: string
	/** Whether the message states the sequence that it must follow. Default: true. */
	readonly expectsLast?: boolean
}

/**
 * Publishes messages, one in flight at a time. If a message fails, all later messages fail too, because each
 * message expects the previous one.
 *
 * In a stream with replicas, version 2.9 servers check the sequence that a message expects against the
 * messages that the leader has stored, and do not repeat the check later. A message that is resent before its
 * first copy is stored would therefore be stored twice. (If the servers refused the second copy because of
 * its id, the result would be worse: a server that is killed forgets how many messages it refused, and stores
 * the messages from its log again.) For this reason, the publisher first sends two messages without a body,
 * the fences. If a message is accepted before the first fence is stored, it precedes the second fence. After
 * the first fence is stored, the servers accept no older message. When both fences are stored, an older
 * message is therefore either in the stream or can no longer be stored.
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
	/** Promises of queued messages that have not been awaited yet, oldest first. */
	readonly #open: Promise<void>[] = []

	constructor(cluster: Cluster, { subject, info, position }: ChainInStream, options: PublishOptions) {
		this.#cluster = cluster
		this.#subject = subject
		this.#options = options
		this.#position = position
		this.#expectSeq = position.expectSeq
		this.#needsFence = info.config.num_replicas > 1
	}

	/**
	 * Queues a message. Resolves when another message can be queued.
	 *
	 * @throws The error from publishing an earlier message.
	 */
	async publish(message: OutgoingMessage): Promise<void> {
		this.#last = this.#last.then(() => this.#send(message))
		// A later call throws the error.
		this.#last.catch(() => {})
		this.#open.push(this.#last)
		if (this.#open.length > AHEAD) await this.#open.shift()
	}

	/** Resolves when no message is queued or in flight. @throws The error from publishing a message. */
	settled(): Promise<void> {
		return this.#last
	}

	/**
	 * Resolves when messages from before this publisher can no longer be stored, and the known position is
	 * still the end of the chain.
	 *
	 * @throws {PositionTaken} If other records follow the known position.
	 */
	async fenced(): Promise<void> {
		if (!this.#needsFence) return
		await this.#answered(() => this.#fence())
		this.#needsFence = false
	}

	async #send(message: OutgoingMessage): Promise<void> {
		await this.fenced()
		await this.#answered(async () => {
			// If the servers recognise the id although the stream does not contain the message, the message was
			// deleted. It is sent again without the id.
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

	/** @throws {PositionTaken} If records follow the known position. */
	async #fence(): Promise<void> {
		await this.#put(FENCE, { expectsLast: false })
		await this.#put(FENCE)
		// A new leader may not have all messages yet. It has all of them once it returns the second fence.
		for (let seq = this.#position.lastStreamSeq; seq < this.#expectSeq; ) {
			const message = await nextOf(this.#cluster, this.#options.stream, this.#subject, seq + 1)
			if (message === undefined || !isFence(message)) throw new PositionTaken()
			seq = message.seq
		}
	}

	/** @returns Whether the servers recognised the id and therefore did not store the message. */
	async #put(
		{ body, sums }: Pick<OutgoingMessage, 'body' | 'sums'> | typeof FENCE,
		{ expectsLast = true, ...id }: PutOptions = {},
	): Promise<boolean> {
		const { stream: streamName, ackTimeoutMs: timeout } = this.#options
		// The client adds its own headers to this object.
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
 * Thrown if the stream has another message at the expected position, because an answer was lost or another
 * forwarder was active.
 */
export class PositionTaken extends Error {
	constructor() {
		super('the stream now has another message at this position')
	}
}
