/** The figures of one handover, as `stats()` shows them. */
import type { Durability } from '../appender.ts'

/** Records that never reached the appender, by cause. */
export interface LostCounts {
	/** The ring needed their place while the appender was failing or slow. */
	readonly evicted: number
	/** The queue of a `TeeAppender` needed their place while this child was failing or slow. */
	readonly overflow: number
	/** The appender refused them for good. */
	readonly appendFailed: number
	/** They were still pending when the appender was closed. */
	readonly atClose: number
}

/** What one appender was given, and what became of it. */
export interface OutboxStats {
	/** What the appender promises; `memory` where it does not say. */
	readonly durability: Durability
	/** Nothing can be committed at present: the last append failed, or the appender says so itself. */
	readonly failing: boolean
	/** What the appender said last when it failed or refused. */
	readonly lastError: string | undefined
	/** Records taken over; `$gap` records are not among them. */
	readonly appended: number
	/** Appends that threw or rejected. */
	readonly failures: number
	/** Appends made while the appender was failing. */
	readonly retries: number
	/** Records that were not taken over yet, those in flight included. */
	readonly pending: number
	/** Asynchronous appends under way. */
	readonly inFlight: number
	/** The appender's own `committedSeq`, or the last seq it took over. */
	readonly committedSeq: number
	readonly lost: LostCounts
	/** `$gap` records taken over. */
	readonly gapsAppended: number
	/** Gaps of which the appender holds no `$gap` record: it refused them, or was closed first. */
	readonly gapsUnwritten: number
}
