/** The report of a replay, during and after it. */
import type { Shortened } from './pacer.ts'

/** The result of a replay. Plain data: `JSON.stringify` preserves all of it. */
export interface ReplaySummary {
	/** Records that the target accepted. */
	readonly replayed: number
	/** Records that the target did not accept, after all retries. */
	readonly failed: number
	/** Retries of failed deliveries. */
	readonly retries: number
	/** Records, or lines of a recording, that are not meant for the target, by reason. */
	readonly skipped: Readonly<Record<string, number>>
	/** Gaps in the source, and the number of records absent in them. */
	readonly gaps: { readonly count: number; readonly records: number }
	/** First failure. */
	readonly firstError: ReplayFailure | undefined
	/** Seq of the first record that was started. */
	readonly firstSeq: number | undefined
	/** Seq of the last record that was started. */
	readonly lastSeq: number | undefined
	/** Time of the first record that was started. */
	readonly fromMs: number | undefined
	/** Time of the last record that was started. */
	readonly toMs: number | undefined
	/**
	 * Why the replay ended.
	 *
	 * - `end`: the source has no more records, or `limit` was reached.
	 * - `aborted`: the signal ended it.
	 * - `error`: a record failed, with `stopOnError`.
	 * - `targetGone`: the target reported that it is gone, did not answer three times in a row, or could not
	 * be flushed; or an appender could not commit, for example on a full disk.
	 */
	readonly ended: 'end' | 'aborted' | 'error' | 'targetGone'
	/**
	 * Seq to resume from: every record below it was handled. If the target could not be flushed, the first
	 * record that it has not kept, or, if the target cannot determine it, the first record of this replay.
	 */
	readonly nextSeq: number | undefined
	/** Duration of the replay. */
	readonly elapsedMs: number
	/** Distances between records that a paced replay did not wait for in full. */
	readonly shortened: Shortened
	/** Largest delay of a record; 0 without pacing. */
	readonly lateMsMax: number
}

/** Why a record was not delivered. */
export interface ReplayFailure {
	/** Seq of the record in the source, if known. */
	readonly seq: number | undefined
	/** Code of the error, if it has one. */
	readonly code: string | undefined
	/** Message of the error. */
	readonly message: string
}

/** The progress of a replay. */
export interface ReplayProgress {
	/** Records that the target accepted so far. */
	readonly replayed: number
	/** Records that failed so far. */
	readonly failed: number
	/** Seq of the record that was started last. */
	readonly seq: number
	/** Time of the record that was started last. */
	readonly tsMs: number
	/** Next record, and the length of the wait for it; absent while records are delivered. */
	readonly waitsFor?: { readonly seq: number; readonly tsMs: number; readonly waitMs: number }
}
