/** The figures of one outbox, as `stats()` shows them. */
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

/** What one appender was given, and what became of it: plain counts since the start, except where noted. */
export interface OutboxStats {
	/** The appender's promise; `memory` where it declares none. */
	readonly durability: Durability
	/**
	 * Whether nothing can be committed at present: the last append failed, or the appender reports a failure.
	 */
	readonly failing: boolean
	/** Message of the last error with which the appender failed or refused. */
	readonly lastError: string | undefined
	/** Records taken, without `$gap` records. */
	readonly appended: number
	/** Appends that threw or rejected. */
	readonly failures: number
	/** Appends made while the appender was failing. */
	readonly retries: number
	/** Records waiting at present, those in flight included. */
	readonly pending: number
	/** Asynchronous appends in flight at present. */
	readonly inFlight: number
	/** The appender's own `committedSeq`, or the last seq that it took. */
	readonly committedSeq: number
	readonly lost: LostCounts
	/** `$gap` records taken. */
	readonly gapsAppended: number
	/** Gaps for which the appender has no `$gap` record: it refused them, or was closed first. */
	readonly gapsUnwritten: number
}
