/**
 * Follows one node-postgres connection. Derives its transactions from the server's messages, and records each
 * statement when its answer is complete.
 *
 * A session inspects each query when it is submitted (`submit`), and then the server's messages, which arrive
 * in the order of the queries. Following a query does not change its behaviour, regardless of whether a
 * client, a cursor or a stream handles its answer.
 */
import { ResultChecksum, type WireField } from './result-checksum.ts'
import type { StatementData, TransactionEnd, WireValue } from './statement.ts'

/** A node-postgres query that was passed to `client.query` or created from its arguments. */
export interface PgQuery {
	readonly text?: unknown
	readonly name?: unknown
	readonly types?: unknown
	values?: unknown
	/** Number of rows to fetch at a time. Only node-postgres's own queries have this field. */
	readonly rows?: unknown
	/** Only node-postgres's own queries have this method. */
	requiresPreparation?(): boolean
	handleError?(...args: unknown[]): unknown
	/** Cursor of a row stream (pg-query-stream). The cursor contains the text and the values. */
	readonly cursor?: unknown
	submit(connection: unknown): unknown
}

/** A message from the server. Each kind of message has some of these fields. */
interface WireMessage {
	readonly status?: string
	readonly text?: string
	readonly fields?: readonly unknown[]
}

/** The members of a node-postgres connection that a session uses. */
export interface PgConnection {
	prependListener(event: string, listener: (message: WireMessage) => void): unknown
	/**
	 * Texts of prepared statements, by name. A query that reuses a prepared statement may contain only the
	 * name.
	 */
	readonly parsedStatements?: Readonly<Record<string, string | undefined>>
	readonly submittedNamedStatements?: Readonly<Record<string, string | undefined>>
}

/** The owner of a session: a journal, or a connection to a replay target. */
export interface SessionHost {
	clock(): number
	/** Converts parameters to wire values. */
	toWire(values: readonly unknown[]): readonly WireValue[]
	/**
	 * Called when the server starts a statement. Returns the statement's position if it is known before the
	 * answer arrives.
	 */
	sent(text: string): number | undefined
	/**
	 * Whether to record a failed statement before its caller receives the error. Otherwise, the statement is
	 * recorded when the server is ready again.
	 */
	readonly recordsErrorsAtOnce: boolean
	/** Called with each statement after its answer is complete or its connection is lost. */
	record(data: StatementData, position: number | undefined): void
}

/** Transaction statuses of a connection: outside a transaction, and in a failed transaction. */
const IDLE = 'I'
const FAILED = 'E'

/** The session of one connection. */
export class PgSession {
	readonly #id: string
	readonly #connection: PgConnection
	readonly #host: SessionHost
	#tx = 0
	#seq = 0
	/**
	 * Statements in flight, in the order in which the server answers them. There are several only if statements
	 * are pipelined.
	 */
	readonly #sent: InFlightStatement[] = []
	#lostBy: unknown = new Error('Connection terminated')
	/** Last transaction status from the server. */
	#status: string
	/** Delivers the held error to the caller. */
	#deliverHeld: (() => void) | undefined

