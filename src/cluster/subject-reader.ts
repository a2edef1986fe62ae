/**
 * Reads the messages of one subject from any position. A read ends at the end of the subject, or follows the
 * subject as it grows. If a server becomes unavailable, the reader waits, and then continues after the last
 * message that it read.
 *
 * Invariant: all messages belong to the stream that was found. A read fails if that stream is deleted and
 * created again.
 */
import type { StoredMsg } from '@nats-io/jetstream'
import { MeshChainError } from '../model/errors.ts'
import { RETRY_MS_MAX, RETRY_MS_MIN } from '../model/limits.ts'
import { Backoff } from '../platform/backoff.ts'
import { wait } from '../platform/wait.ts'
import { type Cluster, isDenied } from './connection.ts'
import { ConsumerSession, type ReadRange } from './consumer-session.ts'
import { framesOf, type MessageFrames } from './message.ts'
import { parseSums, SUMS_HEADER, type Sums } from './message-sums.ts'
import { checkSame, type FoundStream, isNotFound, unreachable } from './stream.ts'
import { newestOf, nextWithRecords } from './stream-position.ts'
import type { ChainSubject } from './subjects.ts'

/** A message that was read. */
export interface StreamMessage extends MessageFrames {
	readonly subject: string
	readonly streamSeq: number
	/** Sums of the chain up to and including this message; undefined if the message has none. */
	readonly sums: Sums | undefined
	/** Length of the body, in bytes. */
	readonly bytes: number
}

/** The starting position for reading a subject. */
export interface SubjectPosition {
	/** First stream sequence to read. It is after `previous`, and at or before the first message to read. */
	readonly from: number
	/** Last message before the position; undefined if there is none. */
	readonly previous: StreamMessage | undefined
}

interface ReadOptions {
	readonly follows: boolean
	readonly signal: AbortSignal | undefined
}

/**
 * Limits on the number and total size of messages that all readers together request ahead. A server
 * disconnects a client when 64 MiB are pending for that client.
 */
const AHEAD_MESSAGES_MAX = 64
const AHEAD_BYTES_MAX = 32 * 1024 * 1024
/** Maximum time for which a failing read is retried. */
const PATIENCE_MS = 30_000

/** A reader of one subject. */
export class SubjectReader {
	readonly stream: string
	readonly source: ChainSubject
	readonly #cluster: Cluster
	readonly #found: FoundStream
	readonly #readTogether: number

	/** @param readTogether Number of subjects that are read at the same time. */
	constructor(cluster: Cluster, found: FoundStream, source: ChainSubject, readTogether = 1) {
		this.#cluster = cluster
		this.#found = found
		this.#readTogether = readTogether
		this.stream = found.name
		this.source = source
	}

	/**
	 * Returns the newest message with records, or undefined if there is none or the signal aborts.
	 *
	 * @throws {MeshChainError} `CLUSTER_UNREACHABLE`, `STREAM_NOT_FOUND`, `STREAM_REPLACED`. All other methods
	 * throw the same errors.
	 */
	last(signal?: AbortSignal): Promise<StreamMessage | undefined> {
		const { subject } = this.source
		return this.#ask(async () => (await newestOf(this.#cluster, this.stream, subject))?.message, signal)
	}

	/** Returns the first message with records at or after a stream sequence, or undefined if there is none. */
	firstFrom(from: number): Promise<StreamMessage | undefined> {
		const { subject } = this.source
		return this.#ask(() => nextWithRecords(this.#cluster, this.stream, subject, from), undefined)
	}

