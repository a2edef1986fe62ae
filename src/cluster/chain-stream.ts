/**
 * The messages of one chain in a stream, in the order of the chain, whatever subjects they are under: each subject has its
 * own messages in order, and those of several are joined by epoch and seq.
 */
import type { Cursor } from '../consume/cursor-file.ts'
import { MeshChainError } from '../errors.ts'
import { funnel } from '../merge/funnel.ts'
import { show } from '../record.ts'
import type { StreamFrame, SubjectStream } from './subject-stream.ts'

/** Places of the stream that a reader that goes backward looks at together, at first. */
const BACKWARD_PLACES = 64
/** Messages of several subjects that it looks at together. */
const BACKWARD_MESSAGES = 32

/** Where a part of a chain begins. */
export interface ChainPlace {
	/** For each subject the place in the stream to read from. */
	readonly from: readonly number[]
	/** The newest message before it; undefined where nothing of the chain comes before. */
	readonly before: StreamFrame | undefined
}

/** What the stream has of a chain at a moment. */
export interface ChainEnd {
	/** The newest message, also where it was removed after this reader had seen it; undefined where there never was one. */
	readonly last: StreamFrame | undefined
	/** The newest message of each subject that is there. */
	readonly lasts: readonly (StreamFrame | undefined)[]
}

/** A subject with another life of the chain: it holds other records under the same epochs and seqs. */
export interface OtherLife {
	readonly subject: string
	readonly node: string
	readonly bytes: number
}

export class ChainStream {
	readonly stream: string
	readonly chainId: string
	/** Of the oldest subject. */
	readonly node: string
	/** Oldest first; all of one life of the chain. */
	readonly subjects: readonly SubjectStream[]
	readonly otherLives: readonly OtherLife[]
	/** The newest message that was ever seen. */
	#newest: StreamFrame | undefined

	constructor(subjects: readonly SubjectStream[], otherLives: readonly OtherLife[] = []) {
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
	async seek({ lasts }: ChainEnd, isBefore: (message: StreamFrame) => boolean): Promise<ChainPlace> {
		const places = await Promise.all(
			this.subjects.map(async (subject, index) => {
				const last = lasts[index]
				return last === undefined ? { from: 1, before: undefined } : subject.seek(last, isBefore)
			}),
		)
		let before: StreamFrame | undefined
		for (const place of places)
			if (place.before !== undefined && !isBehind(place.before, before)) before = place.before
		return { from: places.map(({ from }) => from), before }
	}

	/** From the first message on. */
	get start(): ChainPlace {
		return { from: this.subjects.map(() => 1), before: undefined }
	}

	/** What is there between a place and an end. Whoever reads compares with the end what came. */
	read({ from }: ChainPlace, { lasts }: ChainEnd, signal?: AbortSignal): AsyncGenerator<StreamFrame> {
		const ranges = this.subjects.map((subject, index) =>
			subject.read({ from: from[index]!, to: lasts[index]?.streamSeq ?? 0 }, signal),
		)
		return ranges.length === 1 ? ranges[0]! : joined(ranges, (a, b) => compareCursors(startOf(a), startOf(b)))
	}

	/** The same from the end to the place, some messages at a time, which are in order. */
	async *readBackward(place: ChainPlace, end: ChainEnd): AsyncGenerator<StreamFrame[]> {
		const ranges = this.subjects.map((subject, index) =>
			windows(subject, place.from[index]!, end.lasts[index]?.streamSeq ?? 0),
		)
		if (ranges.length === 1) return yield* ranges[0]!
		const each = ranges.map(async function* (range) {
			for await (const window of range) yield* window.toReversed()
		})
		let chunk: StreamFrame[] = []
		for await (const message of joined(each, (a, b) => compareCursors(endOf(b), endOf(a)))) {
			chunk.push(message)
			if (chunk.length < BACKWARD_MESSAGES) continue
			yield chunk.reverse()
			chunk = []
		}
		yield chunk.reverse()
	}

	/** What is there, and then what comes, until the signal aborts; of several subjects in the order in which it comes. */
	async *follow(place: ChainPlace, signal: AbortSignal): AsyncGenerator<StreamFrame> {
		let { from } = place
		if (this.subjects.length > 1) {
			const end = await this.end(signal)
			yield* this.read(place, end, signal)
			from = from.map((each, index) => Math.max(each, (end.lasts[index]?.streamSeq ?? 0) + 1))
		}
		const over = new AbortController()
		const either = AbortSignal.any([signal, over.signal])
		const follows = this.subjects.map((subject, index) => subject.follow(from[index]!, either))
		yield* follows.length === 1 ? follows[0]! : funnel(follows, () => over.abort())
	}
}

/** Windows of a subject, the last one first; the messages of each are in order. */
async function* windows(subject: SubjectStream, from: number, last: number): AsyncGenerator<StreamFrame[]> {
	let places = BACKWARD_PLACES
	for (let to = last; to >= from; ) {
		const start = Math.max(from, to - places + 1)
		const window: StreamFrame[] = []
		for await (const message of subject.read({ from: start, to })) window.push(message)
		yield window
		// A chain among many has few messages in so many places.
		if (window.length < BACKWARD_PLACES / 4) places *= 2
		to = start - 1
	}
}

/** Several sequences that are each in order, as one. A message that cannot be read comes as soon as it is met. */
async function* joined(
	sequences: readonly AsyncGenerator<StreamFrame>[],
	compare: (a: StreamFrame, b: StreamFrame) => number,
): AsyncGenerator<StreamFrame> {
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

const UNREADABLE: Cursor = { epoch: 0, seq: 0 }

/** Of its first record. */
export function startOf({ frames: [first] }: StreamFrame): Cursor {
	return first === undefined ? UNREADABLE : { epoch: first.epoch, seq: first.baseSeq }
}

/** Of its last record that can be read. */
export function endOf({ frames }: StreamFrame): Cursor {
	const last = frames.at(-1)
	return last === undefined ? UNREADABLE : { epoch: last.epoch, seq: last.baseSeq + last.rows - 1 }
}

/** In the order of a chain. */
export function compareCursors(a: Cursor, b: Cursor): number {
	return a.epoch - b.epoch || a.seq - b.seq
}

function isBehind(message: StreamFrame, other: StreamFrame | undefined): boolean {
	return other !== undefined && compareCursors(endOf(message), endOf(other)) < 0
}

function gone({ stream, chainId }: ChainStream): MeshChainError {
	return new MeshChainError(
		'CHAIN_NOT_FOUND',
		`the stream ${show(stream)} has no message of the chain ${chainId} any more: its limits or somebody removed them`,
	)
}
