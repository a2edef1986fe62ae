/** What a replay of statements did. Plain data: `JSON.stringify` keeps all of it. */
import type { ErrorCode } from '../model/errors.ts'
import type { Unreplayable } from './statement.ts'

/** Which statement: what the record says of it. */
export interface StatementPosition {
	readonly tx: string
	/** Within its transaction. */
	readonly seq: number
	/** The record's seq in the chain. */
	readonly recordSeq: number
	/** Its first 1,000 characters. */
	readonly text: string
}

/** A statement that answered otherwise than it did when it was recorded. */
export interface DifferedStatement extends StatementPosition {
	/** `rows`: how many. `checksum`: as many, with other contents. `error`: its SQLSTATE, or that there was one. */
	readonly what: 'rows' | 'checksum' | 'error'
	readonly expected: number | string | null
	readonly actual: number | string | null
}

/** A statement that failed, and had not when it was recorded. */
export interface FailedStatement extends StatementPosition {
	/** The SQLSTATE, where there is one. */
	readonly code: string | null
	readonly error: string
	/** The connection was lost while it was committing: whether it took effect cannot be known. It was not repeated. */
	readonly isUnknown: boolean
}

/** A statement for which its transaction was not replayed. */
export interface UnreplayableStatement extends StatementPosition {
	/**
	 * `tooLarge`: with it, more was held of transactions that are still open than `openBytesMax`. `begunBefore`: a part of its transaction is in
	 * the text that ended the one before, as in `COMMIT; BEGIN; INSERT …`.
	 */
	readonly why: Unreplayable | 'tooLarge' | 'begunBefore'
}

/**
 * Why statements were not replayed:
 * - `readOnly`: their transaction only read. `filtered`: no statement of their transaction matched the filter.
 * - `rolledBack`, `unknownEnd`: their transaction did not commit, or the connection was lost before that was known.
 * - `unfinished`: their transaction did not end within the window. `incomplete`: statements of it are before the window, or were lost.
 * - `unreplayable`: one of their transaction's is listed as `unreplayable`.
 * - `afterError`: an earlier statement of their transaction failed.
 * - `notAStatement`: a record of the kind `sql` that is none of a journal's.
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

export interface StatementReport {
	/** Statements that the target answered as was to be expected; those that differed are among them. */
	readonly replayed: number
	/** Transactions of which something was replayed. */
	readonly transactions: number
	/** Statements that failed, and had not when they were recorded. */
	readonly failures: number
	/** Of them: those whose effect is not known, because the connection was lost while they were committing. */
	readonly unknown: number
	/** Statements that answered otherwise; 0 where nothing was compared. */
	readonly differences: number
	/** Statements for which a transaction was not replayed. */
	readonly unreplayables: number
	/** Statements that were not replayed, by reason. */
	readonly skipped: Readonly<Partial<Record<StatementSkipReason, number>>>
	/** Places where the chain says that records are absent, and how many those are. */
	readonly gaps: { readonly count: number; readonly records: number }
	/** Transactions that were begun once more, after a lost connection, a deadlock or a failed serialisation. */
	readonly retries: number
	/** Connections that were lost, and made again. */
	readonly reconnects: number
	/** The first ones of each, at most `listMax`. */
	readonly differed: readonly DifferedStatement[]
	readonly failed: readonly FailedStatement[]
	readonly unreplayable: readonly UnreplayableStatement[]
	/** `tx <id> seq <n>: <error>` */
	readonly firstError: string | null
	/** The window, in milliseconds since 1970, both inclusive; null where it has no bound. */
	readonly from: number | null
	readonly to: number | null
	/**
	 * `targetGone`: the connection was lost, and `retries` attempts did not bring it back. `targetFull`: as recorded, the target has fewer
	 * connections than there were open transactions. `error`: with `stopOnError`.
	 */
	readonly ended: 'end' | 'aborted' | 'error' | 'targetGone' | 'targetFull'
	/** `TARGET_UNREACHABLE` or `TARGET_FULL`, where that ended it; null otherwise. */
	readonly endedBy: { readonly code: ErrorCode; readonly message: string } | null
	readonly elapsedMs: number
}

/** What a replay of statements has done so far. */
export interface StatementProgress {
	readonly replayed: number
	readonly failures: number
	readonly differences: number
	/** Of the record that was begun last. */
	readonly seq: number
	readonly tsMs: number
}
