/** Sends the messages of a chain, each once and in order: the servers refuse one that does not come behind the one that it should come behind. */
import { headers } from '@nats-io/transport-node'
import type { Cluster } from './connection.ts'
import { type OutgoingMessage, SUMS_HEADER } from './message.ts'
import { codeOf, unreachable } from './stream.ts'

export interface PublisherOptions {
	readonly stream: string
	/** How long an answer is waited for. */
	readonly ackTimeoutMs: number
}

/** The server has another message behind which this one should come, or has one under way there: somebody has sent meanwhile. */
const WRONG_LAST_SEQUENCE: readonly (number | undefined)[] = [10_071, 10_164]

/** So many messages wait while one is under way: the next one goes the moment that one is answered, and the memory they take is bounded. */
const AHEAD = 3

/** One message at a time is under way. What fails takes those behind it along: each expects the one before it. */
export class Publisher {
	readonly #cluster: Cluster
	readonly #options: PublisherOptions
	readonly #subject: string
	readonly #took: (message: OutgoingMessage) => void
	#streamSeq: number
	#last: Promise<void> = Promise.resolve()
	/** Those that are not known to be acknowledged, oldest first. */
	readonly #open: Promise<void>[] = []

	constructor(
		cluster: Cluster,
		options: PublisherOptions,
		subject: string,
		streamSeq: number,
		took: (message: OutgoingMessage) => void,
	) {
		this.#cluster = cluster
		this.#options = options
		this.#subject = subject
		this.#streamSeq = streamSeq
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

	async #send(message: OutgoingMessage): Promise<void> {
		const head = headers()
		head.set(SUMS_HEADER, JSON.stringify(message.sums))
		const { stream, ackTimeoutMs } = this.#options
		try {
			const { seq, duplicate } = await this.#cluster.client.publish(this.#subject, message.body, {
				msgID: message.id,
				headers: head,
				expect: { streamName: stream, lastSubjectSequence: this.#streamSeq },
				timeout: ackTimeoutMs,
				retries: 0,
			})
			if (duplicate) throw new SentElsewhere()
			this.#streamSeq = seq
			this.#took(message)
		} catch (error) {
			if (WRONG_LAST_SEQUENCE.includes(codeOf(error))) throw new SentElsewhere()
			throw error instanceof SentElsewhere ? error : unreachable(this.#cluster, stream, error)
		}
	}
}

/** What one tried to send, or something else in its place, is there already: an answer was lost, or another forwarder was at work. */
export class SentElsewhere extends Error {
	constructor() {
		super('the stream has something else in this place by now')
	}
}
