/**
 * One connection of node-postgres while it is journaled: which transaction it is in, by what the server says, and a record for each
 * statement when its answer is complete.
 *
 * Looks at what a query is when it is submitted (`submit`), and from then on at the messages of the server, which answers in the order in which it was asked.
 * Nothing about queries changes but that they are known, whoever handles their answers.
 */
import { ResultChecksum, type WireField } from './result-checksum.ts'
import type { StatementData, TransactionEnd, WireValue } from './statement.ts'

/** What node-postgres hands to `client.query`, or makes of it. */
export interface PgQuery {
	readonly text?: unknown
	readonly name?: unknown
	readonly types?: unknown
	values?: unknown
	/** Of node-postgres' own: it asks for so many rows at a time. */
	readonly rows?: unknown
	/** Only node-postgres' own has it. */
	requiresPreparation?(): boolean
	handleError?(...args: unknown[]): unknown
	/** Of a stream of rows (pg-query-stream): it has the text and the values. */
	readonly cursor?: unknown
	submit(connection: unknown): unknown
}

/** What the server says; each message has some of it. */
interface WireMessage {
	readonly status?: string
	readonly text?: string
	readonly fields?: readonly unknown[]
}

export interface PgConnection {
	prependListener(event: string, listener: (message: WireMessage) => void): unknown
	/** The texts of prepared statements by name: they are given once. */
	readonly parsedStatements?: Readonly<Record<string, string | undefined>>
	readonly submittedNamedStatements?: Readonly<Record<string, string | undefined>>
}

/** What a session needs of its journal. */
export interface SessionHost {
	clock(): number
	/** Parameters as they go over the wire. */
	toWire(values: readonly unknown[]): readonly WireValue[]
	/** The server begins with a statement. Returns its place among all, where that is known before it is answered. */
	sent(text: string): number | undefined
	/** Whether a statement that failed is recorded as soon as that is certain: before whoever asked is told. Otherwise, once the server is ready again. */
	readonly recordsErrorsAtOnce: boolean
	/** Takes a statement whose answer is complete. */
	record(data: StatementData, place: number | undefined): void
}

/** What the server says about the connection once it is ready: outside of a transaction, or in one that failed. */
const IDLE = 'I'
const FAILED = 'E'

export class PgSession {
	readonly #id: string
	readonly #connection: PgConnection
	readonly #host: SessionHost
	#tx = 0
	#seq = 0
	/** Sent and not answered, in the order in which the server answers: more than one where they are pipelined. */
	readonly #sent: InFlightStatement[] = []
	#lostBy: unknown = new Error('Connection terminated')
	/** By what the server said last. */
	#status: string
	/** Tells a caller about an error that was held back. */
	#tellHeld: (() => void) | undefined

	/** @param status of the connection by now. Of a transaction that it is in nobody knows how it began: its first record is not seq 1. */
	constructor(id: string, connection: PgConnection, host: SessionHost, status: string = IDLE) {
		this.#id = id
		this.#connection = connection
		this.#host = host
		this.#status = status
		if (status !== IDLE) this.#seq = this.#tx = 1
		// After the record is made, which is before node-postgres looks: the last one that is prepended comes first.
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

	/** From here on the query is seen by this session too. */
	follow(query: PgQuery): void {
		const session = this
		const { submit } = query
		const followed = function (this: PgQuery, connection: unknown): unknown {
			const flight = session.#take(query)
			const refusal = submit.call(this, connection)
			// One that never went to the server changed nothing there, and has no record.
			if (!refusal && flight !== undefined) session.#send(flight)
			return refusal
		}
		Object.defineProperty(query, 'submit', { value: followed, configurable: true, writable: true })
	}

	/** The journal never stands in the way of a query. */
	#on(event: string, look: (message: WireMessage) => void): void {
		this.#connection.prependListener(event, (message) => {
			try {
				look(message)
			} catch {
				// It is not recorded.
			}
		})
	}

	#take(query: PgQuery): InFlightStatement | undefined {
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

	/** Converted once, here: node-postgres leaves texts, bytes and nulls as they are. Undefined for what it cannot convert either: it says so itself. */
	#wireOf(query: PgQuery): readonly WireValue[] | undefined {
		if (!Array.isArray(query.values) || query.values.length === 0) return []
		try {
			const values = this.#host.toWire(query.values)
			query.values = values
			// Its owner may write into a buffer again once it was sent.
			return values.map((value) => (value instanceof Uint8Array ? Uint8Array.from(value) : value))
		} catch {
			return undefined
		}
	}

	#send(flight: InFlightStatement): void {
		if (this.#sent.push(flight) === 1) this.#begin(flight)
	}

	#begin(flight: InFlightStatement): void {
		if (!flight.isHollow) flight.place = this.#host.sent(flight.text)
	}

	/**
	 * Whoever asked is told of the error at once, and may look for the record. Where what comes of the transaction is certain, the record is made
	 * before that; where only the server knows, the caller waits until it says so: of node-postgres' own queries, which ask for that themselves.
	 */
	#failed(error: unknown): void {
		const [flight] = this.#sent
		if (flight === undefined || flight.isRecorded) return
		flight.error = error
		if (!this.#host.recordsErrorsAtOnce || flight.isHollow) return
		const status = isFatal(error) ? 'lost' : flight.statusAfterError(this.#status)
		if (status !== undefined) this.#finish(flight, status === 'lost' ? undefined : status)
		else if (flight.isReadyAskedFor) this.#hold(flight.query)
	}

	#hold(query: PgQuery): void {
		const { handleError } = query
		let told: unknown[] | undefined
		const handle = (value: unknown) =>
			Object.defineProperty(query, 'handleError', { value, configurable: true, writable: true })
		handle((...args: unknown[]) => {
			told ??= args
		})
		this.#tellHeld = () => {
			handle(handleError)
			if (told !== undefined) handleError?.apply(query, told)
		}
	}

	#release(): void {
		const tell = this.#tellHeld
		this.#tellHeld = undefined
		tell?.()
	}

	#ready(status: string): void {
		this.#status = status
		const flight = this.#sent.shift()
		if (flight === undefined) return
		const [next] = this.#sent
		if (!flight.isHollow && !flight.isRecorded) this.#finish(flight, status)
		else if (status === IDLE) this.#seq = 0
		if (next !== undefined) this.#begin(next)
	}

	/** What was under way has no answer any more. */
	#end(): void {
		for (const flight of this.#sent.splice(0)) {
			if (flight.isRecorded) continue
			flight.error ??= this.#lostBy
			this.#finish(flight, undefined)
		}
	}

	/** @param status of the connection behind it; undefined where it was lost. */
	#finish(flight: InFlightStatement, status: string | undefined): void {
		flight.isRecorded = true
		if (this.#seq === 0) this.#tx++
		this.#seq++
		const isOver = status === IDLE || flight.isFollowedByAnother
		const end = status === undefined ? 'unknown' : isOver ? flight.end : undefined
		const at = { session: this.#id, tx: `${this.#id}:${this.#tx}`, seq: this.#seq }
		if (end !== undefined) this.#seq = 0
		this.#host.record(flight.toData(at, end, this.#host.clock()), flight.place)
	}
}

