/** Sends the messages of a chain, each once and in order: the servers refuse one that does not come behind the one that it should come behind. */
import { headers } from '@nats-io/transport-node'
import type { Cluster } from './connection.ts'
import { isFence, type OutgoingMessage, SUMS_HEADER } from './message.ts'
import { codeOf, unreachable } from './stream.ts'
import { nextOf, type StreamPosition } from './stream-position.ts'

export interface PublisherOptions {
	readonly stream: string
	/** How long an answer is waited for. */
	readonly ackTimeoutMs: number
}

/** The server has another message behind which this one should come, or has one under way there: somebody has sent meanwhile. */
const WRONG_LAST_SEQUENCE: readonly (number | undefined)[] = [10_071, 10_164]

/** So many messages wait while one is under way: the next one goes the moment that one is answered, and the memory they take is bounded. */
const AHEAD = 3

const FENCE = { body: new Uint8Array(0), sums: undefined }

/**
 * One message at a time is under way. What fails takes those behind it along: each expects the one before it.
 *
 * Where a stream has replicas, servers of version 2.9 compare what a message expects with what the leader has stored, and never again: a message that is sent once
 * more while the first one is not stored yet would be stored beside it. (Were it refused for its id, it would be worse: a server that is killed has forgotten how many were
 * refused, and stores again what it finds in its log.) So before the first message there go two without a body, the fences. What was accepted before the first one
 * was stored comes before the second one, and nothing older is accepted behind that: when both are stored, the stream shows whether anything was under way.
 */
export class Publisher {
	readonly #cluster: Cluster
	readonly #options: PublisherOptions
	readonly #subject: string
	readonly #took: (message: OutgoingMessage) => void
	readonly #place: StreamPosition
	/** What the next message must expect before it. */
	#expectSeq: number
	#needsFence: boolean
	#last: Promise<void> = Promise.resolve()
	/** Those that are not known to be acknowledged, oldest first. */
	readonly #open: Promise<void>[] = []

	/** @param isReplicated whether the stream is on several servers. */
	constructor(
		cluster: Cluster,
		options: PublisherOptions,
		subject: string,
		place: StreamPosition,
		isReplicated: boolean,
		took: (message: OutgoingMessage) => void,
	) {
		this.#cluster = cluster
		this.#options = options
		this.#subject = subject
		this.#place = place
		this.#expectSeq = place.expectSeq
		this.#needsFence = isReplicated
		this.#took = took
	}

	/** Resolves when there is room for another one. @throws what any before it failed with. */
	async publish(message: OutgoingMessage): Promise<void> {
		this.#last = this.#last.then(() => this.#send(message))
		// Whoever comes next hears of it.
		this.#last.catch(() => {})
		this.#open.push(this.#last)
		if (this.#open.length > AHEAD) await this.#open.shift()
	}

	/** Resolves when none is under way. */
	settled(): Promise<void> {
		return this.#last
	}

	/** Resolves when nothing older is under way, and the place that is known holds. @throws {SentElsewhere} where it does not. */
	async fenced(): Promise<void> {
		if (!this.#needsFence) return
		await this.#answered(() => this.#fence())
		this.#needsFence = false
	}

	async #send(message: OutgoingMessage): Promise<void> {
		await this.fenced()
		await this.#answered(async () => {
			// An id that is known, of a message that is not there, is that of one that somebody has deleted.
			if (await this.#put(message, { msgID: message.id })) await this.#put(message)
		})
		this.#took(message)
	}

	async #answered(ask: () => Promise<void>): Promise<void> {
		try {
			await ask()
		} catch (error) {
			if (WRONG_LAST_SEQUENCE.includes(codeOf(error))) throw new SentElsewhere()
			throw error instanceof SentElsewhere ? error : unreachable(this.#cluster, this.#options.stream, error)
		}
	}

	/** @throws {SentElsewhere} where records have come behind the place that is known. */
	async #fence(): Promise<void> {
		await this.#put(FENCE, {}, false)
		await this.#put(FENCE)
		// A leader that is new may not have all of it yet: it has, once it shows the second fence.
		for (let seq = this.#place.lastStreamSeq; seq < this.#expectSeq; ) {
			const message = await nextOf(this.#cluster, this.#options.stream, this.#subject, seq + 1)
			if (message === undefined || !isFence(message)) throw new SentElsewhere()
			seq = message.seq
		}
	}

	/** @returns whether the servers know its id, and have not stored it. */
	async #put(
		{ body, sums }: Pick<OutgoingMessage, 'body' | 'sums'> | typeof FENCE,
		id: { readonly msgID?: string } = {},
		expects = true,
	): Promise<boolean> {
		const { stream: streamName, ackTimeoutMs: timeout } = this.#options
		// The client adds its own to it.
		const head = headers()
		if (sums !== undefined) head.set(SUMS_HEADER, JSON.stringify(sums))
		const { seq, duplicate } = await this.#cluster.client.publish(this.#subject, body, {
			...id,
			headers: head,
			expect: expects ? { streamName, lastSubjectSequence: this.#expectSeq } : { streamName },
			timeout,
			retries: 0,
		})
		if (!duplicate) this.#expectSeq = seq
		return duplicate
	}
}

/** What one tried to send, or something else in its place, is there already: an answer was lost, or another forwarder was at work. */
export class SentElsewhere extends Error {
	constructor() {
		super('the stream has something else in this place by now')
	}
}
