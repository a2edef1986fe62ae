/** The data of a statement record. Independent of node-postgres. */

/** Kind of the records that hold statements. */
export const STATEMENT_KIND = 'sql'

/** A bound parameter as sent over the wire: text, bytes, or NULL. */
export type WireValue = string | Uint8Array | null

/**
 * Why a statement cannot be replayed: it was too long for the journal, a parameter was redacted, or it was a
 * COPY.
 */
export type Unreplayable = 'cut' | 'redacted' | 'copy'

/** How a statement ended its transaction. */
export type TransactionEnd = 'commit' | 'rollback' | 'unknown'

/** A statement as stored in its record. */
export interface StatementData {
	/** Unique id of the connection. */
	readonly session: string
	/** Unique id of the transaction. A statement outside a transaction is a transaction of its own. */
	readonly tx: string
	/** Number of the statement within its transaction, from 1. */
	readonly seq: number
	/** Text of the statement. */
	readonly text: string
	/** Name of a prepared statement. */
	readonly name?: string
	/** Bound parameters. */
	readonly params: readonly WireValue[]
	/**
	 * Oids of the declared parameter types; 0 for a type that the server inferred. Absent if none was
	 * declared.
	 */
	readonly paramTypes?: readonly number[]
	/**
	 * Command tags from the server, such as `SELECT`, `INSERT`, `COMMIT`: one for each statement in the text.
	 */
	readonly commands: readonly string[]
	/** Number of rows returned or affected; null if the server reports no number. */
	readonly rows: number | null
	/** Checksum of the returned rows, independent of their order; null if the statement returns no rows. */
	readonly checksum: string | null
	/** Whether the rows arrived in binary format, which the checksum then covers. */
	readonly binary?: true
	/** Start time in milliseconds since 1970. */
	readonly startedMs: number
	readonly durationMs: number
	/** How the transaction ended; only in the record of the statement that ended it. */
	readonly end?: TransactionEnd
	/** Error of the statement; `code` is the SQLSTATE, or null if there is none. */
	readonly error?: { readonly code: string | null; readonly message: string }
	/** Why the statement cannot be replayed; absent if it can. */
	readonly unreplayable?: Unreplayable
}