interface FieldDescription {
	readonly format?: string
}

const BEGINS = new Set(['BEGIN', 'START TRANSACTION'])
const COMMITS = new Set(['COMMIT', 'PREPARE TRANSACTION'])
/** What may end a transaction, wherever it is in a text. */
const ENDING_WORDS = /\b(?:commit|end|rollback|abort|prepare)\b/i

/** One statement from when it is sent until its answer is complete. */
class InFlightStatement {
	readonly checksum = new ResultChecksum()
	readonly text: string
	error: unknown
	/** Among all statements of the journal, where it is known already. */
	place: number | undefined
	readonly query: PgQuery
	isRecorded = false
	readonly #params: readonly WireValue[] | undefined
	readonly #startedMs: number
	#isDescribed = false
	#isBinary = false
	#isCopy = false
	readonly #commands: string[] = []
	/** By what the server says; a cursor's last answer counts its last rows only. */
	#rows: number | null = null

	constructor(query: PgQuery, text: string, params: readonly WireValue[] | undefined, startedMs: number) {
		this.query = query
		this.text = text
		this.#params = params
		this.#startedMs = startedMs
	}

	/** node-postgres could not convert its parameters, and never had it done. */
	get isHollow(): boolean {
		return this.#params === undefined && this.#commands.length === 0 && this.error === undefined
	}

	described(fields: readonly FieldDescription[]): void {
		this.#isDescribed = true
		this.#isBinary ||= fields.some(({ format }) => format === 'binary')
	}

	/** The server was asked to say when it is ready again, whatever comes of the error. */
	get isReadyAskedFor(): boolean {
		return typeof this.query.requiresPreparation === 'function' && !this.query.rows
	}

	/** What the connection is in once the error of this statement is dealt with, by what it was in before; undefined where that is not certain. */
	statusAfterError(before: string): string | undefined {
		const isMoved = this.#commands.some(
			(command) => BEGINS.has(command) || COMMITS.has(command) || command === 'ROLLBACK',
		)
		if (isMoved) return undefined
		if (before === IDLE) return IDLE
		// A COMMIT that fails ends its transaction. What was prepared under a name may be one.
		return this.text === '' || ENDING_WORDS.test(this.text) ? undefined : FAILED
	}

	copies(): void {
		this.#isCopy = true
	}

	/** @param tag what the server did, and to how many rows: `INSERT 0 3`. */
	completed(tag: string): void {
		const [command = tag] = tag.split(/ (?=\d)/)
		const [count] = /\d+$/.exec(tag) ?? []
		this.#commands.push(command)
		if (count !== undefined) this.#rows = (this.#rows ?? 0) + Number(count)
	}

	/** A transaction ended, although the connection is in one: `COMMIT AND CHAIN`, `COMMIT; BEGIN`. */
	get isFollowedByAnother(): boolean {
		const last = this.#commands.findLastIndex((command) => /^(?:COMMIT|ROLLBACK)$/.test(command))
		if (last === -1) return false
		const others = this.#commands.slice(last + 1)
		return others.some((command) => BEGINS.has(command)) || /\band\s+chain\b/i.test(this.text)
	}

	/**
	 * How the transaction ended, where it did with this statement. A COMMIT of a failed transaction is answered with ROLLBACK. Of a text with several
	 * statements what it committed stays, whatever comes behind it.
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
		// What is seldom there is put in behind the rest: conditional spreads are slow, and this is done for each statement.
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

/** The server ends the connection with it. Its name for that may be in any language; the codes are not. */
function isFatal(error: unknown): boolean {
	const { code, severity } = (error ?? {}) as Readonly<Record<string, unknown>>
	return /^(?:FATAL|PANIC)$/.test(String(severity)) || /^(?:57P0|08|25P0[345])/.test(String(code))
}

/** Only the server's errors have a severity: the codes of others, such as `EPIPE`, are not SQLSTATEs. */
function errorOf(error: unknown): NonNullable<StatementData['error']> {
	const { code, message, severity } = (error ?? {}) as Readonly<Record<string, unknown>>
	const isState = severity !== undefined && typeof code === 'string'
	return { code: isState ? code : null, message: String(message ?? error) }
}
