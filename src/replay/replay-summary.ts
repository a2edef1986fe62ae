import type { Shortened } from './pacer.ts'

/** What a replay did. Plain data: `JSON.stringify` keeps all of it. */

export interface ReplaySummary {
	/** Records that the target took. */
	readonly replayed: number
	/** Records that it did not take, however often they were tried. */
	readonly failed: number
	/** Tries after a first one that failed. */
	readonly retries: number
	/** Records, or lines of a recording, that were not meant for the target, by reason. */
	readonly skipped: Readonly<Record<string, number>>
	/** Places where the source says that records are absent, and how many those are. */
	readonly gaps: { readonly count: number; readonly records: number }
	readonly firstError: ReplayFailure | undefined
	/** Of the records that were tried; undefined when there were none. */
	readonly firstSeq: number | undefined
	readonly lastSeq: number | undefined
	/** The times of the first and the last of them. */
	readonly fromMs: number | undefined
	readonly toMs: number | undefined
	/**
	 * - `end`: the source has no more, or `limit` was reached. `aborted`: the signal. `error`: a record failed, and `stopOnError`.
	 * - `targetGone`: the target said that it takes no more, did not answer three times in a row, or could not be flushed; an appender
	 *   could not commit, as on a full disk.
	 */
	readonly ended: 'end' | 'aborted' | 'error' | 'targetGone'
	/**
	 * Every record below it was dealt with: where another replay goes on. Where the target could not be flushed, the first one that it
	 * has not kept; the first one again where it cannot say.
	 */
	readonly nextSeq: number | undefined
	readonly elapsedMs: number
	/** Distances between times that a paced replay did not wait for in full, and what it left out of them in all. */
	readonly shortened: Shortened
	/** By how much the latest record came late; 0 where nothing was paced. */
	readonly lateMsMax: number
}

export interface ReplayFailure {
	readonly seq: number | undefined
	readonly code: string | undefined
	readonly message: string
}

/** What a replay has done so far. */
export interface ReplayProgress {
	readonly replayed: number
	readonly failed: number
	/** Of the record that was begun last. */
	readonly seq: number
	readonly tsMs: number
	/** The record that is waited for, and for how many milliseconds; undefined while records come. */
	readonly waitsFor?: { readonly seq: number; readonly tsMs: number; readonly waitMs: number }
}
