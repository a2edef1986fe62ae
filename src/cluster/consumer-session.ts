/**
 * Reads a range of messages with one consumer on the servers. A session creates the consumer, yields the
 * messages in the range in order, and removes the consumer. It ends after the last message in the range, or
 * when the server that delivers the messages appears to be unreachable. A session never resumes. Instead, the
 * reader opens a new session that starts after the last message that it received.
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

/** A range of stream sequences, inclusive at both ends. */
export interface ReadRange {
	readonly from: number
	readonly to: number
}

/** Options of a session. */
export interface SessionOptions {
	readonly range: ReadRange
	/** Whether the session waits for messages that are published later. */
	readonly follows: boolean
	/** Number of messages to request ahead of the current one. */
	readonly messagesAhead: number
	/** Signal that ends the session. */
	readonly signal: AbortSignal | undefined
}

/** Time after which a request for messages is repeated. */
const REQUEST_MS = 5_000
/** Time without a message after which the server is assumed to be unreachable. */
const SILENCE_MS = 7_000
/**
 * Time without a message after which a session checks whether any messages are left, unless it follows the
 * subject.
 */
const QUIET_MS = 500
/** Time without a request after which the servers remove a consumer, in nanoseconds. */
const INACTIVE_NS = 60 * 1e9

/** A session with one consumer on the servers. It can be used only once. */
export class ConsumerSession {
	readonly #cluster: Cluster
	readonly #found: FoundStream
	readonly #subject: string
	readonly #options: SessionOptions
	/** Number of messages received so far, which equals the delivery sequence of the last one. */
	#delivered = 0
	/** Permission error that the servers reported for this consumer. */
	#denied: Error | undefined
	/** Messages from the current request. */
	#messages: ConsumerMessages | undefined
	#silence: NodeJS.Timeout | undefined

	constructor(cluster: Cluster, found: FoundStream, subject: string, options: SessionOptions) {
		this.#cluster = cluster
		this.#found = found
		this.#subject = subject
		this.#options = options
	}

	/**
	 * Yields the messages that contain records, in order.
	 *
	 * @throws Errors from the client or from {@link checkSame}, or an `Error` if a message was lost in transit
	 * or the consumer delivers nothing.
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
			// Checking the stream after creating the consumer ensures that the consumer belongs to the stream that
			// was found.
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

	/** Yields messages until the request stops. Returns true if the session must end. */
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
				// The server does not resend a message that was in transit when the connection was lost.
				if (message.info.deliverySequence !== ++this.#delivered)
					throw new Error('a message was lost in transit')
				if (message.seq > this.#options.range.to) return true
				const cameMs = performance.now()
				if (!isFence(message)) yield message
				if (this.#isLast(message)) return true
				// While the caller is busy, the client keeps repeating its request, and all the answers then arrive
				// at once. To avoid this, the session ends.
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

	/**
	 * Returns whether the consumer has delivered all messages that the session must yield. Called after the
	 * server stops sending.
	 *
	 * @throws An error if the consumer no longer exists, lacks a permission, or delivers nothing.
	 */
	async #isComplete(consumer: Consumer, hasDelivered: boolean): Promise<boolean> {
		if (this.#denied !== undefined) throw this.#denied
		const { num_pending: pending } = await consumer.info()
		if (pending === 0 && !this.#options.follows) return true
		if (pending > 0 && !hasDelivered) throw new Error('the consumer delivers no messages')
		return false
	}

	#watchSilence(consumer: Consumer, messages: ConsumerMessages): void {
		this.#silence = this.#options.follows
			? setTimeout(() => this.#stop(), SILENCE_MS)
			: setTimeout(() => void this.#stopAtEnd(consumer, messages), QUIET_MS)
	}

	/**
	 * Stops if the server has nothing left to send because the pending messages were removed from the stream.
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
