/**
 * Reads a chain: stretches and frames that cannot match are passed over, rows are decoded a frame at a time, what cannot be
 * read becomes a `$gap`. Never writes, never blocks the writer, and never sees half a frame.
 */
import { MeshChainError } from '../errors.ts'
import { isGap, type LogRecord, show } from '../record.ts'
import type { Chain, ChainEndInfo, ChainInfo, ChainQuery, TailQuery } from './chain.ts'
import { HEADER_BYTES } from './format/header.ts'
import { gatherInfo, stateOf } from './info.ts'
import { readHolder } from './lock.ts'
import { applyGapRule, Collector, type ResolvedQuery, resolveQuery } from './query.ts'
import { RecordIterator } from './record-iterator.ts'
import type { ChainIdentity } from './recovery.ts'
import { findStretches, type Stretch, wholeFile } from './seek.ts'
import { resolveTail, Tail } from './tail.ts'
import { anchorBefore, type OpenFile, walkFile } from './walk.ts'

export class FileChain implements Chain {
	readonly path: string
	readonly chainId: string
	readonly #file: OpenFile
	readonly #identity: ChainIdentity
	#closing: Promise<void> | undefined

	constructor(file: OpenFile, identity: ChainIdentity) {
		this.path = file.path
		this.chainId = identity.idHex
		this.#file = file
		this.#identity = identity
	}

	records(query: ChainQuery = {}): AsyncIterable<LogRecord> {
		const batches = this.batches(query)
		return { [Symbol.asyncIterator]: () => new RecordIterator(batches[Symbol.asyncIterator]()) }
	}

	batches(query: ChainQuery = {}): AsyncIterable<LogRecord[]> {
		const resolved = resolveQuery(query)
		return { [Symbol.asyncIterator]: () => this.#limited(resolved) }
	}

	tail(query: TailQuery = {}): AsyncIterable<LogRecord> {
		const resolved = resolveTail(query)
		return {
			[Symbol.asyncIterator]: () => {
				const tail = new Tail(this.#file, resolved, () => this.#refuseWhenClosed())
				return new RecordIterator(tail.batches(), () => tail.stop())
			},
		}
	}

	async info(): Promise<ChainInfo> {
		this.#refuseWhenClosed()
		return gatherInfo(this.#file, this.#identity)
	}

	async end(): Promise<ChainEndInfo> {
		this.#refuseWhenClosed()
		const { size } = await this.#file.system.fstat(this.#file.fd)
		let last = await anchorBefore(this.#file, size)
		let tornBytes = 0
		let damagedBytes = 0
		for await (const entries of walkFile(this.#file, last?.offset ?? HEADER_BYTES, size)) {
			for (const entry of entries) {
				if (entry.type === 'frame') last = undefined
				else if (entry.type === 'bad' && entry.place.torn) tornBytes = entry.place.bytes
				else if (entry.type === 'bad' && entry.place.atEnd) damagedBytes = entry.place.bytes
			}
		}
		const closed = last?.reason === 'closed' ? last : undefined
		const holder = closed === undefined ? readHolder(this.#file.system, this.path) : undefined
		const state = stateOf(closed, holder !== undefined)
		const exitCode = state === 'exited' ? closed?.detail : undefined
		return { state, exitCode, holder, tornBytes, damagedBytes }
	}

	close(): Promise<void> {
		this.#closing ??= this.#file.system.close(this.#file.fd)
		return this.#closing
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.close()
	}

	#refuseWhenClosed(): void {
		if (this.#closing === undefined) return
		throw new MeshChainError('CHAIN_CLOSED', `the chain ${show(this.path)} was closed while it was read`, {
			path: this.path,
		})
	}

	/** The matching batches, cut to the limit. */
	async *#limited(query: ResolvedQuery): AsyncGenerator<LogRecord[]> {
		let left = query.limit
		if (left === 0) return
		try {
			for await (const batch of this.#matching(query)) {
				this.#refuseWhenClosed()
				const wanted = applyGapRule(batch, query.gaps, this.path)
				const cut = left === Number.POSITIVE_INFINITY ? wanted : firstRecords(wanted, left)
				if (left !== Number.POSITIVE_INFINITY) left -= countRecords(cut)
				if (cut.length > 0) yield cut
				if (left === 0) return
				this.#refuseWhenClosed()
			}
		} catch (error) {
			// A read of a file that was closed meanwhile fails in ways that say less.
			this.#refuseWhenClosed()
			throw error
		}
	}

	async *#matching(query: ResolvedQuery): AsyncGenerator<LogRecord[]> {
		this.#refuseWhenClosed()
		const { size } = await this.#file.system.fstat(this.#file.fd)
		if (query.isEverything && !query.reverse) {
			yield* this.#forward(wholeFile(size), query)
			return
		}
		for await (const stretch of findStretches(this.#file, size, query)) {
			yield* query.reverse ? this.#backward(stretch, query) : this.#forward(stretch, query)
		}
	}

	async *#forward(stretch: Stretch, query: ResolvedQuery): AsyncGenerator<LogRecord[]> {
		const collector = new Collector(query, stretch.anchor)
		for await (const entries of walkFile(this.#file, stretch.from, stretch.to)) {
			for (const entry of entries) {
				const batch = collector.take(entry)
				if (batch.length > 0) yield batch as LogRecord[]
				if (collector.isPastEnd) return
			}
		}
	}

	async *#backward(stretch: Stretch, query: ResolvedQuery): AsyncGenerator<LogRecord[]> {
		const found: LogRecord[] = []
		for await (const batch of this.#forward(stretch, query)) for (const record of batch) found.push(record)
		if (found.length > 0) yield found.reverse()
	}
}

/** Up to the `count`th record that is no gap, with the gaps before it. */
function firstRecords(batch: LogRecord[], count: number): LogRecord[] {
	let left = count
	const last = batch.findIndex((record) => !isGap(record) && --left === 0)
	return last < 0 ? batch : batch.slice(0, last + 1)
}

function countRecords(batch: LogRecord[]): number {
	return batch.reduce((count, record) => count + (isGap(record) ? 0 : 1), 0)
}
