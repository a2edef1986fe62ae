/**
 * A `Chain` whose records are in a stream. It supports the same queries as a chain in a file, and answers
 * them with requests to the servers.
 */
import {
	applyGapRule,
	type Chain,
	type ChainEndInfo,
	type ChainInfo,
	type ChainInfoOptions,
	type ChainQuery,
	type Frame,
	INFO_OPTIONS,
	limitBatches,
	RecordIterator,
	type ResolvedQuery,
	recordsOf,
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
import { StreamWalk } from './stream-walk.ts'
import type { StreamMessage } from './subject-reader.ts'

/** A chain in a stream. */
export class StreamChain implements Chain {
	readonly path: string
	readonly chainId: string
	/** Node of the chain's oldest subject. */
	readonly node: string
	readonly #reader: ChainReader
	readonly #notes: StreamNotes
	readonly #release: () => Promise<void>
	readonly #over = new AbortController()

	/** @param release Called when the chain is closed. */
	constructor(address: string, reader: ChainReader, release: () => Promise<void>) {
		this.#reader = reader
		this.#notes = new StreamNotes(reader)
		this.#release = release
		this.chainId = reader.chainId
		this.node = reader.node
		this.path = `${address}?chain=${this.chainId}`
	}

	/** See {@link Chain.records}. */
	records(query: ChainQuery = {}): AsyncIterable<LogRecord> {
		return recordsOf(this.batches(query))
	}

	/** See {@link Chain.batches}. */
	batches(query: ChainQuery = {}): AsyncIterable<LogRecord[]> {
		const resolved = resolveQuery(query)
		return { [Symbol.asyncIterator]: () => this.#batches(resolved) }
	}

	/** See {@link Chain.tail}. */
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

	/**
	 * See {@link Chain.info}. For a chain with one subject, the result comes from the sums in the first and the
	 * last message.
	 */
	async info(options: ChainInfoOptions = {}): Promise<ChainInfo> {
		INFO_OPTIONS.resolve(options)
		this.#refuseWhenClosed()
		return infoOf(this.path, this.#reader, this.#notes)
	}

	/**
	 * Describes the end of the chain. The state is always `open`, because the servers do not know how the file
	 * ends. `damagedBytes` covers forks, the last message of each subject, and all messages read so far.
	 */
	async end(): Promise<ChainEndInfo> {
		this.#refuseWhenClosed()
		const { lasts } = await this.#reader.end()
		for (const last of lasts) if (last !== undefined) this.#notes.inspect(last)
		const { damagedBytes } = this.#notes
		return { state: 'open', exitCode: undefined, holder: undefined, tornBytes: 0, damagedBytes }
	}

	/**
	 * Closes the chain and releases the connection. Idempotent. Running iterations reject with `CHAIN_CLOSED`.
	 */
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
		throw new MeshChainError(
			'CHAIN_CLOSED',
			`the chain ${show(this.path)} was closed while it was being read`,
			{ path: this.path },
		)
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
		const end = await this.#reader.end()
		if (end.last === undefined) return
		const position = await this.#reader.seek(end, (message) => !isWanted(query, message))
		const walk = this.#walkAfter(position, query)
		for await (const message of this.#reader.read(position, end)) {
			const batch = walk.recordsIn(message)
			if (batch.length > 0) yield batch
			if (walk.isPastEnd) return
		}
		const missing = walk.missingAtEnd(end.last)
		if (missing.length > 0) yield missing
	}

	async *#tail(query: ResolvedQuery, signal: AbortSignal): AsyncGenerator<LogRecord[]> {
		this.#refuseWhenClosed()
		const end = await this.#reader.end(signal)
		const position = await this.#reader.seek(end, (message) => !isWanted(query, message))
		const walk = this.#walkAfter(position, query)
		for await (const message of this.#reader.follow(position, signal)) {
			const batch = applyGapRule(walk.recordsIn(message), query.gaps, this.path)
			if (batch.length > 0) yield batch
			if (walk.isPastEnd) return
		}
		this.#refuseWhenClosed()
	}

	/** Reads groups of messages, last group first. Each group is read forward and returned backward. */
	async *#backward(query: ResolvedQuery): AsyncGenerator<LogRecord[]> {
		const end = await this.#reader.end()
		if (end.last === undefined) return
		const position = await this.#reader.seek(end, (message) => !isWanted(query, message))
		const seen = new SeqRanges()
		/** Oldest frame read so far. The next group shows which records are missing before this frame. */
		let oldest: Frame | undefined
		/** Whether an unreadable message precedes that frame. */
		let isDamaged = false
		const missingAfter = (walk: StreamWalk) =>
			oldest === undefined ? walk.missingAtEnd(end.last!) : walk.gapBefore(oldest, isDamaged)
		for await (const messages of this.#reader.readBackward(position, end)) {
			const walk = new StreamWalk(query, { isFromStart: false, seen, notes: this.#notes })
			const found = messages.flatMap((message) => walk.recordsIn(message))
			const at = messages.findIndex(({ frames }) => frames.length > 0)
			if (at >= 0 || oldest === undefined) found.push(...missingAfter(walk))
			if (found.length > 0) yield found.reverse()
			const first = messages[at] ?? (oldest === undefined ? end.last : undefined)
			oldest = olderOf(first?.frames[0], oldest)
			isDamaged = at > 0 || (at < 0 && (isDamaged || messages.length > 0))
		}
		const missing = missingAfter(this.#walkAfter(position, query, seen))
		if (missing.length > 0) yield missing.reverse()
	}

	/**
	 * Starts a walk at the last message before a position, so that the walk detects records that are missing
	 * after that message.
	 */
	#walkAfter({ previous }: ChainReaderPosition, query: ResolvedQuery, seen = new SeqRanges()): StreamWalk {
		const walk = new StreamWalk(query, { isFromStart: previous === undefined, seen, notes: this.#notes })
		if (previous !== undefined) walk.recordsIn(previous)
		return walk
	}
}

/** Returns whether a message, or an earlier one, can contain a requested record. */
function isWanted({ fromSeq, sinceMs }: ResolvedQuery, { frames, sums }: StreamMessage): boolean {
	const frame = frames.at(-1)
	if (frame === undefined) return true
	return frame.baseSeq + frame.rows > fromSeq && (sums?.maxTsMs ?? Number.POSITIVE_INFINITY) >= sinceMs
}

/** Returns the frame that comes first in chain order. Joined subjects may share records. */
function olderOf(a: Frame | undefined, b: Frame | undefined): Frame | undefined {
	if (a === undefined || b === undefined) return a ?? b
	return a.epoch - b.epoch || a.baseSeq - b.baseSeq < 0 ? a : b
}
