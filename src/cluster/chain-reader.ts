/**
 * The messages of one chain in a stream, in the order of the chain, whatever subjects they are under: each subject has its
 * own messages in order, and those of several are joined by epoch and seq.
 */
import type { ConsumerCursor } from '../consume/cursor-file.ts'
import { show } from '../guard/show.ts'
import { interleave } from '../merge/interleave.ts'
import { MeshChainError } from '../model/errors.ts'
import type { StreamMessage, SubjectReader } from './subject-reader.ts'

/** Places of the stream that a reader that goes backward looks at together, at first. */
const BACKWARD_PLACES = 64
/** Messages of several subjects that it looks at together. */
const BACKWARD_MESSAGES = 32

/** Where a part of a chain begins. */
export interface ChainReaderPosition {
	/** For each subject the place in the stream to read from. */
	readonly from: readonly number[]
	/** The newest message before it; undefined where nothing of the chain comes before. */
	readonly before: StreamMessage | undefined
}

/** What the stream has of a chain at a moment. */
export interface ChainEnd {
	/** The newest message, also where it was removed after this reader had seen it; undefined where there never was one. */
	readonly last: StreamMessage | undefined
	/** The newest message of each subject that is there. */
	readonly lasts: readonly (StreamMessage | undefined)[]
}

/** A subject with another life of the chain: it holds other records under the same epochs and seqs. */
export interface ForkedChain {
	readonly subject: string
	readonly node: string
	readonly bytes: number
}

export class ChainReader {
	readonly stream: string
	readonly chainId: string
	/** Of the oldest subject. */
	readonly node: string
	/** Oldest first; all of one life of the chain. */
	readonly subjects: readonly SubjectReader[]
	readonly otherLives: readonly ForkedChain[]
	/** The newest message that was ever seen. */
	#newest: StreamMessage | undefined

	constructor(subjects: readonly SubjectReader[], otherLives: readonly ForkedChain[] = []) {
		const { stream, source } = subjects[0]!
		this.stream = stream
		this.chainId = source.chainId
		this.node = source.node
		this.subjects = subjects
		this.otherLives = otherLives
	}

	/**
	 * What is there by now. A message that was seen once and is gone counts: a read has to account for it.
	 *
	 * @throws {MeshChainError} `CHAIN_NOT_FOUND` where all messages are gone and none was ever seen.
	 */
	async end(signal?: AbortSignal): Promise<ChainEnd> {
		const lasts = await Promise.all(this.subjects.map((subject) => subject.last(signal)))
		for (const last of lasts) if (last !== undefined && !isBehind(last, this.#newest)) this.#newest = last
		const last = this.#newest
		if (last === undefined && !signal?.aborted && (await this.#isGone())) throw gone(this)
		return { last, lasts }
	}

	async #isGone(): Promise<boolean> {
		return (await Promise.all(this.subjects.map((subject) => subject.isGone()))).every(Boolean)
	}

	/** @param isBefore whether a message comes before the part that is wanted: true up to some message, false from there on. */
	async seek(
		{ lasts }: ChainEnd,
		isBefore: (message: StreamMessage) => boolean,
	): Promise<ChainReaderPosition> {
		const places = await Promise.all(
			this.subjects.map(async (subject, index) => {
				const last = lasts[index]
				return last === undefined ? { from: 1, before: undefined } : subject.seek(last, isBefore)
			}),
		)
		let before: StreamMessage | undefined
		for (const place of places)
			if (place.before !== undefined && !isBehind(place.before, before)) before = place.before
		return { from: places.map(({ from }) => from), before }
	}

	/** From the first message on. */
	get start(): ChainReaderPosition {
		return { from: this.subjects.map(() => 1), before: undefined }
	}

	/** What is there between a place and an end. Whoever reads compares with the end what came. */
	read(
		{ from }: ChainReaderPosition,
		{ lasts }: ChainEnd,
		signal?: AbortSignal,
	): AsyncGenerator<StreamMessage> {
		const ranges = this.subjects.map((subject, index) =>
			subject.read({ from: from[index]!, to: lasts[index]?.streamSeq ?? 0 }, signal),
		)
		return ranges.length === 1 ? ranges[0]! : joined(ranges, (a, b) => compareCursors(startOf(a), startOf(b)))
	}

	/** The same from the end to the place, some messages at a time, which are in order. */
	async *readBackward(place: ChainReaderPosition, end: ChainEnd): AsyncGenerator<StreamMessage[]> {
		const ranges = this.subjects.map((subject, index) =>
			windows(subject, place.from[index]!, end.lasts[index]?.streamSeq ?? 0),
		)
		if (ranges.length === 1) return yield* ranges[0]!
		const each = ranges.map(async function* (range) {
			for await (const window of range) yield* window.toReversed()
		})
		let chunk: StreamMessage[] = []
		for await (const message of joined(each, (a, b) => compareCursors(endOf(b), endOf(a)))) {
			chunk.push(message)
			if (chunk.length < BACKWARD_MESSAGES) continue
			yield chunk.reverse()
			chunk = []
		}
		yield chunk.reverse()
	}

	/** What is there, and then what comes, until the signal aborts; of several subjects in the order in which it comes. */
	async *follow(place: ChainReaderPosition, signal: AbortSignal): AsyncGenerator<StreamMessage> {
		let { from } = place
		if (this.subjects.length > 1) {
			const end = await this.end(signal)
			yield* this.read(place, end, signal)
			from = from.map((each, index) => Math.max(each, (end.lasts[index]?.streamSeq ?? 0) + 1))
		}
		const over = new AbortController()
		const either = AbortSignal.any([signal, over.signal])
		const follows = this.subjects.map((subject, index) => subject.follow(from[index]!, either))
		yield* follows.length === 1 ? follows[0]! : interleave(follows, () => over.abort())
	}
}

/** Windows of a subject, the last one first; the messages of each are in order. */
async function* windows(subject: SubjectReader, from: number, last: number): AsyncGenerator<StreamMessage[]> {
	let places = BACKWARD_PLACES
	for (let to = last; to >= from; ) {
		const start = Math.max(from, to - places + 1)
		const window: StreamMessage[] = []
		for await (const message of subject.read({ from: start, to })) window.push(message)
		yield window
		// A chain among many has few messages in so many places.
		if (window.length < BACKWARD_PLACES / 4) places *= 2
		to = start - 1
	}
}

/** Several sequences that are each in order, as one. A message that cannot be read comes as soon as it is met. */
async function* joined(
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

/** Of its first record. */
export function startOf({ frames: [first] }: StreamMessage): ConsumerCursor {
	return first === undefined ? UNREADABLE : { epoch: first.epoch, seq: first.baseSeq }
}

/** Of its last record that can be read. */
export function endOf({ frames }: StreamMessage): ConsumerCursor {
	const last = frames.at(-1)
	return last === undefined ? UNREADABLE : { epoch: last.epoch, seq: last.baseSeq + last.rows - 1 }
}

/** In the order of a chain. */
export function compareCursors(a: ConsumerCursor, b: ConsumerCursor): number {
	return a.epoch - b.epoch || a.seq - b.seq
}

function isBehind(message: StreamMessage, other: StreamMessage | undefined): boolean {
	return other !== undefined && compareCursors(endOf(message), endOf(other)) < 0
}

function gone({ stream, chainId }: ChainReader): MeshChainError {
	return new MeshChainError(
		'CHAIN_NOT_FOUND',
		`the stream ${show(stream)} has no message of the chain ${chainId} any more: its limits or somebody removed them`,
	)
}
