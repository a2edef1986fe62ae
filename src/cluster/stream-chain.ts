/** A chain whose records are in a stream: what a reader of a file can ask, asked of the servers. */
import type { Chain, ChainEndInfo, ChainInfo, ChainQuery, TailQuery } from '../chain/chain.ts'
import type { Frame } from '../chain/format/frame.ts'
import { limited } from '../chain/read/limited.ts'
import { applyGapRule, type ResolvedQuery, resolveQuery } from '../chain/read/query.ts'
import { RecordIterator } from '../chain/read/record-iterator.ts'
import { resolveTail } from '../chain/read/tail.ts'
import { MeshChainError } from '../errors.ts'
import { Spans } from '../merge/spans.ts'
import { type LogRecord, show } from '../record.ts'
import type { ChainStream, StreamFrame } from './chain-stream.ts'
import { infoOf } from './stream-info.ts'
import { StreamNotes } from './stream-notes.ts'
import { Walk } from './stream-walk.ts'

/** Places of the stream that a reader that goes backward looks at together, at first. */
const BACKWARD_PLACES = 64

export class StreamChain implements Chain {
	readonly path: string
	readonly chainId: string
	/** Of the subject. */
	readonly node: string
	readonly #stream: ChainStream
	readonly #notes: StreamNotes
	readonly #release: () => Promise<void>
	readonly #over = new AbortController()

	/** @param release called when it is closed. */
	constructor(address: string, stream: ChainStream, release: () => Promise<void>) {
		this.#stream = stream
		this.#notes = new StreamNotes(stream)
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
		return infoOf(this.path, this.#stream, this.#notes)
	}

	/** The servers do not know how the file ends: it may go on. What cannot be read is that of the last message, and what was met while it was read. */
	async end(): Promise<ChainEndInfo> {
		this.#refuseWhenClosed()
		const last = await this.#stream.last()
		if (last !== undefined) this.#notes.look(last)
		const { damagedBytes } = this.#notes
		return { state: 'open', exitCode: undefined, holder: undefined, tornBytes: 0, damagedBytes }
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
		const { from, before } = await this.#seek(query, last)
		const walk = this.#walkBehind(before, query)
		for await (const message of this.#stream.read({ from, to: last.streamSeq })) {
			const batch = walk.take(message)
			if (batch.length > 0) yield batch
			if (walk.isPastEnd) return
		}
	}

	async *#tail(query: ResolvedQuery, signal: AbortSignal): AsyncGenerator<LogRecord[]> {
		this.#refuseWhenClosed()
		const last = await this.#stream.last(signal)
		const { from, before } =
			last === undefined
				? { from: 1, before: undefined }
				: isWanted(query, last)
					? await this.#seek(query, last)
					: { from: last.streamSeq + 1, before: last }
		const walk = this.#walkBehind(before, query)
		for await (const message of this.#stream.follow(from, signal)) {
			const batch = applyGapRule(walk.take(message), query.gaps, this.path)
			if (batch.length > 0) yield batch
			if (walk.isPastEnd) return
		}
		this.#refuseWhenClosed()
	}

	/** Windows of the stream, the last one first; each is read forward and handed out backward. */
	async *#backward(query: ResolvedQuery): AsyncGenerator<LogRecord[]> {
		const last = await this.#stream.last()
		if (last === undefined) return
		const { from, before } = await this.#seek(query, last)
		const given = new Spans()
		let places = BACKWARD_PLACES
		/** The first frame of the windows behind. */
		let behind: Frame | undefined
		for (let to = last.streamSeq; to >= from; ) {
			const start = Math.max(from, to - places + 1)
			const walk =
				start === from
					? this.#walkBehind(before, query, given)
					: new Walk(query, { isHead: false, given, notes: this.#notes })
			const found: LogRecord[] = []
			let messages = 0
			let first: Frame | undefined
			for await (const message of this.#stream.read({ from: start, to })) {
				messages++
				first ??= message.frames[0]
				for (const record of walk.take(message)) found.push(record)
			}
			if (behind !== undefined && (first !== undefined || start === from)) found.push(...walk.before(behind))
			behind = first ?? behind
			if (found.length > 0) yield found.reverse()
			// A chain among many has few messages in so many places.
			if (messages < BACKWARD_PLACES / 4) places *= 2
			to = start - 1
		}
	}

	/** @param before the message before the first one that is read; none where that is the chain's first. */
	#walkBehind(before: StreamFrame | undefined, query: ResolvedQuery, given = new Spans()): Walk {
		const walk = new Walk(query, { isHead: before === undefined, given, notes: this.#notes })
		if (before !== undefined) walk.take(before)
		return walk
	}

	/** The place of the first message that can hold a record that is asked for, and the one that comes before it. */
	async #seek(query: ResolvedQuery, last: StreamFrame): Promise<StreamPlace> {
		let before: StreamFrame | undefined
		if (query.fromSeq <= 1 && query.sinceMs === Number.NEGATIVE_INFINITY) return { from: 1, before }
		let low = 1
		let high = last.streamSeq
		while (low < high) {
			const middle = Math.floor((low + high) / 2)
			const found = await this.#stream.firstFrom(middle)
			if (found === undefined || isWanted(query, found)) high = middle
			else {
				low = found.streamSeq + 1
				before = found
			}
		}
		return { from: high, before }
	}
}

interface StreamPlace {
	readonly from: number
	readonly before: StreamFrame | undefined
}

/** Whether a message, or one behind it, can hold a record that is asked for. */
function isWanted({ fromSeq, sinceMs }: ResolvedQuery, { frames, sums }: StreamFrame): boolean {
	const frame = frames.at(-1)
	if (frame === undefined) return true
	return frame.baseSeq + frame.rows > fromSeq && (sums?.maxTsMs ?? Number.POSITIVE_INFINITY) >= sinceMs
}
