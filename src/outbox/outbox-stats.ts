/** The statistics that an outbox's `stats()` method returns. */
import type { Durability } from '../appender.ts'

/** Records that never reached the appender, by cause. */
export interface LostCounts {
	/** Evicted from the ring while the appender was failing or slow. */
	readonly evicted: number
	/** Dropped from the queue of a `TeeAppender` while this child was failing or slow. */
	readonly overflow: number
	/** Refused by the appender with a non-retryable error. */
	readonly appendFailed: number
	/** Pending when the appender was closed. */
	readonly atClose: number
}

/**
 * Statistics for the records passed to one appender. Unless noted otherwise, counts start when the loop or
 * appender is created.
 */
export interface OutboxStats {
	/** Durability that the appender declares; `memory` if it declares none. */
	readonly durability: Durability
	/**
	 * Whether the appender currently cannot commit records, because the last append failed or the appender
	 * reports a failure.
	 */
	readonly failing: boolean
	/** Message of the appender's latest error; undefined if there was none. */
	readonly lastError: string | undefined
	/** Records that the appender accepted, excluding `$gap` records. */
	readonly appended: number
	/** Appends that threw or rejected. */
	readonly failures: number
	/** Appends attempted while the appender was failing. */
	readonly retries: number
	/** Records that are currently pending, including records in flight. */
	readonly pending: number
	/** Asynchronous appends that are currently in flight. */
	readonly inFlight: number
	/** The appender's `committedSeq`, or the last accepted seq if the appender does not have this property. */
	readonly committedSeq: number
	readonly lost: LostCounts
	/** `$gap` records that the appender accepted. */
	readonly gapsAppended: number
	/** Gaps without a `$gap` record, because the appender refused that record or was closed first. */
	readonly gapsUnwritten: number
}
