/** A chain whose records are in a stream: what a reader of a file can ask, asked of the servers. */
import {
	applyGapRule,
	type Chain,
	type ChainEndInfo,
	type ChainInfo,
	type ChainQuery,
	type Frame,
	limitBatches,
	RecordIterator,
	type ResolvedQuery,
	resolveQuery,
	resolveTail,
	type TailQuery,
} from '../chain/index.ts'
import { show } from '../guard/show.ts'
import { SeqRanges } from '../merge/seq-ranges.ts'
import { MeshChainError } from '../model/errors.ts'
import type { LogRecord } from '../model/record.ts'
import type { ChainReader, ChainReaderPosition } from './chain-reader.ts'
import { infoOf } from './stream-info.ts'
import { StreamNotes } from './stream-notes.ts'
import { Walk } from './stream-walk.ts'
import type { StreamMessage } from './subject-reader.ts'

export class StreamChain implements Chain {
	readonly path: string
	readonly chainId: string
	/** Of its oldest subject. */
	readonly node: string
	readonly #stream: ChainReader
	readonly #notes: StreamNotes
	readonly #release: () => Promise<void>
	readonly #over = new AbortController()

	/** @param release called when it is closed. */
	constructor(address: string, stream: ChainReader, release: () => Promise<void>) {
		this.#stream = stream
		this.#notes = new StreamNotes(stream)
		this.#release = release
		this.chainId = stream.chainId
		this.node = stream.node
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
		const { lasts } = await this.#stream.end()
		for (const last of lasts) if (last !== undefined) this.#notes.look(last)
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
		for await (const batch of limitBatches(
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
		const end = await this.#stream.end()
		if (end.last === undefined) return
		const place = await this.#stream.seek(end, (message) => !isWanted(query, message))
		const walk = this.#walkBehind(place, query)
		for await (const message of this.#stream.read(place, end)) {
			const batch = walk.take(message)
			if (batch.length > 0) yield batch
			if (walk.isPastEnd) return
		}
		const missing = walk.end(end.last)
		if (missing.length > 0) yield missing
	}

	async *#tail(query: ResolvedQuery, signal: AbortSignal): AsyncGenerator<LogRecord[]> {
		this.#refuseWhenClosed()
		const end = await this.#stream.end(signal)
		const place = await this.#stream.seek(end, (message) => !isWanted(query, message))
		const walk = this.#walkBehind(place, query)
		for await (const message of this.#stream.follow(place, signal)) {
			const batch = applyGapRule(walk.take(message), query.gaps, this.path)
			if (batch.length > 0) yield batch
			if (walk.isPastEnd) return
		}
		this.#refuseWhenClosed()
	}

	/** Some messages at a time, the last ones first; each time they are read forward and handed out backward. */
	async *#backward(query: ResolvedQuery): AsyncGenerator<LogRecord[]> {
		const end = await this.#stream.end()
		if (end.last === undefined) return
		const place = await this.#stream.seek(end, (message) => !isWanted(query, message))
		const given = new SeqRanges()
		/** The oldest frame that was read; nothing is known yet of what is missing before it. */
		let oldest: Frame | undefined
		/** Something that cannot be read stands before it. */
		let isDamaged = false
		const missingBehind = (walk: Walk) =>
			oldest === undefined ? walk.end(end.last!) : walk.before(oldest, isDamaged)
		for await (const messages of this.#stream.readBackward(place, end)) {
			const walk = new Walk(query, { isHead: false, given, notes: this.#notes })
			const found = messages.flatMap((message) => walk.take(message))
			const at = messages.findIndex(({ frames }) => frames.length > 0)
			if (at >= 0 || oldest === undefined) found.push(...missingBehind(walk))
			if (found.length > 0) yield found.reverse()
			const first = messages[at] ?? (oldest === undefined ? end.last : undefined)
			oldest = olderOf(first?.frames[0], oldest)
			isDamaged = at > 0 || (at < 0 && (isDamaged || messages.length > 0))
		}
		const head = missingBehind(this.#walkBehind(place, query, given))
		if (head.length > 0) yield head.reverse()
	}

	#walkBehind({ before }: ChainReaderPosition, query: ResolvedQuery, given = new SeqRanges()): Walk {
		const walk = new Walk(query, { isHead: before === undefined, given, notes: this.#notes })
		if (before !== undefined) walk.take(before)
		return walk
	}
}

/** Whether a message, or one behind it, can hold a record that is asked for. */
function isWanted({ fromSeq, sinceMs }: ResolvedQuery, { frames, sums }: StreamMessage): boolean {
	const frame = frames.at(-1)
	if (frame === undefined) return true
	return frame.baseSeq + frame.rows > fromSeq && (sums?.maxTsMs ?? Number.POSITIVE_INFINITY) >= sinceMs
}

/** In the order of the chain; subjects that are joined may have the same records. */
function olderOf(a: Frame | undefined, b: Frame | undefined): Frame | undefined {
	if (a === undefined || b === undefined) return a ?? b
	return a.epoch - b.epoch || a.baseSeq - b.baseSeq < 0 ? a : b
}
