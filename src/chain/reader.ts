/**
 * Reads a chain: frames that cannot match are passed over unread, rows are decoded a frame at a time, what cannot be read
 * becomes a `$gap`. Never writes, never blocks the writer, and never sees half a frame.
 */
import { MeshChainError } from '../errors.ts'
import { matches, type ResolvedFilter, resolveFilter } from '../filter.ts'
import { type GapData, isGap, type LogRecord, show } from '../record.ts'
import type { Chain, ChainEndInfo, ChainInfo, ChainQuery } from './chain.ts'
import { Continuity, rowsOf } from './continuity.ts'
import { ANCHOR_BYTES, type Anchor } from './format/anchor.ts'
import { FLAG_CONTROL, type Frame, LEVELS_MASK } from './format/frame.ts'
import { HEADER_BYTES } from './format/header.ts'
import { gatherInfo, stateOf } from './info.ts'
import { readHolder } from './lock.ts'
import { type ChainIdentity, lastAnchorIn } from './recovery.ts'
import type { ScanEntry } from './scan.ts'
import { type OpenFile, readPiece, walkFile } from './walk.ts'

const WINDOW_BYTES = 64 * 1024
const QUERY_KEYS = ['limit', 'reverse', 'gaps'] as const

interface ResolvedQuery extends ResolvedFilter {
	readonly limit: number
	readonly reverse: boolean
	readonly gaps: 'yield' | 'throw' | 'skip'
	/** The frame flags of which one must be set for a frame to matter. */
	readonly flagsWanted: number
}

export class FileChain implements Chain {
	readonly path: string
	readonly chainId: string
	readonly #file: OpenFile
	readonly #identity: ChainIdentity
	#closing: Promise<void> | undefined

	constructor(path: string, file: OpenFile, identity: ChainIdentity) {
		this.path = path
		this.chainId = identity.idHex
		this.#file = file
		this.#identity = identity
	}

	records(query: ChainQuery = {}): AsyncIterable<LogRecord> {
		const batches = this.batches(query)
		return { [Symbol.asyncIterator]: () => eachRecord(batches) }
	}

	batches(query: ChainQuery = {}): AsyncIterable<LogRecord[]> {
		const resolved = resolveQuery(query)
		return { [Symbol.asyncIterator]: () => this.#limited(resolved) }
	}

	async info(): Promise<ChainInfo> {
		this.#refuseWhenClosed()
		return gatherInfo(this.path, this.#file, this.#identity)
	}

	async end(): Promise<ChainEndInfo> {
		this.#refuseWhenClosed()
		const { size } = await this.#file.system.fstat(this.#file.fd)
		let last = await this.#anchorBefore(size)
		let tornBytes = 0
		let damagedBytes = 0
		for await (const entries of this.#walk(last?.offset ?? HEADER_BYTES, size)) {
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
		for await (const batch of query.reverse ? this.#backward(query) : this.#forward(query)) {
			this.#refuseWhenClosed()
			const wanted = this.#applyGapRule(batch, query)
			const cut = left === Number.POSITIVE_INFINITY ? wanted : firstRecords(wanted, left)
			left -= left === Number.POSITIVE_INFINITY ? 0 : countRecords(cut)
			if (cut.length > 0) yield cut
			if (left === 0) return
			this.#refuseWhenClosed()
		}
	}

	#applyGapRule(batch: LogRecord[], query: ResolvedQuery): LogRecord[] {
		if (query.gaps === 'yield' || !batch.some(isGap)) return batch
		const gap = batch.find(isGap)
		if (query.gaps === 'skip' || gap === undefined) return batch.filter((record) => !isGap(record))
		throw new MeshChainError('CHAIN_GAP', `${show(this.path)}: ${gap.message}`, {
			path: this.path,
			seq: (gap.data as GapData).fromSeq,
		})
	}

	async *#forward(query: ResolvedQuery): AsyncGenerator<LogRecord[]> {
		this.#refuseWhenClosed()
		const { size } = await this.#file.system.fstat(this.#file.fd)
		const collector = new Collector(query, undefined)
		for await (const entries of this.#walk(HEADER_BYTES, size)) {
			for (const entry of entries) {
				const batch = collector.take(entry)
				if (batch.length > 0) yield batch
				if (collector.isPastEnd) return
			}
		}
	}

	/** Span by span from the end: each lies between two anchors, so what is held is what one span holds. */
	async *#backward(query: ResolvedQuery): AsyncGenerator<LogRecord[]> {
		this.#refuseWhenClosed()
		let { size: end } = await this.#file.system.fstat(this.#file.fd)
		for (let next = 0; end > HEADER_BYTES; next = ANCHOR_BYTES) {
			const anchor = await this.#anchorBefore(end)
			const start = anchor?.offset ?? HEADER_BYTES
			const collector = new Collector(query, anchor)
			const found: LogRecord[] = []
			// The anchor behind the span says which records a bad place at its end held.
			for await (const entries of this.#walk(start, end + next)) {
				for (const entry of entries) found.push(...collector.take(entry))
			}
			if (found.length > 0) yield found.reverse()
			if (anchor !== undefined && anchor.nextSeq <= query.fromSeq) return
			end = start
		}
	}

