/**
 * Reads the messages of one chain from a stream, in chain order, from all subjects that contain the chain.
 * Messages from the same subject are already in order. Messages from several subjects are merged by epoch and
 * seq.
 */
import type { ConsumerCursor } from '../consume/cursor-file.ts'
import { show } from '../guard/show.ts'
import { interleave } from '../merge/interleave.ts'
import { MeshChainError } from '../model/errors.ts'
import type { StreamMessage, SubjectReader } from './subject-reader.ts'

/** Number of stream sequences in the first window of a backward read. */
const WINDOW_SEQS = 64
/** Number of messages that a backward read over several subjects yields at a time. */
const CHUNK_MESSAGES = 32

/** The starting position for reading a chain. */
export interface ChainReaderPosition {
	/** First stream sequence to read from each subject. */
	readonly from: readonly number[]
	/** Newest message before the position; undefined if the chain has no earlier message. */
	readonly previous: StreamMessage | undefined
}

/** The end of a chain in the stream at one point in time. */
export interface ChainEnd {
	/**
	 * Newest message, even if the stream has removed it since this reader saw it; undefined if this reader has
	 * never seen a message.
	 */
	readonly last: StreamMessage | undefined
	/** Newest message of each subject; undefined for a subject without messages. */
	readonly lasts: readonly (StreamMessage | undefined)[]
}

/** A subject that contains a fork of the chain: different records with the same epochs and seqs. */
export interface ForkedChain {
	readonly subject: string
	readonly node: string
	readonly bytes: number
}

/** Reads one chain from a stream. */
export class ChainReader {
	readonly stream: string
	readonly chainId: string
	/** Node of the oldest subject. */
	readonly node: string
	/** Subjects that contain the fork to read, oldest first. */
	readonly subjects: readonly SubjectReader[]
	/** Subjects that contain other forks. They are not read. */
	readonly forks: readonly ForkedChain[]
	/** Newest message that this reader has seen. */
	#newest: StreamMessage | undefined

	constructor(subjects: readonly SubjectReader[], forks: readonly ForkedChain[] = []) {
		const { stream, source } = subjects[0]!
		this.stream = stream
		this.chainId = source.chainId
		this.node = source.node
		this.subjects = subjects
		this.forks = forks
	}

