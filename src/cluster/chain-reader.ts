/**
 * Reads the messages of one chain in a stream, in the order of the chain, under whatever subjects they are.
 * Each subject has its own messages in order; those of several subjects are merged by epoch and seq.
 */
import type { ConsumerCursor } from '../consume/cursor-file.ts'
import { show } from '../guard/show.ts'
import { interleave } from '../merge/interleave.ts'
import { MeshChainError } from '../model/errors.ts'
import type { StreamMessage, SubjectReader } from './subject-reader.ts'

/** Stream sequences in the first window of a backward read. */
const WINDOW_SEQS = 64
/** Messages of several subjects that a backward read returns at a time. */
const CHUNK_MESSAGES = 32

/** Start of a part of a chain. */
export interface ChainReaderPosition {
	/** Stream sequence to read from, by subject. */
	readonly from: readonly number[]
	/** Newest message before the part; undefined where nothing of the chain precedes it. */
	readonly previous: StreamMessage | undefined
}

/** What the stream has of a chain at one moment. */
export interface ChainEnd {
	/**
	 * Newest message, even where it was removed after this reader had seen it; undefined where there never was
	 * one.
	 */
	readonly last: StreamMessage | undefined
	/** Newest message by subject; undefined where the subject has none. */
	readonly lasts: readonly (StreamMessage | undefined)[]
}

/** A subject with a fork of the chain: other records under the same epochs and seqs. */
export interface ForkedChain {
	readonly subject: string
	readonly node: string
	readonly bytes: number
}

/** Reader of one chain. */
export class ChainReader {
	readonly stream: string
	readonly chainId: string
	/** Node of the oldest subject. */
	readonly node: string
	/** Subjects of one fork of the chain, oldest first. */
	readonly subjects: readonly SubjectReader[]
	/** Subjects that hold other forks, which are not read. */
	readonly forks: readonly ForkedChain[]
	/** Newest message that was ever seen. */
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
	 * Returns the current end of the chain. A message that was seen once and has been removed counts, because a
	 * read has to account for it.
	 *
	 * @throws {MeshChainError} `CHAIN_NOT_FOUND` where all messages were removed and none was ever seen.
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
	 * Finds the start of a part.
	 *
	 * @param isBefore Returns whether a message precedes the part: true up to some message, and false after it.
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

	/** Start of the chain. */
	get start(): ChainReaderPosition {
		return { from: this.subjects.map(() => 1), previous: undefined }
	}

	/**
	 * Yields the messages between a position and an end that the stream still has. The caller checks what is
	 * missing.
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
	 * Reads from an end back to a position. Yields some messages at a time; those of one group are in order.
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
	 * Yields all messages from a position on, and later ones in the order in which they arrive, until the
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

/** Yields windows of a subject, the last one first; the messages of each window are in order. */
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
		// Among many chains, one chain has few of these sequences.
		if (window.length < WINDOW_SEQS / 4) seqs *= 2
		to = start - 1
	}
}

/** Merges sequences that are each in order. A message that cannot be read is yielded as soon as it is met. */
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

/** Returns the identity of the first record of a message. */
export function startOf({ frames: [first] }: StreamMessage): ConsumerCursor {
	return first === undefined ? UNREADABLE : { epoch: first.epoch, seq: first.baseSeq }
}

/** Returns the identity of the last record of a message that can be read. */
export function endOf({ frames }: StreamMessage): ConsumerCursor {
	const last = frames.at(-1)
	return last === undefined ? UNREADABLE : { epoch: last.epoch, seq: last.baseSeq + last.rows - 1 }
}

/** Compares in the order of a chain: by epoch, then by seq. */
export function compareCursors(a: ConsumerCursor, b: ConsumerCursor): number {
	return a.epoch - b.epoch || a.seq - b.seq
}

function endsBefore(message: StreamMessage, other: StreamMessage | undefined): boolean {
	return other !== undefined && compareCursors(endOf(message), endOf(other)) < 0
}

function chainGone({ stream, chainId }: ChainReader): MeshChainError {
	return new MeshChainError(
		'CHAIN_NOT_FOUND',
		`the stream ${show(stream)} no longer has any message of the chain ${chainId}: its limits or a person removed them`,
	)
}
