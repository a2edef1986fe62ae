/**
 * Reads the messages of one chain in a stream, in the order of the chain, from all subjects that hold it. The
 * messages of each subject are in order; those of several subjects are merged by epoch and seq.
 */
import type { ConsumerCursor } from '../consume/cursor-file.ts'
import { show } from '../guard/show.ts'
import { interleave } from '../merge/interleave.ts'
import { MeshChainError } from '../model/errors.ts'
import type { StreamMessage, SubjectReader } from './subject-reader.ts'

/** Number of stream sequences in the first window of a backward read. */
const WINDOW_SEQS = 64
/** Number of messages that a backward read over several subjects returns at a time. */
const CHUNK_MESSAGES = 32

/** The start of a part of a chain. */
export interface ChainReaderPosition {
	/** Stream sequence to read from, by subject. */
	readonly from: readonly number[]
	/** Newest message before the part; undefined if no message of the chain precedes it. */
	readonly previous: StreamMessage | undefined
}

/** The end of a chain in the stream at one moment. */
export interface ChainEnd {
	/**
	 * Newest message, even if it was removed after this reader had seen it; undefined if there never was a
	 * message.
	 */
	readonly last: StreamMessage | undefined
	/** Newest message of each subject; undefined if the subject has none. */
	readonly lasts: readonly (StreamMessage | undefined)[]
}

/** A subject with a fork of the chain: different records under the same epochs and seqs. */
export interface ForkedChain {
	readonly subject: string
	readonly node: string
	readonly bytes: number
}

/** A reader of one chain. */
export class ChainReader {
	readonly stream: string
	readonly chainId: string
	/** Node of the oldest subject. */
	readonly node: string
	/** Subjects of one fork of the chain, oldest first. */
	readonly subjects: readonly SubjectReader[]
	/** Subjects that hold other forks, which are not read. */
	readonly forks: readonly ForkedChain[]
	/** Newest message ever seen. */
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
	 * Returns the current end of the chain. A message that this reader saw and that has since been removed
	 * counts, because a read must account for it.
	 *
	 * @throws {MeshChainError} `CHAIN_NOT_FOUND` if all messages were removed and this reader never saw one.
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
	 * @param isBefore Returns whether a message precedes the part: true for all messages up to some point,
	 * false after it.
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
	 * Yields the messages between a position and an end that the stream still has. The caller checks for
	 * missing ones.
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
	 * Yields all messages from a position, then later ones in the order of their arrival, until the signal
	 * aborts.
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

/** Yields windows of a subject, last window first; the messages within a window are in order. */
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
		// If the stream holds many chains, few of these sequences belong to this chain.
		if (window.length < WINDOW_SEQS / 4) seqs *= 2
		to = start - 1
	}
}

/** Merges ordered sequences. A message that cannot be read is yielded as soon as it is reached. */
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

/** Returns the identity of the last readable record of a message. */
export function endOf({ frames }: StreamMessage): ConsumerCursor {
	const last = frames.at(-1)
	return last === undefined ? UNREADABLE : { epoch: last.epoch, seq: last.baseSeq + last.rows - 1 }
}

/** Compares by chain order: by epoch, then by seq. */
export function compareCursors(a: ConsumerCursor, b: ConsumerCursor): number {
	return a.epoch - b.epoch || a.seq - b.seq
}

function endsBefore(message: StreamMessage, other: StreamMessage | undefined): boolean {
	return other !== undefined && compareCursors(endOf(message), endOf(other)) < 0
}

function chainGone({ stream, chainId }: ChainReader): MeshChainError {
	return new MeshChainError(
		'CHAIN_NOT_FOUND',
		`the stream ${show(stream)} no longer has any message of the chain ${chainId}: they were removed ` +
			'by its limits or by a user',
	)
}
