/** A chain whose records are in a stream: what a reader of a file can ask, asked of the servers. */
import type { Chain, ChainEndInfo, ChainInfo, ChainQuery, TailQuery } from '../chain/chain.ts'
import { limited } from '../chain/read/limited.ts'
import { applyGapRule, Collector, type ResolvedQuery, resolveQuery } from '../chain/read/query.ts'
import { RecordIterator } from '../chain/read/record-iterator.ts'
import { resolveTail } from '../chain/read/tail.ts'
import { firstCovered } from '../chain/scan/continuity.ts'
import { MeshChainError } from '../errors.ts'
import { LOG_LEVELS, type LogLevel, type LogRecord, show } from '../record.ts'
import type { ChainStream, StreamFrame } from './chain-stream.ts'
import { joined, NO_SUMS, type Sums, sumsOfFrame } from './message.ts'

/** Places of the stream that a reader that goes backward looks at together, at first. */
const BACKWARD_PLACES = 64

export class StreamChain implements Chain {
	readonly path: string
	readonly chainId: string
	/** Of the subject. */
	readonly node: string
	readonly #stream: ChainStream
	readonly #release: () => Promise<void>
	readonly #over = new AbortController()

	/** @param release called when it is closed. */
	constructor(address: string, stream: ChainStream, release: () => Promise<void>) {
		this.#stream = stream
		this.#release = release
		this.chainId = stream.source.chainId
		this.node = stream.source.node
		this.path = `${address}?chain=${this.chainId}`
	}

	records(query: ChainQuery = {}): AsyncIterable<LogRecord> {
		const batches = this.batches(query)
		return { [Symbol.asyncIterator]: () => new RecordIterator(batches[Symbol.asyncIterator]()) }
	}

