/** Types for the result and the progress of a replay. */
import type { Shortened } from './pacer.ts'

/** The result of a replay, as plain data that `JSON.stringify` preserves. */
export interface ReplaySummary {
	/** Number of records that the target accepted. */
	readonly replayed: number
	/** Number of records that the target did not accept, even after all retries. */
	readonly failed: number
	/** Number of retries of failed deliveries. */
	readonly retries: number
	/** Number of records that the filter excluded (`filtered`), and number of skipped lines by reason. */
	readonly skipped: Readonly<Record<string, number>>
	/** Number of gaps in the source, and number of absent records that they cover. */
	readonly gaps: { readonly count: number; readonly records: number }
	/** First failure, if any. */
	readonly firstError: ReplayFailure | undefined
	/** Seq of the first record whose delivery was started. */
	readonly firstSeq: number | undefined
	/** Seq of the last record whose delivery was started. */
	readonly lastSeq: number | undefined
	/** Time of the first record whose delivery was started. */
	readonly fromMs: number | undefined
	/** Time of the last record whose delivery was started. */
	readonly toMs: number | undefined
	/**
	 * Reason why the replay ended.
	 *
	 * - `end`: the source has no more records, or `limit` was reached.
	 * - `aborted`: the signal or `Player.stop` ended the replay.
	 * - `error`: a record failed, and `stopOnError` was set.
	 * - `targetGone`: the target reported that it is gone, timed out three times in a row, or could not be
	 *   flushed; or an appender could not commit records, for example because the disk was full.
	 */
	readonly ended: 'end' | 'aborted' | 'error' | 'targetGone'
	/**
	 * Seq to resume from. Every record with a lower seq was handled. If the target could not be flushed, this
	 * is the seq of the first record that the target did not keep. If the target cannot determine that record,
	 * this is the seq of the first record in this replay.
	 */
	readonly nextSeq: number | undefined
	/** Duration of the replay in milliseconds. */
	readonly elapsedMs: number
	/** The intervals that a paced replay skipped or shortened. */
	readonly shortened: Shortened
	/** Maximum delay of a record in milliseconds; 0 without pacing. */
	readonly lateMsMax: number
}

/** A failed delivery of a record. */
export interface ReplayFailure {
	/** Seq of the record in the source, if known. */
	readonly seq: number | undefined
	/** Error code, if any. */
	readonly code: string | undefined
	/** Error message. */
	readonly message: string
}

/** Progress of a replay. */
export interface ReplayProgress {
	/** Number of records that the target has accepted so far. */
	readonly replayed: number
	/** Number of records that have failed so far. */
	readonly failed: number
	/** Seq of the last record whose delivery was started. */
	readonly seq: number
	/** Time of the last record whose delivery was started. */
	readonly tsMs: number
	/** Next record, and the length of the wait for it; absent while records are being delivered. */
	readonly waitsFor?: { readonly seq: number; readonly tsMs: number; readonly waitMs: number }
}
