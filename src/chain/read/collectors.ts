/**
 * Turn the entries of a walk into what a reader is handed: records, or frames as they are, with a gap
 * wherever some are missing. Which of them a query wants, query.ts and `matches` decide.
 */
import { matches } from '../../model/filter.ts'
import type { GapData, LogRecord } from '../../model/record.ts'
import type { Anchor } from '../format/anchor.ts'
import { FLAG_CONTROL, type Frame } from '../format/frame.ts'
import { Continuity, type ContinuityState, unreadableRows, type WalkedFile } from '../scan/continuity.ts'
import { rowBatchesOf } from '../scan/frame-rows.ts'
import type { ScanEntry } from '../scan/scan.ts'
import { mayHoldRow, type ResolvedQuery } from './query.ts'

/** Batches in order. Each call of `at` may make its batch anew. */
export interface Batches<T> {
	readonly length: number
	at(index: number): readonly T[] | undefined
}

/** All batches as one, where there are few. */
export function inOne<T>(batches: Batches<T>): readonly T[] {
	if (batches.length === 1) return batches.at(0)!
	return Array.from({ length: batches.length }, (_unused, index) => batches.at(index)!).flat()
}

/** What a walk hands out: records, or frames as they are. */
export interface View<T> {
	/** @param anchor where the stretch begins; undefined for the beginning of the file. */
	collector(query: ResolvedQuery, anchor: Anchor | undefined, file: WalkedFile): EntryCollector<T>
	/** A gap between two files. */
	ofGap(gap: LogRecord): T
	/** The last seq that an item covers. */
	lastSeqOf(item: T): number
}

/** Takes the entries of one stretch of a file, in order. */
export abstract class EntryCollector<T> {
	/** Nothing that follows in the file can match. */
	isPastEnd = false
	protected readonly query: ResolvedQuery
	readonly #continuity: Continuity

	constructor(query: ResolvedQuery, anchor: Anchor | undefined, file: WalkedFile) {
		this.query = query
		this.#continuity = new Continuity(anchor, file)
	}

	/**
	 * What an entry comes to, as far as it matches. The rows of a large frame are decoded a batch at a time,
	 * when they are asked for.
	 */
	abstract take(entry: ScanEntry): Batches<T>

	protected abstract ofGap(gap: LogRecord): T

	/** Moves past an entry without looking at its rows; returns the gap before it, or in its place. */
	pass(entry: ScanEntry): LogRecord | undefined {
		if (entry.type === 'frame' && entry.frame.baseSeq + entry.frame.rows > this.query.toSeq)
			this.isPastEnd = true
		return this.#continuity.entry(entry)
	}

	/**
	 * What it knows now: another collector of the same file that resumes from this state takes the next entries
	 * as this one would.
	 */
	state(): ContinuityState {
		return this.#continuity.state()
	}

	resumeAt(state: ContinuityState): void {
		this.#continuity.resumeAt(state)
	}

	/** What is missing before the first seq of the next file. */
	upTo(nextSeq: number, cause?: GapData['cause']): readonly T[] {
		return this.matching(this.#continuity.upTo(nextSeq, cause))
	}

	protected matching(gap: LogRecord | undefined): readonly T[] {
		return gap !== undefined && matches(gap, this.query) ? [this.ofGap(gap)] : NOTHING
	}
}

const NOTHING: readonly never[] = Object.freeze([])
const NO_BATCHES: readonly (readonly never[])[] = Object.freeze([])

/** The records that match. */
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

	/** A gap passes every level. */
	#levelIndexMinIn(frame: Frame): number {
		return (frame.flags & FLAG_CONTROL) === 0 ? this.query.levelIndexMin : 0
	}
}

/**
 * A frame as it was written, verified and not decoded, or a gap. A frame with the first seq that is wanted
 * may hold records before it.
 */
export type FrameOrGap =
	| { readonly frame: Frame; readonly gap?: undefined }
	| { readonly frame?: undefined; readonly gap: LogRecord }

/** Frames, for those who copy them. Of the query only the first seq applies. */
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