	batches(query: ChainQuery = {}): AsyncIterable<LogRecord[]> {
		const resolved = resolveQuery(query)
		return { [Symbol.asyncIterator]: () => this.#batches(resolved) }
	}

	tail(query: TailQuery = {}): AsyncIterable<LogRecord> {
		const { query: resolved, signal } = resolveTail(query)
		return {
			[Symbol.asyncIterator]: () => {
				const over = new AbortController()
				const signals = [over.signal, this.#over.signal, ...(signal === undefined ? [] : [signal])]
				return new RecordIterator(this.#tail(resolved, AbortSignal.any(signals)), () => over.abort())
			},
		}
	}

	async info(): Promise<ChainInfo> {
		this.#refuseWhenClosed()
		const last = await this.#stream.last()
		const first = last === undefined ? undefined : await this.#stream.firstFrom(1)
		return infoOf(this.path, this.chainId, first, last)
	}

	/** The servers do not know how the file ends: it may go on. */
	async end(): Promise<ChainEndInfo> {
		this.#refuseWhenClosed()
		return { state: 'open', exitCode: undefined, holder: undefined, tornBytes: 0, damagedBytes: 0 }
	}

	async close(): Promise<void> {
		if (this.#over.signal.aborted) return
		this.#over.abort()
		await this.#release()
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.close()
	}

	#refuseWhenClosed(): void {
		if (!this.#over.signal.aborted) return
		throw new MeshChainError('CHAIN_CLOSED', `the chain ${show(this.path)} was closed while it was read`, {
			path: this.path,
		})
	}

	async *#batches(query: ResolvedQuery): AsyncGenerator<LogRecord[]> {
		this.#refuseWhenClosed()
		for await (const batch of limited(
			query.reverse ? this.#backward(query) : this.#forward(query),
			query,
			this.path,
		)) {
			this.#refuseWhenClosed()
			yield batch
			this.#refuseWhenClosed()
		}
	}

	async *#forward(query: ResolvedQuery): AsyncGenerator<LogRecord[]> {
		const last = await this.#stream.last()
		if (last === undefined) return
		const from = await this.#seek(query, last)
		if (from === undefined) return
		const walk = new Walk(query, await this.#isHead(from))
		for await (const frame of this.#stream.read({ from, to: last.streamSeq })) {
			const batch = walk.take(frame)
			if (batch.length > 0) yield batch
			if (walk.isPastEnd) return
		}
	}

	async *#tail(query: ResolvedQuery, signal: AbortSignal): AsyncGenerator<LogRecord[]> {
		this.#refuseWhenClosed()
		const last = await this.#stream.last(signal)
		const from = last === undefined ? 1 : ((await this.#seek(query, last)) ?? last.streamSeq + 1)
		const walk = new Walk(query, await this.#isHead(from))
		for await (const frame of this.#stream.follow(from, signal)) {
			const batch = applyGapRule(walk.take(frame), query.gaps, this.path)
			if (batch.length > 0) yield batch
			if (walk.isPastEnd) return
		}
		this.#refuseWhenClosed()
	}

	/** Windows of the stream, the last one first; each is read forward and handed out backward. */
	async *#backward(query: ResolvedQuery): AsyncGenerator<LogRecord[]> {
		const last = await this.#stream.last()
		if (last === undefined) return
		const from = await this.#seek(query, last)
		if (from === undefined) return
		let places = BACKWARD_PLACES
		for (let to = last.streamSeq; to >= from; ) {
			const start = Math.max(from, to - places + 1)
			const walk = new Walk(query, start === from && (await this.#isHead(from)))
			const found: LogRecord[] = []
			let frames = 0
			for await (const frame of this.#stream.read({ from: start, to })) {
				frames++
				for (const record of walk.take(frame)) found.push(record)
			}
			if (found.length > 0) yield found.reverse()
			// A chain among many has few messages in so many places.
			if (frames < BACKWARD_PLACES / 4) places *= 2
			to = start - 1
		}
	}

	/** The place of the first message that can hold a record that is asked for; undefined where none can. */
	async #seek(query: ResolvedQuery, last: StreamFrame): Promise<number | undefined> {
		const { fromSeq, sinceMs } = query
		if (fromSeq <= 1 && sinceMs === Number.NEGATIVE_INFINITY) return 1
		const isWanted = ({ frames, sums }: StreamFrame) => {
			const frame = frames.at(-1)
			if (frame === undefined) return true
			return frame.baseSeq + frame.rows > fromSeq && (sums?.maxTsMs ?? Number.POSITIVE_INFINITY) >= sinceMs
		}
		if (!isWanted(last)) return undefined
		let low = 1
		let high = last.streamSeq
		while (low < high) {
			const middle = Math.floor((low + high) / 2)
			const found = await this.#stream.firstFrom(middle)
			if (found === undefined || isWanted(found)) high = middle
			else low = found.streamSeq + 1
		}
		return high
	}

	/** Whether nothing of the chain stands before a place: what is missing there was removed. */
	async #isHead(from: number): Promise<boolean> {
		if (from <= 1) return true
		const first = await this.#stream.firstFrom(1)
		return first === undefined || first.streamSeq >= from
	}
}

/** Turns the frames of a walk into the records that match, with a gap wherever some are missing. */
class Walk {
	readonly #query: ResolvedQuery
	#collector: Collector | undefined
	readonly #isHead: boolean

	constructor(query: ResolvedQuery, isHead: boolean) {
		this.#query = query
		this.#isHead = isHead
	}

	get isPastEnd(): boolean {
		return this.#collector?.isPastEnd ?? false
	}

	/** What cannot be read shows as a gap before the frame behind it. */
	take({ frames }: StreamFrame): LogRecord[] {
		const [first] = frames
		if (first === undefined) return []
		const found: LogRecord[] = []
		if (this.#collector === undefined) {
			const firstSeq = firstCovered(first)
			this.#collector = new Collector(this.#query, undefined, { firstSeq: this.#isHead ? 1 : firstSeq })
			if (this.#isHead && firstSeq > 1) found.push(...this.#collector.upTo(firstSeq, 'retained'))
		}
		for (const frame of frames) {
			if (this.#collector.isPastEnd) break
			for (const record of this.#collector.take({ type: 'frame', frame })) found.push(record)
		}
		return found
	}
}

/** From the sums that the first and the last message have: what the stream has removed is not among them. */
function infoOf(
	path: string,
	chainId: string,
	first: StreamFrame | undefined,
	last: StreamFrame | undefined,
): ChainInfo {
	const sums = last?.sums ?? NO_SUMS
	const before = first === undefined ? NO_SUMS : without(first)
	const levels = Object.fromEntries(
		LOG_LEVELS.map((level, index) => [level, sums.levels[index]! - before.levels[index]!]),
	) as Record<LogLevel, number>
	const [firstFrame] = first?.frames ?? []
	const lastFrame = last?.frames.at(-1)
	const firstSeq = firstFrame === undefined ? undefined : firstCovered(firstFrame)
	const removed = (firstSeq ?? 1) - 1
	const byCause = Object.fromEntries(
		Object.entries(sums.absent).map(([cause, count]) => [cause, count - (before.absent[cause] ?? 0)]),
	)
	if (removed > 0) byCause['retained'] = (byCause['retained'] ?? 0) + removed
	const lastSeq = lastFrame === undefined ? undefined : lastFrame.baseSeq + lastFrame.rows - 1
	const epoch = lastFrame?.epoch ?? 0
	const bytes = sums.bytes - before.bytes
	return {
		path,
		chainId,
		formatVersion: 1,
		createdMs: firstFrame?.baseTsMs ?? Number.NaN,
		bytes,
		segments: [],
		records: sums.records - before.records,
		firstSeq,
		lastSeq,
		minTsMs: sums.minTsMs ?? undefined,
		maxTsMs: sums.maxTsMs ?? undefined,
		levels,
		gaps: {
			count: sums.gaps - before.gaps + (removed > 0 ? 1 : 0),
			records: Object.values(byCause).reduce((total, count) => total + count, 0),
			byCause,
		},
		epochs: [],
		state: 'open',
		exitCode: undefined,
		holder: undefined,
		tornBytes: 0,
		damagedPlaces: 0,
		damagedBytes: 0,
		head: { chainId, segment: 0, epoch, seq: lastSeq ?? 0, offset: 0, link: '' },
	}
}

/** The sums before a message. */
function without({ frames, sums }: StreamFrame): Sums {
	if (sums === undefined) return NO_SUMS
	const own = frames.map(sumsOfFrame).reduce(joined, NO_SUMS)
	return {
		...sums,
		records: sums.records - own.records,
		levels: sums.levels.map((count, index) => count - own.levels[index]!),
		gaps: sums.gaps - own.gaps,
		absent: Object.fromEntries(
			Object.entries(sums.absent).map(([cause, count]) => [cause, count - (own.absent[cause] ?? 0)]),
		),
		bytes: sums.bytes - own.bytes,
	}
}
