/**
 * Converts the entries of a walk to the results that a reader receives: records or whole frames, with a gap
 * wherever records are missing. query.ts and `matches` decide which results match a query.
 */
import { matches } from '../../model/filter.ts'
import type { GapData, LogRecord } from '../../model/record.ts'
import type { Anchor } from '../format/anchor.ts'
import { FLAG_CONTROL, type Frame } from '../format/frame.ts'
import { Continuity, type ContinuityState, unreadableRows, type WalkedFile } from '../scan/continuity.ts'
import { rowBatchesOf } from '../scan/frame-rows.ts'
import type { ScanEntry } from '../scan/scan.ts'
import { mayHoldRow, type ResolvedQuery } from './query.ts'

/** A list of batches, in order. Each call to `at` may build the batch again. */
export interface Batches<T> {
	readonly length: number
	at(index: number): readonly T[] | undefined
}

/** Concatenates all batches. Suitable only for small amounts of data. */
export function inOne<T>(batches: Batches<T>): readonly T[] {
	if (batches.length === 1) return batches.at(0)!
	return Array.from({ length: batches.length }, (_unused, index) => batches.at(index)!).flat()
}

/** The form in which a walk returns its results: records, or whole frames. */
export interface View<T> {
	/** @param anchor the anchor at which the stretch begins; undefined at the beginning of the file. */
	collector(query: ResolvedQuery, anchor: Anchor | undefined, file: WalkedFile): EntryCollector<T>
	/** Converts a gap between two files to an item. */
	ofGap(gap: LogRecord): T
	/** Returns the last seq that an item covers. */
	lastSeqOf(item: T): number
}

/** Processes the entries of one stretch of a file, in order. */
export abstract class EntryCollector<T> {
	/** Whether no later entry of the file can match. */
	isPastEnd = false
	protected readonly query: ResolvedQuery
	readonly #continuity: Continuity

	constructor(query: ResolvedQuery, anchor: Anchor | undefined, file: WalkedFile) {
		this.query = query
		this.#continuity = new Continuity(anchor, file)
	}

	/**
	 * Returns the matching part of an entry. The rows of a large frame are decoded one batch at a time, on
	 * demand.
	 */
	abstract take(entry: ScanEntry): Batches<T>

	protected abstract ofGap(gap: LogRecord): T

	/**
	 * Moves past an entry without decoding its rows. Returns the gap before the entry, or the gap that replaces
	 * the entry.
	 */
	pass(entry: ScanEntry): LogRecord | undefined {
		if (entry.type === 'frame' && entry.frame.baseSeq + entry.frame.rows > this.query.toSeq)
			this.isPastEnd = true
		return this.#continuity.entry(entry)
	}

	/**
	 * Returns the current state. Another collector for the same file that resumes from this state returns the
	 * same results for the next entries.
	 */
	state(): ContinuityState {
		return this.#continuity.state()
	}

	resumeAt(state: ContinuityState): void {
		this.#continuity.resumeAt(state)
	}

	/** Returns the gap before the first seq of the next file, if there is one. */
	upTo(nextSeq: number, cause?: GapData['cause']): readonly T[] {
		return this.matching(this.#continuity.upTo(nextSeq, cause))
	}

	protected matching(gap: LogRecord | undefined): readonly T[] {
		return gap !== undefined && matches(gap, this.query) ? [this.ofGap(gap)] : NOTHING
	}
}

const NOTHING: readonly never[] = Object.freeze([])
const NO_BATCHES: readonly (readonly never[])[] = Object.freeze([])

/** The view that returns matching records. */
export const RECORDS: View<LogRecord> = {
	collector: (query, anchor, file) => new RecordCollector(query, anchor, file),
	ofGap: (gap) => gap,
	lastSeqOf: ({ seq }) => seq,
}

export class RecordCollector extends EntryCollector<LogRecord> {
	take(entry: ScanEntry): Batches<LogRecord> {
		const gap = this.pass(entry)
		const before = gap === undefined ? NOTHING : this.matching(gap)
		if (entry.type !== 'frame' || !mayHoldRow(this.query, entry.frame)) {
			return before.length === 0 ? NO_BATCHES : [before]
		}
		const { frame } = entry
		const rows = rowBatchesOf(frame, this.#levelIndexMinIn(frame))
		if (rows === undefined) return [[...before, ...this.matching(unreadableRows(frame))]]
		if (rows.length > 1) return this.#lazily(before, rows)
		const found = this.#wanted(rows.at(0)!)
		return [before.length === 0 ? found : [...before, ...found]]
	}

	protected ofGap(gap: LogRecord): LogRecord {
		return gap
	}

	#lazily(before: readonly LogRecord[], rows: Batches<LogRecord>): Batches<LogRecord> {
		const first = before.length === 0 ? 0 : 1
		const at = (index: number) => (index < first ? before : this.#wanted(rows.at(index - first) ?? NOTHING))
		return { length: rows.length + first, at }
	}

	#wanted(rows: readonly LogRecord[]): readonly LogRecord[] {
		return this.query.isEverything ? rows : rows.filter((record) => matches(record, this.query))
	}

	/** Returns the index of the lowest level to decode. Gaps match every level. */
	#levelIndexMinIn(frame: Frame): number {
		return (frame.flags & FLAG_CONTROL) === 0 ? this.query.levelIndexMin : 0
	}
}

/**
 * A gap, or a frame that was verified but not decoded. The frame that contains the first requested seq may
 * also contain earlier records.
 */
export type FrameOrGap =
	| { readonly frame: Frame; readonly gap?: undefined }
	| { readonly frame?: undefined; readonly gap: LogRecord }

/**
 * The view that returns whole frames, for copying. It applies only the first and last seq of the query, and
 * ignores the other conditions.
 */
export const FRAMES: View<FrameOrGap> = {
	collector: (query, anchor, file) => new FrameCollector(query, anchor, file),
	ofGap: (gap) => ({ gap }),
	lastSeqOf: ({ frame, gap }) => (gap === undefined ? frame.baseSeq + frame.rows - 1 : gap.seq),
}

class FrameCollector extends EntryCollector<FrameOrGap> {
	take(entry: ScanEntry): Batches<FrameOrGap> {
		const before = this.matching(this.pass(entry))
		if (entry.type !== 'frame') return [before]
		const { frame } = entry
		return [frame.baseSeq + frame.rows > this.query.fromSeq ? [...before, { frame }] : before]
	}

	protected ofGap(gap: LogRecord): FrameOrGap {
		return { gap }
	}
}
