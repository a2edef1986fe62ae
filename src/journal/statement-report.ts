/** Report of a replay of statements: plain JSON data, so absent values are null. */
import type { ErrorCode } from '../model/errors.ts'
import type { Unreplayable } from './statement.ts'

/** Identifies a statement. */
export interface StatementPosition {
	/** Id of its transaction. */
	readonly tx: string
	/** Number within its transaction, from 1. */
	readonly seq: number
	/** Seq of its record in the chain. */
	readonly recordSeq: number
	/** First 1,000 characters of its text. */
	readonly text: string
}

/** A statement whose answer differs from the recorded one. */
export interface DifferedStatement extends StatementPosition {
	/**
	 * What differs. `rows`: their number. `checksum`: their contents. `error`: its SQLSTATE, or whether there
	 * was one.
	 */
	readonly what: 'rows' | 'checksum' | 'error'
	readonly expected: number | string | null
	readonly actual: number | string | null
}

/** A statement that failed, but had not failed when it was recorded. */
export interface FailedStatement extends StatementPosition {
	/** SQLSTATE; null without one. */
	readonly code: string | null
	/** Message of the error. */
	readonly error: string
	/** Whether the connection was lost during the commit, so that its effect is unknown. It was not retried. */
	readonly isUnknown: boolean
}

/** A statement because of which its transaction was not replayed. */
export interface UnreplayableStatement extends StatementPosition {
	/**
	 * Why. `tooLarge`: the open transactions together exceeded `openBytesMax`. `begunBefore`: a part of the
	 * transaction is in the text that ended the transaction before, as in `COMMIT; BEGIN; INSERT …`.
	 */
	readonly why: Unreplayable | 'tooLarge' | 'begunBefore'
}

/**
 * Why statements were not replayed:
 * - `readOnly`: their transaction only read. `filtered`: no statement of their transaction matched the
 *   filter.
 * - `rolledBack`, `unknownEnd`: their transaction did not commit, or the connection was lost before that was
 *   known.
 * - `unfinished`: their transaction did not end within the window. `incomplete`: statements of it precede the
 *   window or were lost.
 * - `unreplayable`: a statement of their transaction is listed in `unreplayable`.
 * - `afterError`: an earlier statement of their transaction failed.
 * - `notAStatement`: a record of the kind `sql` that no journal made.
 */
export type StatementSkipReason =
	| 'readOnly'
	| 'filtered'
	| 'rolledBack'
	| 'unknownEnd'
	| 'unfinished'
	| 'incomplete'
	| 'unreplayable'
	| 'afterError'
	| 'notAStatement'

/** Result of a replay. */
export interface StatementReport {
	/** Statements that the target executed, with those that differed. */
	readonly replayed: number
	/** Transactions of which something was replayed. */
	readonly transactions: number
	/** Statements that failed, but had not failed when they were recorded. */
	readonly failures: number
	/** Failures with an unknown effect, because the connection was lost during the commit. */
	readonly unknown: number
	/** Statements with another answer than the recorded one; 0 without `compare`. */
	readonly differences: number
	/** Statements because of which a transaction was not replayed. */
	readonly unreplayables: number
	/** Statements that were not replayed, by reason. */
	readonly skipped: Readonly<Partial<Record<StatementSkipReason, number>>>
	/** Gaps in the chain, and the records that they stand for. */
	readonly gaps: { readonly count: number; readonly records: number }
	/** Transactions that were retried after a lost connection, a deadlock or a failed serialization. */
	readonly retries: number
	/** Connections that were lost and replaced. */
	readonly reconnects: number
	/** First statements that differed, at most `listMax`. */
	readonly differed: readonly DifferedStatement[]
	/** First statements that failed, at most `listMax`. */
	readonly failed: readonly FailedStatement[]
	/** First unreplayable statements, at most `listMax`. */
	readonly unreplayable: readonly UnreplayableStatement[]
	/** First error, as `tx <id> seq <n>: <error>`; null without one. */
	readonly firstError: string | null
	/** Start of the window in milliseconds since 1970, inclusive; null without a bound. */
	readonly from: number | null
	/** End of the window in milliseconds since 1970, inclusive; null without a bound. */
	readonly to: number | null
	/**
	 * How the replay ended. `targetGone`: the connection was lost, and `retries` attempts failed. `targetFull`:
	 * in the mode `asRecorded`, the target allows fewer connections than there were open transactions. `error`:
	 * with `stopOnError`.
	 */
	readonly ended: 'end' | 'aborted' | 'error' | 'targetGone' | 'targetFull'
	/** Error `TARGET_UNREACHABLE` or `TARGET_FULL` that ended the replay; null otherwise. */
	readonly endedBy: { readonly code: ErrorCode; readonly message: string } | null
	readonly elapsedMs: number
}

/** Progress of a replay. */
export interface StatementProgress {
	readonly replayed: number
	readonly failures: number
	readonly differences: number
	/** Seq of the last record that was begun. */
	readonly seq: number
	/** Time of that record. */
	readonly tsMs: number
}