	/**
	 * @param status Current transaction status. If a transaction is in progress, its start is unknown, so the
	 * numbers of its statements do not start at 1.
	 */
	constructor(id: string, connection: PgConnection, host: SessionHost, status: string = IDLE) {
		this.#id = id
		this.#connection = connection
		this.#host = host
		this.#status = status
		if (status !== IDLE) this.#seq = this.#tx = 1
		// These listeners are prepended first, so they run after the listeners below have recorded the statement,
		// but before node-postgres handles the event.
		for (const event of ['readyForQuery', 'error', 'end'])
			connection.prependListener(event, () => this.#release())
		this.#on('rowDescription', ({ fields = [] }) => this.#sent[0]?.described(fields as FieldDescription[]))
		this.#on('dataRow', ({ fields = [] }) => this.#sent[0]?.checksum.add(fields as WireField[]))
		this.#on('commandComplete', ({ text = '' }) => this.#sent[0]?.completed(text))
		this.#on('copyInResponse', () => this.#sent[0]?.copies())
		this.#on('errorMessage', (error) => this.#failed(error))
		this.#on('readyForQuery', ({ status: next = IDLE }) => this.#ready(next))
		this.#on('error', (error) => {
			this.#lostBy = error
			this.#end()
		})
		this.#on('end', () => this.#end())
	}

	/** Starts following a query when it is submitted. */
	follow(query: PgQuery): void {
		const session = this
		const { submit } = query
		const followed = function (this: PgQuery, connection: unknown): unknown {
			const statement = session.#inFlightOf(query)
			const refusal = submit.call(this, connection)
			// A refused query was not sent to the server, so it is not recorded.
			if (!refusal && statement !== undefined) session.#send(statement)
			return refusal
		}
		Object.defineProperty(query, 'submit', { value: followed, configurable: true, writable: true })
	}

	/** Listens for messages from the server. An error in a listener must not affect a query. */
	#on(event: string, look: (message: WireMessage) => void): void {
		this.#connection.prependListener(event, (message) => {
			try {
				look(message)
			} catch {
				// The statement may not be recorded correctly, but the query is not affected.
			}
		})
	}

	#inFlightOf(query: PgQuery): InFlightStatement | undefined {
		try {
			const source = (query.cursor ?? query) as PgQuery
			return new InFlightStatement(query, this.#textOf(source), this.#wireOf(source), this.#host.clock())
		} catch {
			return undefined
		}
	}

	#textOf({ text, name }: PgQuery): string {
		if (typeof text === 'string' && text !== '') return text
		const { parsedStatements = {}, submittedNamedStatements = {} } = this.#connection
		return parsedStatements[String(name)] ?? submittedNamedStatements[String(name)] ?? ''
	}

	/**
	 * Replaces the parameters of a query with their wire values, which node-postgres leaves unchanged. Returns
	 * a copy of the wire values, or undefined if the parameters cannot be converted. In that case,
	 * node-postgres refuses the query for the same reason.
	 */
	#wireOf(query: PgQuery): readonly WireValue[] | undefined {
		if (!Array.isArray(query.values) || query.values.length === 0) return []
		try {
			const values = this.#host.toWire(query.values)
			query.values = values
			// The caller may reuse a buffer after the query is sent.
			return values.map((value) => (value instanceof Uint8Array ? Uint8Array.from(value) : value))
		} catch {
			return undefined
		}
	}

	#send(statement: InFlightStatement): void {
		if (this.#sent.push(statement) === 1) this.#begin(statement)
	}

	#begin(statement: InFlightStatement): void {
		if (!statement.wasNeverConverted) statement.position = this.#host.sent(statement.text)
	}

	/**
	 * Handles an error response to a statement. node-postgres passes the error to the caller immediately, and
	 * the caller may look for the record right away. Therefore, if the effect on the transaction is certain,
	 * the statement is recorded first. Otherwise, the error is held until the server is ready again. Only the
	 * errors of node-postgres's own queries can be held, because those queries always ask the server to report
	 * when it is ready.
	 */
	#failed(error: unknown): void {
		const [statement] = this.#sent
		if (statement === undefined || statement.isRecorded) return
		statement.error = error
		if (!this.#host.recordsErrorsAtOnce || statement.wasNeverConverted) return
		const status = isFatal(error) ? 'lost' : statement.statusAfterError(this.#status)
		if (status !== undefined) this.#finish(statement, status === 'lost' ? undefined : status)
		else if (statement.isReadyAskedFor) this.#hold(statement.query)
	}

	#hold(query: PgQuery): void {
		const { handleError } = query
		let told: unknown[] | undefined
		const handle = (value: unknown) =>
			Object.defineProperty(query, 'handleError', { value, configurable: true, writable: true })
		handle((...args: unknown[]) => {
			told ??= args
		})
		this.#deliverHeld = () => {
			handle(handleError)
			if (told !== undefined) handleError?.apply(query, told)
		}
	}

	#release(): void {
		const tell = this.#deliverHeld
		this.#deliverHeld = undefined
		tell?.()
	}

	#ready(status: string): void {
		this.#status = status
		const statement = this.#sent.shift()
		if (statement === undefined) return
		const [next] = this.#sent
		if (!statement.wasNeverConverted && !statement.isRecorded) this.#finish(statement, status)
		else if (status === IDLE) this.#seq = 0
		if (next !== undefined) this.#begin(next)
	}

	/** Records the statements in flight, because they will not be answered. */
	#end(): void {
		for (const statement of this.#sent.splice(0)) {
			if (statement.isRecorded) continue
			statement.error ??= this.#lostBy
			this.#finish(statement, undefined)
		}
	}

	/**
	 * Records a statement.
	 *
	 * @param status Transaction status after the statement; undefined if the connection was lost.
	 */
	#finish(statement: InFlightStatement, status: string | undefined): void {
		statement.isRecorded = true
		if (this.#seq === 0) this.#tx++
		this.#seq++
		const isOver = status === IDLE || statement.isFollowedByAnother
		const end = status === undefined ? 'unknown' : isOver ? statement.end : undefined
		const at = { session: this.#id, tx: `${this.#id}:${this.#tx}`, seq: this.#seq }
		if (end !== undefined) this.#seq = 0
		this.#host.record(statement.toData(at, end, this.#host.clock()), statement.position)
	}
}

interface FieldDescription {
	readonly format?: string
}

const BEGINS = new Set(['BEGIN', 'START TRANSACTION'])
const COMMITS = new Set(['COMMIT', 'PREPARE TRANSACTION'])
/** Words that may end a transaction, anywhere in a text. */
const ENDING_WORDS = /\b(?:commit|end|rollback|abort|prepare)\b/i

