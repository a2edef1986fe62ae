/** What a reader was asked for, checked and in full, and which entries of a chain answer it. */

import { show } from '../../guard/show.ts'
import { MeshChainError } from '../../model/errors.ts'
import { matches, type ResolvedFilter, resolveFilter } from '../../model/filter.ts'
import { type GapData, isGap, isOwnKind, type LogRecord } from '../../model/record.ts'
import type { ChainQuery } from '../chain.ts'
import { type Anchor, type Extent, PRESENCE_GAP, PRESENCE_PLAIN } from '../format/anchor.ts'
import { FLAG_CONTROL, type Frame, LEVELS_MASK } from '../format/frame.ts'
import { Continuity, type ContinuityMark, unreadableRows, type WalkedFile } from '../scan/continuity.ts'
import { rowBatchesOf } from '../scan/frame-rows.ts'
import type { ScanEntry } from '../scan/scan.ts'

const QUERY_KEYS = ['limit', 'reverse', 'gaps'] as const

export interface ResolvedQuery extends ResolvedFilter {
	readonly limit: number
	readonly reverse: boolean
	readonly gaps: 'yield' | 'throw' | 'skip'
	/** The levels wanted, as bits: those of frame flags and of {@link Extent.presence}. */
	readonly levelsWanted: number
	/** Only kinds of mesh-chain's own are wanted. */
	readonly isOwnOnly: boolean
	/** No condition at all. */
	readonly isEverything: boolean
}

/**
 * Checks a query. Keys that `extraKeys` names belong to the caller and are passed over.
 *
 * @throws {MeshChainError} `INVALID_FILTER` or `INVALID_LEVEL`
 */
export function resolveQuery(query: ChainQuery, extraKeys: readonly string[] = []): ResolvedQuery {
	const filter = resolveFilter(query, [...QUERY_KEYS, ...extraKeys])
	const { limit = Number.POSITIVE_INFINITY, reverse = false, gaps = 'yield' } = query
	if (limit !== Number.POSITIVE_INFINITY && (!Number.isSafeInteger(limit) || limit < 0)) {
		throw invalidQuery('limit', limit, 'a whole number from 0')
	}
	if (typeof reverse !== 'boolean') throw invalidQuery('reverse', reverse, 'true or false')
	if (gaps !== 'yield' && gaps !== 'throw' && gaps !== 'skip') {
		throw invalidQuery('gaps', gaps, "'yield', 'throw' or 'skip'")
	}
	const levelsWanted = (LEVELS_MASK << filter.levelIndexMin) & LEVELS_MASK
	// Listed one by one: what a spread makes has a new shape each time, and V8 compiles the readers for one shape.
	return {
		levelIndexMin: filter.levelIndexMin,
		kinds: filter.kinds,
		anyOwnKind: filter.anyOwnKind,
		daemonId: filter.daemonId,
		nodeId: filter.nodeId,
		grep: filter.grep,
		fromSeq: filter.fromSeq,
		toSeq: filter.toSeq,
		sinceMs: filter.sinceMs,
		untilMs: filter.untilMs,
		limit,
		reverse,
		gaps,
		levelsWanted,
		isOwnOnly: filter.kinds !== undefined && [...filter.kinds].every(isOwnKind),
		isEverything: isEverything(filter),
	}
}

/** Whether a stretch of this extent can hold a record that matches, or a gap, which always does. */
export function mayHold(query: ResolvedQuery, extent: Extent): boolean {
	if ((extent.presence & PRESENCE_GAP) !== 0) return true
	if (query.isOwnOnly && (extent.presence & PRESENCE_PLAIN) !== 0) return false
	return (
		(extent.presence & query.levelsWanted) !== 0 &&
		extent.minTsMs <= query.untilMs &&
		extent.maxTsMs >= query.sinceMs
	)
}

/** Whether no part of a stretch of this extent can be passed over because of times, levels or kinds. */
export function isWithin(query: ResolvedQuery, extent: Extent): boolean {
	return (
		query.levelIndexMin === 0 &&
		!query.isOwnOnly &&
		extent.minTsMs >= query.sinceMs &&
		extent.maxTsMs <= query.untilMs
	)
}

/** Batches in order; each call of `at` may make one anew. */
export interface Batches<T> {
	readonly length: number
	at(index: number): readonly T[] | undefined
}

/** All of them, where there are few. */
export function inOne<T>(batches: Batches<T>): readonly T[] {
	if (batches.length === 1) return batches.at(0)!
	return Array.from({ length: batches.length }, (_unused, index) => batches.at(index)!).flat()
}

/** What a walk hands out: records, or frames as they are (frames.ts). */
export interface View<T> {
	/** @param anchor where the stretch begins; undefined for the beginning of the file. */
	collector(query: ResolvedQuery, anchor: Anchor | undefined, file: WalkedFile): EntryCollector<T>
	/** A gap that stands between files. */
	ofGap(gap: LogRecord): T
	/** The last seq that one of them speaks for. */
	lastSeqOf(item: T): number
}

/** Takes the entries of one stretch, in order. */
export interface EntryCollector<T> {
	/** Nothing that comes later in the file can match. */
	isPastEnd: boolean
	/** What an entry comes to, as far as it matches; the rows of a large frame are decoded a batch at a time, when they are asked for. */
	take(entry: ScanEntry): Batches<T>
	/** Moves past an entry without looking at its rows. */
	pass(entry: ScanEntry): void
	/** Where it is: another collector of the same file that goes on there takes the entries that follow as this one would. */
	mark(): ContinuityMark
	goOnAt(mark: ContinuityMark): void
	/** What is missing before the first seq of the next file. */
	upTo(nextSeq: number, cause?: GapData['cause']): readonly T[]
}