	/** Returns whether the subject has no messages at all, not even messages without records. */
	async isEmpty(): Promise<boolean> {
		const { subject } = this.source
		try {
			const { streams } = this.#cluster.manager
			return (await streams.getMessage(this.stream, { last_by_subj: subject })) === null
		} catch (error) {
			throw unreachable(this.#cluster, this.stream, error)
		}
	}

	/**
	 * Finds the starting position for a read. Uses bisection, which takes about 20 requests for a long subject.
	 *
	 * @param last Newest message of the subject.
	 * @param isBefore Function that returns whether a message precedes the position. It must return true for
	 * all messages up to some point, and false for all later messages.
	 */
	async seek(last: StreamMessage, isBefore: (message: StreamMessage) => boolean): Promise<SubjectPosition> {
		if (isBefore(last)) return { from: last.streamSeq + 1, previous: last }
		let previous: StreamMessage | undefined
		let low = 1
		let high = last.streamSeq
		while (low < high) {
			const middle = Math.floor((low + high) / 2)
			const found = await this.firstFrom(middle)
			if (found === undefined || !isBefore(found)) high = middle
			else {
				low = found.streamSeq + 1
				previous = found
			}
		}
		// `previous` must not be read again, even if messages were removed during the search.
		return { from: Math.max(low, high), previous }
	}

	/** Yields the messages in a range, except messages that were removed from the stream. */
	read(range: ReadRange, signal?: AbortSignal): AsyncGenerator<StreamMessage> {
		return this.#read(range, { follows: false, signal })
	}

	/**
	 * Yields all existing messages from a stream sequence onward, and then new messages as they arrive, until
	 * the signal aborts.
	 */
	follow(from: number, signal: AbortSignal): AsyncGenerator<StreamMessage> {
		return this.#read({ from, to: Number.POSITIVE_INFINITY }, { follows: true, signal })
	}

	/**
	 * Asks the leader of the stream, which has every acknowledged message. Waits while the stream has no
	 * leader.
	 */
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
				return this.#messageOf(message.seq, message.data, message.header?.get(SUMS_HEADER))
			} catch (error) {
				if (isNotFound(error)) await checkSame(this.#cluster, this.#found)
				if (isDenied(error) || performance.now() - beganMs > PATIENCE_MS || connection.isClosed())
					throw unreachable(this.#cluster, this.stream, error)
				await wait(backoff.next(), signal)
			}
		}
		return undefined
	}

	async *#read({ from, to }: ReadRange, { follows, signal }: ReadOptions): AsyncGenerator<StreamMessage> {
		let next = from
		let cameMs = performance.now()
		const backoff = new Backoff(RETRY_MS_MIN, RETRY_MS_MAX)
		while (!signal?.aborted) {
			if (next > to) return
			try {
				for await (const message of this.#session({ from: next, to }, { follows, signal })) {
					next = message.streamSeq + 1
					backoff.reset()
					yield message
					cameMs = performance.now()
				}
			} catch (error) {
				const isOver = performance.now() - cameMs > PATIENCE_MS || this.#cluster.connection.isClosed()
				if (isStreamGone(error)) throw error
				if (isDenied(error) || (isOver && !follows)) throw unreachable(this.#cluster, this.stream, error)
				await wait(backoff.next(), signal)
				continue
			}
			if (follows) continue
			if (next > to) return
			// A consumer's server may not have the newest messages yet, so the leader determines whether the range
			// has ended.
			const left = await this.firstFrom(next)
			await checkSame(this.#cluster, this.#found)
			if (left === undefined || left.streamSeq > to) return
			next = left.streamSeq + 1
			yield left
			cameMs = performance.now()
		}
	}

	async *#session(range: ReadRange, options: ReadOptions): AsyncGenerator<StreamMessage> {
		const session = new ConsumerSession(this.#cluster, this.#found, this.source.subject, {
			...options,
			range,
			messagesAhead: this.#messagesAhead,
		})
		for await (const message of session.messages())
			yield this.#messageOf(message.seq, message.data, message.headers?.get(SUMS_HEADER))
	}

	/** Number of messages to request ahead. It is at least two: one that is being read, and one in transit. */
	get #messagesAhead(): number {
		const { max_payload: bytesMax = AHEAD_BYTES_MAX } = this.#cluster.connection.info ?? {}
		const ahead = Math.min(AHEAD_MESSAGES_MAX, AHEAD_BYTES_MAX / bytesMax) / this.#readTogether
		return Math.max(2, Math.floor(ahead))
	}

	#messageOf(streamSeq: number, body: Uint8Array, sums: string | undefined): StreamMessage {
		const { subject, chainId } = this.source
		return { subject, streamSeq, ...framesOf(body, chainId), sums: parseSums(sums), bytes: body.byteLength }
	}
}

/** Returns whether an error means that the stream no longer exists. A retry would fail too. */
function isStreamGone(error: unknown): boolean {
	return (
		error instanceof MeshChainError && (error.code === 'STREAM_REPLACED' || error.code === 'STREAM_NOT_FOUND')
	)
}
