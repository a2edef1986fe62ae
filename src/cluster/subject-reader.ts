/**
 * The messages of one subject of a stream, as frames: from any place on to the end it has, or followed. A server that goes
 * away meanwhile is waited for, and reading continues after the last message that was read.
 *
 * Invariant: all messages are of the stream that was found. What is deleted and made again meanwhile ends the read.
 */
import { AckPolicy, DeliverPolicy, type StoredMsg } from '@nats-io/jetstream'
import type { Frame } from '../chain/format/frame.ts'
import { MeshChainError } from '../model/errors.ts'
import { RETRY_MS_MAX, RETRY_MS_MIN } from '../model/limits.ts'
import { Backoff } from '../platform/backoff.ts'
import { wait } from '../platform/wait.ts'
import { type Cluster, isDenied } from './connection.ts'
import { framesOf, isFence, SUMS_HEADER, type Sums, sumsOf } from './message.ts'
import { checkSame, type FoundStream, isNotFound, unreachable } from './stream.ts'
import { newestOf, nextWithRecords } from './stream-position.ts'
import type { ChainSubject } from './subjects.ts'

/** A message that was read. */
export interface StreamMessage {
	readonly subject: string
	readonly streamSeq: number
	/** Those that verify. */
	readonly frames: readonly Frame[]
	/** Nothing else is in it. */
	readonly isWhole: boolean
	readonly sums: Sums | undefined
	readonly bytes: number
}

/** Where a part of a subject begins. */
export interface SubjectPosition {
	/** The place in the stream of its first message, or one before that. */
	readonly from: number
	/** The message before it; undefined where there is none. */
	readonly before: StreamMessage | undefined
}

export interface ReadRange {
	/** Places in the stream, both inclusive. */
	readonly from: number
	readonly to: number
}

/** What is asked for ahead of what is read, at most, by all that are read together: a server cuts off whom it has 64 MiB for. */
const AHEAD_MESSAGES_MAX = 64
const AHEAD_BYTES_MAX = 32 * 1024 * 1024
/** So long a request for messages waits for some before it is made again. */
const REQUEST_MS = 5_000
/** After so long without one the server that had to answer may be gone. */
const SILENCE_MS = 7_000
/** After so long without one a reader that does not follow asks whether there are any left. */
const QUIET_MS = 500
/** A consumer that nobody asks is removed by the servers after so long. */
const INACTIVE_NS = 60 * 1e9
/** So long a read that cannot go on is tried again, after longer and longer waits. */
const PATIENCE_MS = 30_000

export class SubjectReader {
	readonly stream: string
	readonly source: ChainSubject
	readonly #cluster: Cluster
	readonly #found: FoundStream
	readonly #readTogether: number

	/** @param readTogether how many there are of which each is read at the same time. */
	constructor(cluster: Cluster, found: FoundStream, source: ChainSubject, readTogether = 1) {
		this.#cluster = cluster
		this.#found = found
		this.#readTogether = readTogether
		this.stream = found.name
		this.source = source
	}

	/**
	 * The newest message with records; undefined where there is none, or the signal aborts.
	 *
	 * @throws {MeshChainError} `CLUSTER_UNREACHABLE`, `STREAM_NOT_FOUND`, `STREAM_REPLACED`; so do all others.
	 */
	last(signal?: AbortSignal): Promise<StreamMessage | undefined> {
		const { subject } = this.source
		return this.#ask(async () => (await newestOf(this.#cluster, this.stream, subject))?.message, signal)
	}

	/** The first message at a place of the stream or behind it; undefined where there is none. */
	firstFrom(from: number): Promise<StreamMessage | undefined> {
		const { subject } = this.source
		return this.#ask(() => nextWithRecords(this.#cluster, this.stream, subject, from), undefined)
	}

