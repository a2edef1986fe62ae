/** The statistics of one outbox, as `stats()` returns them. */
import type { Durability } from '../appender.ts'

/** Records that never reached the appender, by cause. */
export interface LostCounts {
	/** Evicted from the ring while the appender was failing or slow. */
	readonly evicted: number
	/** Dropped from the queue of a `TeeAppender` while this child was failing or slow. */
	readonly overflow: number
	/** Refused by the appender with an error that is not retryable. */
	readonly appendFailed: number
	/** Pending when the appender was closed. */
	readonly atClose: number
}

/** Counts of what happened to the records given to one appender, since the start except where noted. */
export interface OutboxStats {
	/** Durability that the appender promises; `memory` if it declares none. */
	readonly durability: Durability
	/**
	 * Whether nothing can be committed at present, because the last append failed or the appender reports a
	 * failure.
	 */
	readonly failing: boolean
	/** Message of the last error with which the appender failed or refused a record. */
	readonly lastError: string | undefined
	/** Records taken, without `$gap` records. */
	readonly appended: number
	/** Appends that threw or rejected. */
	readonly failures: number
	/** Appends made while the appender was failing. */
	readonly retries: number
	/** Records pending at present, including those in flight. */
	readonly pending: number
	/** Asynchronous appends in flight at present. */
	readonly inFlight: number
	/** `committedSeq` of the appender, or the last seq that it took. */
	readonly committedSeq: number
	readonly lost: LostCounts
	/** `$gap` records taken. */
	readonly gapsAppended: number
	/** Gaps without a `$gap` record, because the appender refused the record or was closed first. */
	readonly gapsUnwritten: number
}