/** A statement that has been sent, and whose answer is not yet complete. */
class InFlightStatement {
	readonly checksum = new ResultChecksum()
	readonly text: string
	error: unknown
	/** Position among all statements of the journal; undefined if it is not known yet. */
	position: number | undefined
	readonly query: PgQuery
	isRecorded = false
	readonly #params: readonly WireValue[] | undefined
	readonly #startedMs: number
	#isDescribed = false
	#isBinary = false
	#isCopy = false
	readonly #commands: string[] = []
	/** Number of rows that the server reported. For a cursor, this is only the number in the last fetch. */
	#rows: number | null = null

	constructor(query: PgQuery, text: string, params: readonly WireValue[] | undefined, startedMs: number) {
		this.query = query
		this.text = text
		this.#params = params
		this.#startedMs = startedMs
	}

	/** Whether node-postgres refused to send the statement because it could not convert the parameters. */
	get wasNeverConverted(): boolean {
		return this.#params === undefined && this.#commands.length === 0 && this.error === undefined
	}

	described(fields: readonly FieldDescription[]): void {
		this.#isDescribed = true
		this.#isBinary ||= fields.some(({ format }) => format === 'binary')
	}

	/** Whether the query asks the server to report when it is ready again, even after an error. */
	get isReadyAskedFor(): boolean {
		return typeof this.query.requiresPreparation === 'function' && !this.query.rows
	}

	/** Returns the transaction status after this statement failed, or undefined if the status is uncertain. */
	statusAfterError(before: string): string | undefined {
		const isMoved = this.#commands.some(
			(command) => BEGINS.has(command) || COMMITS.has(command) || command === 'ROLLBACK',
		)
		if (isMoved) return undefined
		if (before === IDLE) return IDLE
		// A failed COMMIT ends its transaction. A prepared statement whose text is unknown may be a COMMIT.
		return this.text === '' || ENDING_WORDS.test(this.text) ? undefined : FAILED
	}

	copies(): void {
		this.#isCopy = true
	}

	/** @param tag Command tag from the server, including the number of rows, such as `INSERT 0 3`. */
	completed(tag: string): void {
		const [command = tag] = tag.split(/ (?=\d)/)
		const [count] = /\d+$/.exec(tag) ?? []
		this.#commands.push(command)
		if (count !== undefined) this.#rows = (this.#rows ?? 0) + Number(count)
	}

	/**
	 * Whether the statement ended a transaction and began the next one, as `COMMIT AND CHAIN` and `COMMIT;
	 * BEGIN` do.
	 */
	get isFollowedByAnother(): boolean {
		const last = this.#commands.findLastIndex((command) => /^(?:COMMIT|ROLLBACK)$/.test(command))
		if (last === -1) return false
		const others = this.#commands.slice(last + 1)
		return others.some((command) => BEGINS.has(command)) || /\band\s+chain\b/i.test(this.text)
	}

	/**
	 * How this statement ended its transaction, if it did. The server answers the COMMIT of a failed
	 * transaction with ROLLBACK. In a text with several statements, a commit is final, regardless of later
	 * statements.
	 */
	get end(): TransactionEnd {
		if (this.#commands.some((command) => COMMITS.has(command))) return 'commit'
		const isRollback =
			this.#commands.at(-1) === 'ROLLBACK' || this.isFollowedByAnother || this.error !== undefined
		return isRollback ? 'rollback' : 'commit'
	}

	toData(
		at: Pick<StatementData, 'session' | 'tx' | 'seq'>,
		end: TransactionEnd | undefined,
		nowMs: number,
	): StatementData {
		const { name, types } = this.query
		// Optional fields are assigned separately, because conditional spreads are slow and this code runs for
		// each statement.
		const data: { -readonly [Name in keyof StatementData]: StatementData[Name] } = {
			session: at.session,
			tx: at.tx,
			seq: at.seq,
			text: this.text,
			params: this.#params ?? [],
			commands: this.#commands,
			rows: this.#isDescribed ? this.checksum.rows : this.#rows,
			checksum: this.#isDescribed ? this.checksum.toString() : null,
			startedMs: this.#startedMs,
			durationMs: nowMs - this.#startedMs,
		}
		if (typeof name === 'string' && name !== '') data.name = name
		if (Array.isArray(types)) data.paramTypes = types
		if (this.#isBinary) data.binary = true
		if (end !== undefined) data.end = end
		if (this.error !== undefined) data.error = errorOf(this.error)
		if (this.#isCopy) data.unreplayable = 'copy'
		return data
	}
}

/**
 * Returns whether the server closes the connection after an error. The server may localise the severity, but
 * not the code.
 */
function isFatal(error: unknown): boolean {
	const { code, severity } = (error ?? {}) as Readonly<Record<string, unknown>>
	return /^(?:FATAL|PANIC)$/.test(String(severity)) || /^(?:57P0|08|25P0[345])/.test(String(code))
}

/**
 * Returns the error to record. Only errors from the server have a severity. The codes of other errors, such
 * as `EPIPE`, are not SQLSTATEs.
 */
function errorOf(error: unknown): NonNullable<StatementData['error']> {
	const { code, message, severity } = (error ?? {}) as Readonly<Record<string, unknown>>
	const isState = severity !== undefined && typeof code === 'string'
	return { code: isState ? code : null, message: String(message ?? error) }
}