	async *#walk(from: number, to: number): AsyncGenerator<ScanEntry[]> {
		for await (const entries of walkFile(this.#file, from, to)) {
			this.#refuseWhenClosed()
			yield entries
		}
	}

	async #anchorBefore(end: number): Promise<Anchor | undefined> {
		for (let windowEnd = end; windowEnd > HEADER_BYTES; ) {
			const start = Math.max(HEADER_BYTES, windowEnd - WINDOW_BYTES)
			const window = await readPiece(this.#file, windowEnd - start, start)
			const anchor = lastAnchorIn(window, start, this.#file.idChecksum)
			if (anchor !== undefined) return anchor
			windowEnd = start === HEADER_BYTES ? start : start + ANCHOR_BYTES - 1
		}
		return undefined
	}
}

/** Turns entries into the records that match. */
class Collector {
	readonly #query: ResolvedQuery
	readonly #continuity: Continuity
	isPastEnd = false

	constructor(query: ResolvedQuery, anchor: Anchor | undefined) {
		this.#query = query
		this.#continuity = new Continuity(anchor)
	}

	take(entry: ScanEntry): LogRecord[] {
		const continuity = this.#continuity
		if (entry.type === 'bad') return this.#matching(continuity.badEnd(entry.place))
		if (entry.type === 'anchor') return this.#matching(continuity.anchor(entry.anchor))
		const { frame } = entry
		if (frame.baseSeq > this.#query.toSeq && (frame.flags & FLAG_CONTROL) === 0) this.isPastEnd = true
		const before = this.#matching(continuity.frame(frame))
		if (!this.#mayMatch(frame)) return before
		const rows = rowsOf(frame)
		if (rows === undefined) return [...before, ...this.#matching(unreadableRows(frame))]
		const found = rows.filter((record) => matches(record, this.#query))
		return before.length === 0 ? found : [...before, ...found]
	}

	#matching(gap: LogRecord | undefined): LogRecord[] {
		return gap !== undefined && matches(gap, this.#query) ? [gap] : []
	}

	#mayMatch(frame: Frame): boolean {
		const { fromSeq, toSeq, flagsWanted } = this.#query
		if (frame.baseSeq + frame.rows - 1 < fromSeq) return false
		if ((frame.flags & FLAG_CONTROL) !== 0) return true
		return frame.baseSeq <= toSeq && (frame.flags & flagsWanted) !== 0
	}
}

/** A frame whose checksum holds and whose rows make no sense: written by something else than mesh-chain. */
function unreadableRows(frame: Frame): LogRecord<'$gap', GapData> {
	const continuity = new Continuity(undefined)
	continuity.nextSeq = frame.baseSeq
	const gap = continuity.anchor({ nextSeq: frame.baseSeq + frame.rows, epoch: frame.epoch } as Anchor)
	return gap as LogRecord<'$gap', GapData>
}

function resolveQuery(query: ChainQuery): ResolvedQuery {
	const filter = resolveFilter(query, QUERY_KEYS)
	const { limit = Number.POSITIVE_INFINITY, reverse = false, gaps = 'yield' } = query
	if (limit !== Number.POSITIVE_INFINITY && (!Number.isSafeInteger(limit) || limit < 0)) {
		throw invalidQuery('limit', limit, 'a whole number from 0')
	}
	if (typeof reverse !== 'boolean') throw invalidQuery('reverse', reverse, 'true or false')
	if (gaps !== 'yield' && gaps !== 'throw' && gaps !== 'skip') {
		throw invalidQuery('gaps', gaps, "'yield', 'throw' or 'skip'")
	}
	const flagsWanted = (LEVELS_MASK << filter.levelIndexMin) & LEVELS_MASK
	return { ...filter, limit, reverse, gaps, flagsWanted }
}

function invalidQuery(key: string, value: unknown, allowed: string): MeshChainError {
	return new MeshChainError('INVALID_FILTER', `${key} must be ${allowed}, not ${show(value)}`)
}

/** The first `count` records that are no gaps, with the gaps between them. */
function firstRecords(batch: LogRecord[], count: number): LogRecord[] {
	let left = count
	const end = batch.findIndex((record) => !isGap(record) && left-- === 0)
	return end < 0 ? batch : batch.slice(0, end)
}

function countRecords(batch: LogRecord[]): number {
	return batch.reduce((count, record) => count + (isGap(record) ? 0 : 1), 0)
}

async function* eachRecord(batches: AsyncIterable<LogRecord[]>): AsyncGenerator<LogRecord> {
	for await (const batch of batches) yield* batch
}