export const RECORDS: View<LogRecord> = {
	collector: (query, anchor, file) => new Collector(query, anchor, file),
	ofGap: (gap) => gap,
	lastSeqOf: ({ seq }) => seq,
}

/** Turns the entries of one stretch into the records that match. */
export class Collector implements EntryCollector<LogRecord> {
	readonly #query: ResolvedQuery
	readonly #continuity: Continuity
	isPastEnd = false

	constructor(query: ResolvedQuery, anchor: Anchor | undefined, file: WalkedFile) {
		this.#query = query
		this.#continuity = new Continuity(anchor, file)
	}

	upTo(nextSeq: number, cause?: GapData['cause']): readonly LogRecord[] {
		return this.#matching(this.#continuity.upTo(nextSeq, cause))
	}

	take(entry: ScanEntry): Batches<LogRecord> {
		const gap = this.#move(entry)
		const before = gap === undefined ? NOTHING : this.#matching(gap)
		if (entry.type !== 'frame' || !this.#mayMatch(entry.frame)) return before.length === 0 ? NONE : [before]
		const { frame } = entry
		const rows = rowBatchesOf(frame, this.#levelIndexMinIn(frame))
		if (rows === undefined) return [[...before, ...this.#matching(unreadableRows(frame))]]
		if (rows.length > 1) return this.#lazily(before, rows)
		const found = this.#wanted(rows.at(0)!)
		return [before.length === 0 ? found : [...before, ...found]]
	}

	pass(entry: ScanEntry): void {
		this.#move(entry)
	}

	mark(): ContinuityMark {
		return this.#continuity.mark()
	}

	goOnAt(mark: ContinuityMark): void {
		this.#continuity.goOnAt(mark)
	}

	/** The gap before an entry, or in its place. */
	#move(entry: ScanEntry): LogRecord | undefined {
		const continuity = this.#continuity
		if (entry.type === 'bad') return continuity.bad(entry.place)
		if (entry.type === 'anchor') return continuity.anchor(entry.anchor)
		const { frame } = entry
		if (frame.baseSeq + frame.rows > this.#query.toSeq) this.isPastEnd = true
		return continuity.frame(frame)
	}

	#lazily(before: readonly LogRecord[], rows: Batches<LogRecord>): Batches<LogRecord> {
		const first = before.length === 0 ? 0 : 1
		const at = (index: number) => (index < first ? before : this.#wanted(rows.at(index - first) ?? NOTHING))
		return { length: rows.length + first, at }
	}

	#wanted(rows: readonly LogRecord[]): readonly LogRecord[] {
		return this.#query.isEverything ? rows : rows.filter((record) => matches(record, this.#query))
	}

	#matching(gap: LogRecord | undefined): readonly LogRecord[] {
		return gap !== undefined && matches(gap, this.#query) ? [gap] : NOTHING
	}

	/** A gap passes every level. */
	#levelIndexMinIn(frame: Frame): number {
		return (frame.flags & FLAG_CONTROL) === 0 ? this.#query.levelIndexMin : 0
	}

	#mayMatch(frame: Frame): boolean {
		const { fromSeq, toSeq, levelsWanted, isOwnOnly } = this.#query
		if (frame.baseSeq + frame.rows - 1 < fromSeq) return false
		if (this.#query.isEverything || (frame.flags & FLAG_CONTROL) !== 0) return true
		return !isOwnOnly && frame.baseSeq <= toSeq && (frame.flags & levelsWanted) !== 0
	}
}

const NOTHING: readonly LogRecord[] = Object.freeze([])
const NONE: readonly (readonly LogRecord[])[] = Object.freeze([])

/**
 * Does with the gaps of a batch what the query asks for.
 *
 * @throws {MeshChainError} `CHAIN_GAP` with `gaps: 'throw'`.
 */
export function applyGapRule(batch: LogRecord[], gaps: ResolvedQuery['gaps'], path: string): LogRecord[] {
	if (gaps === 'yield' || !batch.some(isGap)) return batch
	if (gaps === 'skip') return batch.filter((record) => !isGap(record))
	const gap = batch.find(isGap)!
	throw new MeshChainError('CHAIN_GAP', `${show(path)}: ${gap.message}`, {
		path,
		seq: (gap.data as GapData).fromSeq,
	})
}

function isEverything(filter: ResolvedFilter): boolean {
	const { kinds, daemonId, nodeId, grep, fromSeq, toSeq, sinceMs, untilMs } = filter
	const anySeq = fromSeq <= 1 && toSeq === Number.POSITIVE_INFINITY
	const anyTime = sinceMs === Number.NEGATIVE_INFINITY && untilMs === Number.POSITIVE_INFINITY
	const anyName = kinds === undefined && daemonId === undefined && nodeId === undefined
	return filter.levelIndexMin === 0 && anySeq && anyTime && anyName && grep === undefined
}

function invalidQuery(key: string, value: unknown, allowed: string): MeshChainError {
	return new MeshChainError('INVALID_FILTER', `${key} must be ${allowed}, not ${show(value)}`)
}
