/**
 * One consumer of a subject, from its creation on the servers to its removal. It delivers the messages of a
 * range in order and ends with the range, or when the server that has to deliver may be gone. It never
 * resumes: the reader opens another session after the last message that it has.
 */
import {
	AckPolicy,
	type Consumer,
	type ConsumerInfo,
	type ConsumerMessages,
	DeliverPolicy,
	type JsMsg,
} from '@nats-io/jetstream'
import { type Cluster, isDenied } from './connection.ts'
import { isFence } from './message.ts'
import { checkSame, type FoundStream, isNotFound } from './stream.ts'

/** A range of stream sequences, both inclusive. */
export interface ReadRange {
	readonly from: number
	readonly to: number
}

/** What a session reads, and how. */
export interface SessionOptions {
	readonly range: ReadRange
	/** Whether the session waits for messages that are published later. */
	readonly follows: boolean
	/** Messages to request ahead of the one that is being read. */
	readonly messagesAhead: number
	/** Ends the session. */
	readonly signal: AbortSignal | undefined
}

/** How long a request for messages waits before it is made again. */
const REQUEST_MS = 5_000
/** After this silence the server that had to answer may be gone. */
const SILENCE_MS = 7_000
/** After this silence a session that does not follow asks whether any messages are left. */
const QUIET_MS = 500
/** The servers remove a consumer that nobody has asked for this long. */
const INACTIVE_NS = 60 * 1e9

/** A consumer on the servers, used once. */
export class ConsumerSession {
	readonly #cluster: Cluster
	readonly #found: FoundStream
	readonly #subject: string
	readonly #options: SessionOptions
	/** Messages delivered so far, by the count of the servers. */
	#delivered = 0
	/** What the servers did not permit to this consumer. */
	#denied: Error | undefined
	/** Messages of the request in progress. */
	#messages: ConsumerMessages | undefined
	#silence: NodeJS.Timeout | undefined

	constructor(cluster: Cluster, found: FoundStream, subject: string, options: SessionOptions) {
		this.#cluster = cluster
		this.#found = found
		this.#subject = subject
		this.#options = options
	}

	/**
	 * Yields the messages with records, in order.
	 *
	 * @throws what the client throws; an `Error` where a message was lost on its way.
	 */
	async *messages(): AsyncGenerator<JsMsg> {
		const { manager, client } = this.#cluster
		const info = await this.#create()
		const unwatch = this.#cluster.onDenied((error) => {
			if (!isDenied(error, info.name)) return
			this.#denied = error
			this.#stop()
		})
		try {
			// Checked after the consumer exists, so that the consumer is one of the stream that was found.
			await checkSame(this.#cluster, this.#found)
			if (info.num_pending === 0 && !this.#options.follows) return
			const consumer = client.consumers.getConsumerFromInfo(info)
			while (!this.#options.signal?.aborted) {
				const before = this.#delivered
				if (yield* this.#consume(consumer)) return
				if (await this.#isComplete(consumer, this.#delivered > before)) return
			}
		} finally {
			unwatch()
			await manager.consumers.delete(this.#stream, info.name).catch(() => {})
		}
	}

	get #stream(): string {
		return this.#found.name
	}

	async #create(): Promise<ConsumerInfo> {
		const adding = this.#cluster.manager.consumers.add(this.#stream, {
			filter_subject: this.#subject,
			ack_policy: AckPolicy.None,
			deliver_policy: DeliverPolicy.StartSequence,
			opt_start_seq: Math.max(1, this.#options.range.from),
			inactive_threshold: INACTIVE_NS,
			mem_storage: true,
			num_replicas: 1,
		})
		return adding.catch(async (error) => {
			if (isNotFound(error)) await checkSame(this.#cluster, this.#found)
			throw error
		})
	}

	/** Yields messages until the server falls silent; returns whether the session has ended before that. */
	async *#consume(consumer: Consumer): AsyncGenerator<JsMsg, boolean> {
		const { messagesAhead, signal } = this.#options
		const messages = await consumer.consume({
			max_messages: messagesAhead,
			expires: REQUEST_MS,
			abort_on_missing_resource: true,
		})
		this.#messages = messages
		const stop = () => this.#stop()
		this.#watchSilence(consumer, messages)
		signal?.addEventListener('abort', stop)
		try {
			for await (const message of messages) {
				clearTimeout(this.#silence)
				// A message that was on its way when a connection was lost is not delivered again.
				if (message.info.deliverySequence !== ++this.#delivered)
					throw new Error('a message was lost on its way')
				if (message.seq > this.#options.range.to) return true
				const cameMs = performance.now()
				if (!isFence(message)) yield message
				if (this.#isLast(message)) return true
				// While the caller is busy, the client would repeat its request, and all answers would come at once.
				if (performance.now() - cameMs > REQUEST_MS) return true
				this.#watchSilence(consumer, messages)
			}
			return false
		} finally {
			this.#messages = undefined
			clearTimeout(this.#silence)
			signal?.removeEventListener('abort', stop)
			messages.stop()
		}
	}

	#isLast({ seq, info }: JsMsg): boolean {
		const { follows, range } = this.#options
		return !follows && (info.pending === 0 || seq === range.to)
	}

	/** Asks, after a silence, whether the consumer still exists and has delivered everything. */
	async #isComplete(consumer: Consumer, hasDelivered: boolean): Promise<boolean> {
		if (this.#denied !== undefined) throw this.#denied
		const { num_pending: pending } = await consumer.info()
		if (pending === 0 && !this.#options.follows) return true
		if (pending > 0 && !hasDelivered) throw new Error('it delivers no messages')
		return false
	}

	#watchSilence(consumer: Consumer, messages: ConsumerMessages): void {
		this.#silence = this.#options.follows
			? setTimeout(() => this.#stop(), SILENCE_MS)
			: setTimeout(() => void this.#stopAtEnd(consumer, messages), QUIET_MS)
	}

	/**
	 * Stops when the server has nothing left to send, because pending messages have been removed from the
	 * stream.
	 */
	async #stopAtEnd(consumer: Consumer, messages: ConsumerMessages): Promise<void> {
		const known = this.#delivered
		const state = await consumer.info().catch(() => undefined)
		if (this.#messages !== messages || this.#delivered !== known) return
		this.#silence = setTimeout(() => this.#stop(), SILENCE_MS - QUIET_MS)
		if (state?.num_pending === 0 && state.delivered.consumer_seq === known) this.#stop()
	}

	#stop(): void {
		this.#messages?.stop()
	}
}