	/** Whether no message is there, not even one without records. */
	async isGone(): Promise<boolean> {
		const { subject } = this.source
		const last = this.#cluster.manager.streams.getMessage(this.stream, { last_by_subj: subject })
		return (
			(await last.catch((error) => Promise.reject(unreachable(this.#cluster, this.stream, error)))) === null
		)
	}

	/**
	 * Finds where a part of the subject begins by bisection: some 20 requests in a long one.
	 *
	 * @param last the newest message.
	 * @param isBefore whether a message comes before that part: true up to some message, and false from there on.
	 */
	async seek(last: StreamMessage, isBefore: (message: StreamMessage) => boolean): Promise<SubjectPosition> {
		if (isBefore(last)) return { from: last.streamSeq + 1, before: last }
		let before: StreamMessage | undefined
		let low = 1
		let high = last.streamSeq
		while (low < high) {
			const middle = Math.floor((low + high) / 2)
			const found = await this.firstFrom(middle)
			if (found === undefined || !isBefore(found)) high = middle
			else {
				low = found.streamSeq + 1
				before = found
			}
		}
		// What comes before the part must not be read again, also where messages went meanwhile.
		return { from: Math.max(low, high), before }
	}

	/** What is there of a range. */
	read(range: ReadRange, signal?: AbortSignal): AsyncGenerator<StreamMessage> {
		return this.#read(range, false, signal)
	}

	/** What is there, and then what comes, until the signal aborts. */
	follow(from: number, signal: AbortSignal): AsyncGenerator<StreamMessage> {
		return this.#read({ from, to: Number.POSITIVE_INFINITY }, true, signal)
	}

	/** The stream's leader, who has everything that was acknowledged. While there is none it is waited for. */
	async #ask(
		ask: () => Promise<StoredMsg | undefined>,
		signal: AbortSignal | undefined,
	): Promise<StreamMessage | undefined> {
		const { connection } = this.#cluster
		const beganMs = performance.now()
		const backoff = new Backoff(RETRY_MS_MIN, RETRY_MS_MAX)
		while (!signal?.aborted) {
			try {
				const message = await ask()
				if (message === undefined) return undefined
				return this.#toFrame(message.seq, message.data, message.header?.get(SUMS_HEADER))
			} catch (error) {
				if (isNotFound(error)) await checkSame(this.#cluster, this.#found)
				if (isDenied(error) || performance.now() - beganMs > PATIENCE_MS || connection.isClosed())
					throw unreachable(this.#cluster, this.stream, error)
				await wait(backoff.next(), signal)
			}
		}
		return undefined
	}

	async *#read(
		{ from, to }: ReadRange,
		follows: boolean,
		signal: AbortSignal | undefined,
	): AsyncGenerator<StreamMessage> {
		let next = from
		let cameMs = performance.now()
		const backoff = new Backoff(RETRY_MS_MIN, RETRY_MS_MAX)
		while (!signal?.aborted) {
			if (next > to) return
			try {
				for await (const frame of this.#attempt({ from: next, to }, follows, signal)) {
					next = frame.streamSeq + 1
					backoff.reset()
					yield frame
					cameMs = performance.now()
				}
			} catch (error) {
				const isOver = performance.now() - cameMs > PATIENCE_MS || this.#cluster.connection.isClosed()
				if (isGone(error)) throw error
				if (isDenied(error) || (isOver && !follows)) throw unreachable(this.#cluster, this.stream, error)
				await wait(backoff.next(), signal)
				continue
			}
			if (follows) continue
			if (next > to) return
			// A consumer is at any of the servers, which may be behind the others: it ends where the leader says so.
			const left = await this.firstFrom(next)
			await checkSame(this.#cluster, this.#found)
			if (left === undefined || left.streamSeq > to) return
			next = left.streamSeq + 1
			yield left
			cameMs = performance.now()
		}
	}

	/** With a consumer of its own, for as long as that is there. */
	async *#attempt(
		{ from, to }: ReadRange,
		follows: boolean,
		signal: AbortSignal | undefined,
	): AsyncGenerator<StreamMessage> {
		const { manager, client } = this.#cluster
		const adding = manager.consumers.add(this.stream, {
			filter_subject: this.source.subject,
			ack_policy: AckPolicy.None,
			deliver_policy: DeliverPolicy.StartSequence,
			opt_start_seq: Math.max(1, from),
			inactive_threshold: INACTIVE_NS,
			mem_storage: true,
			num_replicas: 1,
		})
		const made = await adding.catch(async (error) => {
			if (isNotFound(error)) await checkSame(this.#cluster, this.#found)
			throw error
		})
		let denied: Error | undefined
		let stop = () => {}
		const unwatch = this.#cluster.onDenied((error) => {
			if (!isDenied(error, made.name)) return
			denied = error
			stop()
		})
		try {
			// Asked after the consumer is there: so it is one of the stream that was found.
			await checkSame(this.#cluster, this.#found)
			if (made.num_pending === 0 && !follows) return
			const consumer = client.consumers.getConsumerFromInfo(made)
			let delivered = 0
			while (!signal?.aborted) {
				const messages = await consumer.consume({
					max_messages: this.#ahead,
					expires: REQUEST_MS,
					abort_on_missing_resource: true,
				})
				stop = () => messages.stop()
				const before = delivered
				let isOver = false
				/** Messages that were to come may have been removed: then the server has nothing left to send. */
				const lookForEnd = async () => {
					const known = delivered
					const state = await consumer.info().catch(() => undefined)
					if (isOver || delivered !== known) return
					silence = setTimeout(stop, SILENCE_MS - QUIET_MS)
					if (state?.num_pending === 0 && state.delivered.consumer_seq === delivered) stop()
				}
				const watch = () => (follows ? setTimeout(stop, SILENCE_MS) : setTimeout(lookForEnd, QUIET_MS))
				let silence = watch()
				signal?.addEventListener('abort', stop)
				try {
					for await (const message of messages) {
						clearTimeout(silence)
						// What was on its way when a connection was lost does not come again.
						if (message.info.deliverySequence !== ++delivered)
							throw new Error('a message was lost on its way')
						if (message.seq > to) return
						const cameMs = performance.now()
						if (!isFence(message))
							yield this.#toFrame(message.seq, message.data, message.headers?.get(SUMS_HEADER))
						if (!follows && (message.info.pending === 0 || message.seq === to)) return
						// Behind a reader's back the client would ask again and again, for what all comes at once then.
						if (performance.now() - cameMs > REQUEST_MS) return
						silence = watch()
					}
					// Nothing comes any more: is it still there, and has it come to its end?
					if (denied !== undefined) throw denied
					const { num_pending: pending } = await consumer.info()
					if (pending === 0 && !follows) return
					if (pending > 0 && delivered === before) throw new Error('it delivers no messages')
				} finally {
					isOver = true
					clearTimeout(silence)
					signal?.removeEventListener('abort', stop)
					stop()
				}
			}
		} finally {
			unwatch()
			await manager.consumers.delete(this.stream, made.name).catch(() => {})
		}
	}

	/** Two at least: one that is read, and one that comes. */
	get #ahead(): number {
		const { max_payload: bytesMax = AHEAD_BYTES_MAX } = this.#cluster.connection.info ?? {}
		const ahead = Math.min(AHEAD_MESSAGES_MAX, AHEAD_BYTES_MAX / bytesMax) / this.#readTogether
		return Math.max(2, Math.floor(ahead))
	}

	#toFrame(streamSeq: number, body: Uint8Array, sums: string | undefined): StreamMessage {
		const { subject, chainId } = this.source
		return {
			subject,
			streamSeq,
			...framesOf(body, chainId),
			sums: sumsOf(sums),
			bytes: body.byteLength,
		}
	}
}

/** Whether the stream that is read is there no more: no waiting brings it back. */
function isGone(error: unknown): boolean {
	return (
		error instanceof MeshChainError && (error.code === 'STREAM_REPLACED' || error.code === 'STREAM_NOT_FOUND')
	)
}
