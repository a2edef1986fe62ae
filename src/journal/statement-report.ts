/** The report of a statement replay. It is plain JSON data, so absent values are null. */
import type { ErrorCode } from '../model/errors.ts'
import type { Unreplayable } from './statement.ts'

/** The position of a statement in the recording. */
export interface StatementPosition {
	/** Id of the statement's transaction. */
	readonly tx: string
	/** Number of the statement within its transaction, from 1. */
	readonly seq: number
	/** Seq of the statement's record in the chain. */
	readonly recordSeq: number
	/** First 1,000 characters of the statement's text. */
	readonly text: string
}

/** A statement whose answer differs from the recording. */
export interface DifferedStatement extends StatementPosition {
	/**
	 * The part that differs. `rows`: the number of rows. `checksum`: their contents. `error`: the SQLSTATE,
	 * or whether there was an error.
	 */
	readonly what: 'rows' | 'checksum' | 'error'
	readonly expected: number | string | null
	readonly actual: number | string | null
}

/** A statement that failed in the replay but not in the recording. */
export interface FailedStatement extends StatementPosition {
	/** SQLSTATE; null if the error has none. */
	readonly code: string | null
	/** Error message. */
	readonly error: string
	/**
	 * Whether the connection was lost during the commit, so that the effect is unknown. Such a commit is not
	 * retried.
	 */
	readonly isUnknown: boolean
}

/** A statement that prevented the replay of its transaction. */
export interface UnreplayableStatement extends StatementPosition {
	/**
	 * The reason. `tooLarge`: the open transactions together exceeded `openBytesMax`. `begunBefore`: part of
	 * the transaction is in the text that ended the previous one, as in `COMMIT; BEGIN; INSERT …`.
	 */
	readonly why: Unreplayable | 'tooLarge' | 'begunBefore'
}

/**
 * Why statements were not replayed:
 * - `readOnly`: their transaction only read. `filtered`: no statement of their transaction matched the
 *   filter.
 * - `rolledBack`, `unknownEnd`: their transaction did not commit, or the connection was lost before the
 *   outcome was known.
 * - `unfinished`: their transaction did not end within the window. `incomplete`: some of its statements
 *   precede the window or were lost.
 * - `unreplayable`: a statement of their transaction is listed in `unreplayable`.
 * - `afterError`: an earlier statement of their transaction failed.
 * - `notAStatement`: a record of kind `sql` that no journal wrote.
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

/** The result of a statement replay. */
export interface StatementReport {
	/** Number of statements that the target executed, including those whose answers differed. */
	readonly replayed: number
	/** Number of transactions with at least one replayed statement. */
	readonly transactions: number
	/** Number of statements that failed in the replay but not in the recording. */
	readonly failures: number
	/** Number of failures with an unknown effect, because the connection was lost during the commit. */
	readonly unknown: number
	/** Number of statements whose answer differs from the recording; 0 without `compare`. */
	readonly differences: number
	/** Number of statements that prevented the replay of a transaction. */
	readonly unreplayables: number
	/** Number of statements that were not replayed, by reason. */
	readonly skipped: Readonly<Partial<Record<StatementSkipReason, number>>>
	/** Gaps in the chain, and the number of records that they stand for. */
	readonly gaps: { readonly count: number; readonly records: number }
	/** Number of transactions retried after a lost connection, a deadlock or a failed serialization. */
	readonly retries: number
	/** Number of connections that were lost and replaced. */
	readonly reconnects: number
	/** First statements whose answers differed, at most `listMax`. */
	readonly differed: readonly DifferedStatement[]
	/** First statements that failed, at most `listMax`. */
	readonly failed: readonly FailedStatement[]
	/** First unreplayable statements, at most `listMax`. */
	readonly unreplayable: readonly UnreplayableStatement[]
	/** First error, as `tx <id> seq <n>: <error>`; null if there is none. */
	readonly firstError: string | null
	/** Start of the window in milliseconds since 1970, inclusive; null if unbounded. */
	readonly from: number | null
	/** End of the window in milliseconds since 1970, inclusive; null if unbounded. */
	readonly to: number | null
	/**
	 * How the replay ended. `targetGone`: the connection was lost, and `retries` attempts failed.
	 * `targetFull`: in `asRecorded` mode, the target allows fewer connections than there were open
	 * transactions. `error`: a statement failed and `stopOnError` is set.
	 */
	readonly ended: 'end' | 'aborted' | 'error' | 'targetGone' | 'targetFull'
	/** The error `TARGET_UNREACHABLE` or `TARGET_FULL` that ended the replay; otherwise null. */
	readonly endedBy: { readonly code: ErrorCode; readonly message: string } | null
	readonly elapsedMs: number
}

/** The progress of a statement replay. */
export interface StatementProgress {
	readonly replayed: number
	readonly failures: number
	readonly differences: number
	/** Seq of the last record that was started. */
	readonly seq: number
	/** Time of that record. */
	readonly tsMs: number
}
