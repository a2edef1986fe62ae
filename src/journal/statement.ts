/** The data of a statement's record. Knows nothing of node-postgres. */

/** Kind of the records that hold statements. */
export const STATEMENT_KIND = 'sql'

/** A bound parameter as it went over the wire: a text, bytes, or NULL. */
export type WireValue = string | Uint8Array | null

/**
 * Why a statement cannot be replayed: it was too long for the journal, a parameter was redacted, or it was a
 * COPY.
 */
export type Unreplayable = 'cut' | 'redacted' | 'copy'

/** How a transaction ended with this statement. */
export type TransactionEnd = 'commit' | 'rollback' | 'unknown'

/** One statement, as its record holds it. */
export interface StatementData {
	/** Unique id of the connection. */
	readonly session: string
	/** Unique id of the transaction. A statement outside a transaction is a transaction of its own. */
	readonly tx: string
	/** Number within the transaction, from 1. */
	readonly seq: number
	/** Text of the statement. */
	readonly text: string
	/** Name of a prepared statement. */
	readonly name?: string
	/** Bound parameters. */
	readonly params: readonly WireValue[]
	/**
	 * Oids of the declared types of the parameters; 0 for a type that the server inferred. Absent where none
	 * was declared.
	 */
	readonly paramTypes?: readonly number[]
	/** Command tags of the server, such as `SELECT`, `INSERT`, `COMMIT`: one for each statement in the text. */
	readonly commands: readonly string[]
	/** Rows returned or affected; null where the server tells no number. */
	readonly rows: number | null
	/** Checksum of the returned rows, independent of their order; null where the statement returns no rows. */
	readonly checksum: string | null
	/** Whether the rows came in the binary format, to which the checksum then applies. */
	readonly binary?: true
	/** Time of the start, in milliseconds since 1970. */
	readonly startedMs: number
	readonly durationMs: number
	/** How the transaction ended; in the record that ends it. */
	readonly end?: TransactionEnd
	/** Error of the statement; `code` is the SQLSTATE, or null without one. */
	readonly error?: { readonly code: string | null; readonly message: string }
	/** Why the statement cannot be replayed. */
	readonly unreplayable?: Unreplayable
}
