/**
 * A node-postgres query that sends a recorded statement with its recorded parameters, and does not build
 * result rows.
 */
import type { PgQuery } from './pg-session.ts'
import type { StatementData, WireValue } from './statement.ts'

/** The members of a node-postgres connection that this query uses. */
interface WireConnection {
	readonly stream: { cork(): void; uncork(): void }
	query(text: string): void
	parse(what: { readonly text: string; readonly name: string; readonly types?: readonly number[] }): void
	bind(what: {
		readonly values: readonly WireValue[]
		readonly binary: boolean
		readonly valueMapper: (value: WireValue) => WireValue
	}): void
	describe(what: { readonly type: 'P'; readonly name: string }): void
	execute(what: { readonly portal: string; readonly rows: number }): void
	sync(): void
	sendCopyFail(why: string): void
}

/** The fields of a statement that are sent to the target. */
export type Replayable = Pick<StatementData, 'text' | 'params'> &
	Partial<Pick<StatementData, 'name' | 'paramTypes' | 'binary'>> & {
		/** Called with the fields of each row in the answer. */
		readonly keep?: (fields: readonly (string | null)[]) => void
	}

/** A query that sends one statement. */
export class TargetQuery implements PgQuery {
	readonly text: string
	values: readonly WireValue[]
	readonly #types: readonly number[] | undefined
	readonly #isBinary: boolean
	readonly #isExtended: boolean
	readonly #notSent: (error: unknown) => void
	readonly #keep: Replayable['keep']
	#isSent = false

	/**
	 * @param notSent Called if the connection is lost before the statement is sent. The `PgSession` of the
	 * connection reports all other outcomes.
	 */
	constructor(
		{ text, params, name, paramTypes, binary, keep }: Replayable,
		notSent: (error: unknown) => void,
	) {
		this.text = text
		this.values = params.map((param) => (param instanceof Uint8Array ? asBuffer(param) : param))
		this.#types = paramTypes
		this.#isBinary = binary === true
		this.#isExtended = params.length > 0 || name !== undefined || this.#isBinary
		this.#notSent = notSent
		this.#keep = keep
	}

	submit(connection: WireConnection): null {
		this.#isSent = true
		if (!this.#isExtended) {
			connection.query(this.text)
			return null
		}
		const types = this.#types
		connection.stream.cork()
		try {
			connection.parse({ text: this.text, name: '', ...(types === undefined ? {} : { types }) })
			connection.bind({ values: this.values, binary: this.#isBinary, valueMapper: (value) => value })
			connection.describe({ type: 'P', name: '' })
			connection.execute({ portal: '', rows: 0 })
			connection.sync()
		} finally {
			connection.stream.uncork()
		}
		return null
	}

	handleError(error: unknown): void {
		if (!this.#isSent) this.#notSent(error)
	}

	handleCopyInResponse(connection: WireConnection): void {
		connection.sendCopyFail('the data was not recorded')
	}

	handleRowDescription(): void {}
	handleDataRow({ fields }: { readonly fields: readonly (string | null)[] }): void {
		this.#keep?.(fields)
	}

	handleCommandComplete(): void {}
	handleEmptyQuery(): void {}
	handlePortalSuspended(): void {}
	handleCopyData(): void {}
	handleReadyForQuery(): void {}
}

function asBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
	return Buffer.from(buffer, byteOffset, byteLength)
}
