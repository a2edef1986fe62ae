/** The data of a statement record. This module does not depend on node-postgres. */

/** Kind of statement records. */
export const STATEMENT_KIND = 'sql'

/** A bound parameter as sent over the wire: a string, bytes, or NULL. */
export type WireValue = string | Uint8Array | null

/**
 * Reason why a statement cannot be replayed. `cut`: it was too large for the journal. `redacted`: a parameter
 * was redacted. `copy`: it was a COPY from the client.
 */
export type Unreplayable = 'cut' | 'redacted' | 'copy'

/** How a statement ended its transaction. */
export type TransactionEnd = 'commit' | 'rollback' | 'unknown'

/** A statement as stored in its record. */
export interface StatementData {
	/** Unique id of the connection. */
	readonly session: string
	/** Unique id of the transaction. A statement outside a transaction block forms its own transaction. */
	readonly tx: string
	/** Number of the statement within its transaction, from 1. */
	readonly seq: number
	/** Text of the statement. */
	readonly text: string
	/** Name of the prepared statement; absent if it has none. */
	readonly name?: string
	/** Bound parameters. */
	readonly params: readonly WireValue[]
	/**
	 * OIDs of the declared parameter types; 0 for a type that the server infers. Absent if no types were
	 * declared.
	 */
	readonly paramTypes?: readonly number[]
	/**
	 * Command tags from the server, such as `SELECT`, `INSERT` or `COMMIT`, one for each statement in the
	 * text.
	 */
	readonly commands: readonly string[]
	/** Number of rows that were returned or affected; null if the server does not report a number. */
	readonly rows: number | null
	/**
	 * Checksum of the returned rows, independent of their order; null if the statement cannot return rows.
	 */
	readonly checksum: string | null
	/** Whether the rows arrived in binary format. In that case, the checksum covers the binary values. */
	readonly binary?: true
	/** Start time in milliseconds since 1970. */
	readonly startedMs: number
	readonly durationMs: number
	/** How the transaction ended. Present only in the record of the statement that ended it. */
	readonly end?: TransactionEnd
	/** Error from the server or from node-postgres. `code` is the SQLSTATE, or null if the error has none. */
	readonly error?: { readonly code: string | null; readonly message: string }
	/** Reason why the statement cannot be replayed; absent if it can be replayed. */
	readonly unreplayable?: Unreplayable
}
