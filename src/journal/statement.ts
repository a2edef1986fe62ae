/** What the journal holds of one statement: a record's data. Knows nothing of node-postgres. */

/** The kind of the records that hold statements. */
export const STATEMENT_KIND = 'sql'

/** A bound parameter as it went over the wire: a text, bytes, or NULL. */
export type WireValue = string | Uint8Array | null

/** Why a statement cannot be replayed: it was longer than the journal takes, a parameter was redacted, or its data did not come as parameters. */
export type Unreplayable = 'cut' | 'redacted' | 'copy'

/** How a transaction ended with this statement. */
export type TransactionEnd = 'commit' | 'rollback' | 'unknown'

export interface StatementData {
	/** Of the connection; unique. */
	readonly session: string
	/** Of the transaction; unique. A statement outside of one is a transaction of its own. */
	readonly tx: string
	/** From 1 within its transaction. */
	readonly seq: number
	readonly text: string
	/** Of a prepared statement. */
	readonly name?: string
	readonly params: readonly WireValue[]
	/** Oids of the types that were declared for the parameters; 0 for those that the server inferred. Left out where none was declared. */
	readonly paramTypes?: readonly number[]
	/** What the server says it did: `SELECT`, `INSERT`, `COMMIT`; one for each statement of a text that has several. */
	readonly commands: readonly string[]
	/** Rows returned or affected; null where the server says none. */
	readonly rows: number | null
	/** Of the rows that came back, whatever their order; null where none were described. */
	readonly checksum: string | null
	/** The rows came in the binary format, and so their checksum is of that. */
	readonly binary?: true
	readonly startedMs: number
	readonly durationMs: number
	/** In the record that ends its transaction. */
	readonly end?: TransactionEnd
	/** `code` is the SQLSTATE, where there is one. */
	readonly error?: { readonly code: string | null; readonly message: string }
	readonly unreplayable?: Unreplayable
}