	/**
	 * Returns the current end of the chain. A message that the stream has removed since this reader saw it
	 * still counts, because a read must account for its records.
	 *
	 * @throws {MeshChainError} `CHAIN_NOT_FOUND` if all messages were removed before this reader saw one.
	 */
	async end(signal?: AbortSignal): Promise<ChainEnd> {
		const lasts = await Promise.all(this.subjects.map((subject) => subject.last(signal)))
		for (const last of lasts) if (last !== undefined && !endsBefore(last, this.#newest)) this.#newest = last
		const last = this.#newest
		if (last === undefined && !signal?.aborted && (await this.#isEmpty())) throw chainGone(this)
		return { last, lasts }
	}

	async #isEmpty(): Promise<boolean> {
		return (await Promise.all(this.subjects.map((subject) => subject.isEmpty()))).every(Boolean)
	}

	/**
	 * Finds the starting position for a read.
	 *
	 * @param isBefore Function that returns whether a message precedes the position. It must return true for
	 * all messages up to some point, and false for all later messages.
	 */
	async seek(
		{ lasts }: ChainEnd,
		isBefore: (message: StreamMessage) => boolean,
	): Promise<ChainReaderPosition> {
		const positions = await Promise.all(
			this.subjects.map(async (subject, index) => {
				const last = lasts[index]
				return last === undefined ? { from: 1, previous: undefined } : subject.seek(last, isBefore)
			}),
		)
		let newest: StreamMessage | undefined
		for (const { previous } of positions)
			if (previous !== undefined && !endsBefore(previous, newest)) newest = previous
		return { from: positions.map(({ from }) => from), previous: newest }
	}

	/** The start of the chain. */
	get start(): ChainReaderPosition {
		return { from: this.subjects.map(() => 1), previous: undefined }
	}

	/**
	 * Yields the messages between a position and an end, except messages that the stream has removed. The
	 * caller must detect missing messages.
	 */
	read(
		{ from }: ChainReaderPosition,
		{ lasts }: ChainEnd,
		signal?: AbortSignal,
	): AsyncGenerator<StreamMessage> {
		const ranges = this.subjects.map((subject, index) =>
			subject.read({ from: from[index]!, to: lasts[index]?.streamSeq ?? 0 }, signal),
		)
		return ranges.length === 1
			? ranges[0]!
			: mergeMessages(ranges, (a, b) => compareCursors(startOf(a), startOf(b)))
	}

	/**
	 * Reads backward from an end to a position. Yields groups of messages; the messages within a group are in
	 * order.
	 */
	async *readBackward(position: ChainReaderPosition, end: ChainEnd): AsyncGenerator<StreamMessage[]> {
		const ranges = this.subjects.map((subject, index) =>
			windowsBackward(subject, position.from[index]!, end.lasts[index]?.streamSeq ?? 0),
		)
		if (ranges.length === 1) return yield* ranges[0]!
		const each = ranges.map(async function* (range) {
			for await (const window of range) yield* window.toReversed()
		})
		let chunk: StreamMessage[] = []
		for await (const message of mergeMessages(each, (a, b) => compareCursors(endOf(b), endOf(a)))) {
			chunk.push(message)
			if (chunk.length < CHUNK_MESSAGES) continue
			yield chunk.reverse()
			chunk = []
		}
		yield chunk.reverse()
	}

	/**
	 * Yields all existing messages from a position onward, and then new messages in order of arrival, until the
	 * signal aborts.
	 */
	async *follow(position: ChainReaderPosition, signal: AbortSignal): AsyncGenerator<StreamMessage> {
		let { from } = position
		if (this.subjects.length > 1) {
			const end = await this.end(signal)
			yield* this.read(position, end, signal)
			from = from.map((each, index) => Math.max(each, (end.lasts[index]?.streamSeq ?? 0) + 1))
		}
		const over = new AbortController()
		const either = AbortSignal.any([signal, over.signal])
		const follows = this.subjects.map((subject, index) => subject.follow(from[index]!, either))
		yield* follows.length === 1 ? follows[0]! : interleave(follows, () => over.abort())
	}
}

/**
 * Yields the messages of a subject in windows, last window first. The messages within a window are in order.
 */
async function* windowsBackward(
	subject: SubjectReader,
	from: number,
	last: number,
): AsyncGenerator<StreamMessage[]> {
	let seqs = WINDOW_SEQS
	for (let to = last; to >= from; ) {
		const start = Math.max(from, to - seqs + 1)
		const window: StreamMessage[] = []
		for await (const message of subject.read({ from: start, to })) window.push(message)
		yield window
		// In a stream with many chains, few sequences in a window belong to this chain, so the next window is
		// larger.
		if (window.length < WINDOW_SEQS / 4) seqs *= 2
		to = start - 1
	}
}

/** Merges ordered sequences of messages. An unreadable message is yielded as soon as it is reached. */
async function* mergeMessages(
	sequences: readonly AsyncGenerator<StreamMessage>[],
	compare: (a: StreamMessage, b: StreamMessage) => number,
): AsyncGenerator<StreamMessage> {
	try {
		const heads = await Promise.all(
			sequences.map(async (sequence) => ({ sequence, next: await sequence.next() })),
		)
		for (;;) {
			let first: (typeof heads)[number] | undefined
			for (const head of heads) {
				if (head.next.done) continue
				if (head.next.value.frames.length === 0) {
					first = head
					break
				}
				if (first === undefined || compare(head.next.value, first.next.value) < 0) first = head
			}
			if (first === undefined) return
			yield first.next.value
			first.next = await first.sequence.next()
		}
	} finally {
		await Promise.all(sequences.map((sequence) => sequence.return(undefined)))
	}
}

const UNREADABLE: ConsumerCursor = { epoch: 0, seq: 0 }

/** Returns the identity of the first record in a message. */
export function startOf({ frames: [first] }: StreamMessage): ConsumerCursor {
	return first === undefined ? UNREADABLE : { epoch: first.epoch, seq: first.baseSeq }
}

/** Returns the identity of the last readable record in a message. */
export function endOf({ frames }: StreamMessage): ConsumerCursor {
	const last = frames.at(-1)
	return last === undefined ? UNREADABLE : { epoch: last.epoch, seq: last.baseSeq + last.rows - 1 }
}

/** Compares two positions in chain order: by epoch, then by seq. */
export function compareCursors(a: ConsumerCursor, b: ConsumerCursor): number {
	return a.epoch - b.epoch || a.seq - b.seq
}

function endsBefore(message: StreamMessage, other: StreamMessage | undefined): boolean {
	return other !== undefined && compareCursors(endOf(message), endOf(other)) < 0
}

function chainGone({ stream, chainId }: ChainReader): MeshChainError {
	return new MeshChainError(
		'CHAIN_NOT_FOUND',
		`the stream ${show(stream)} no longer has any messages of the chain ${chainId}: a user removed ` +
			'them, or the stream removed them because of its limits',
	)
}
