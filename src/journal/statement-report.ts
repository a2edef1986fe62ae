/** The report on a statement replay. It is plain JSON data, so absent values are null. */
import type { ErrorCode } from '../model/errors.ts'
import type { Unreplayable } from './statement.ts'

/** The position of a statement in the recording. */
export interface StatementPosition {
	/** Id of the transaction that contains the statement. */
	readonly tx: string
	/** Number of the statement within its transaction, from 1. */
	readonly seq: number
	/** Seq of the record that contains the statement. */
	readonly recordSeq: number
	/** First 1,000 characters of the statement text. */
	readonly text: string
}

/** A statement whose answer differs from the recording. */
export interface DifferedStatement extends StatementPosition {
	/**
	 * Type of the difference. `rows`: the number of rows. `checksum`: the contents of the rows. `error`: the
	 * SQLSTATE, or whether there was an error.
	 */
	readonly what: 'rows' | 'checksum' | 'error'
	readonly expected: number | string | null
	readonly actual: number | string | null
}

/** A statement that failed in the replay but not in the recording. */
export interface FailedStatement extends StatementPosition {
	/** SQLSTATE; null if the error has no SQLSTATE. */
	readonly code: string | null
	/** Error message. */
	readonly error: string
	/**
	 * Whether the effect is unknown because the connection was lost during the commit. In that case, the
	 * transaction is not retried.
	 */
	readonly isUnknown: boolean
}

/** A statement that prevented the replay of its transaction. */
export interface UnreplayableStatement extends StatementPosition {
	/**
	 * Reason why the transaction cannot be replayed. `tooLarge`: the total size of the open transactions
	 * exceeded `openBytesMax`. `begunBefore`: the text that ended the previous transaction contains part of
	 * this transaction, as in `COMMIT; BEGIN; INSERT …`.
	 */
	readonly why: Unreplayable | 'tooLarge' | 'begunBefore'
}

/**
 * Reason why a statement was not replayed:
 * - `readOnly`: its transaction was read-only. `filtered`: no statement in its transaction matched the
 *   filter.
 * - `rolledBack`: its transaction was rolled back. `unknownEnd`: the connection was lost before the outcome
 *   of its transaction was known.
 * - `unfinished`: its transaction did not end within the window. `incomplete`: some statements in its
 *   transaction precede the window or were lost.
 * - `unreplayable`: a statement in its transaction is unreplayable.
 * - `afterError`: an earlier statement in its transaction failed.
 * - `notAStatement`: a record of kind `sql` does not contain a valid statement.
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
	/** Number of transactions that the replay attempted. */
	readonly transactions: number
	/** Number of statements that failed in the replay but not in the recording. */
	readonly failures: number
	/** Number of failures whose effect is unknown because the connection was lost during the commit. */
	readonly unknown: number
	/** Number of statements whose answers differ from the recording; 0 without `compare`. */
	readonly differences: number
	/** Number of statements that prevented the replay of a transaction. */
	readonly unreplayables: number
	/** Number of statements that were not replayed, by reason. */
	readonly skipped: Readonly<Partial<Record<StatementSkipReason, number>>>
	/** Number of gaps in the window, and the number of absent records that they represent. */
	readonly gaps: { readonly count: number; readonly records: number }
	/** Number of transaction retries after a lost connection, a deadlock or a serialization failure. */
	readonly retries: number
	/** Number of lost connections that were replaced. */
	readonly reconnects: number
	/** First `listMax` statements whose answers differed. */
	readonly differed: readonly DifferedStatement[]
	/** First `listMax` statements that failed. */
	readonly failed: readonly FailedStatement[]
	/** First `listMax` unreplayable statements. */
	readonly unreplayable: readonly UnreplayableStatement[]
	/** First error, in the form `tx <id> seq <n>: <error>`; null if there is no error. */
	readonly firstError: string | null
	/** Start of the time window in milliseconds since 1970, inclusive; null if unbounded. */
	readonly from: number | null
	/** End of the time window in milliseconds since 1970, inclusive; null if unbounded. */
	readonly to: number | null
	/**
	 * How the replay ended. `targetGone`: the target could not be reached, even after `retries` retries.
	 * `targetFull`: in `asRecorded` mode, the target accepted fewer connections than there were open
	 * transactions. `error`: a statement failed and `stopOnError` is set.
	 */
	readonly ended: 'end' | 'aborted' | 'error' | 'targetGone' | 'targetFull'
	/**
	 * The error that ended the replay, `TARGET_UNREACHABLE` or `TARGET_FULL`; null if the replay ended for
	 * another reason.
	 */
	readonly endedBy: { readonly code: ErrorCode; readonly message: string } | null
	readonly elapsedMs: number
}

/** The progress of a statement replay. */
export interface StatementProgress {
	readonly replayed: number
	readonly failures: number
	readonly differences: number
	/** Seq of the last record that was read. */
	readonly seq: number
	/** Time of the last record that was read. */
	readonly tsMs: number
}
