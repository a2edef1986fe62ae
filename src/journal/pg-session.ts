/**
 * One connection of node-postgres while it is journaled: which transaction it is in, by what the server says, and a record for each
 * statement when its answer is complete.
 *
 * Looks at queries through the interface that node-postgres has for them (`submit`, `handleDataRow` and so on), and calls on to what was there:
 * nothing about them changes but that it is known.
 */
import { ResultChecksum, type WireField } from './result-checksum.ts'
import type { StatementData, TransactionEnd, Unreplayable, WireValue } from './statement.ts'

/** What node-postgres hands to `client.query`, or makes of it. */
export interface PgQuery {
	readonly text?: unknown
	readonly name?: unknown
	readonly types?: unknown
	values?: unknown
	submit(connection: unknown): unknown
	handleRowDescription?(message: unknown): unknown
	handleDataRow?(message: { readonly fields: readonly WireField[] }): unknown
	handleCommandComplete?(message: { readonly text: string }, connection: unknown): unknown
	handleError?(error: unknown, connection: unknown): unknown
	handleReadyForQuery?(connection: unknown): unknown
	handleCopyInResponse?(connection: unknown): unknown
}

export interface PgConnection {
	prependListener(event: string, listener: (message: { readonly status?: string }) => void): unknown
}

/** What a session needs of its journal. */
export interface SessionHost {
	clock(): number
	/** Parameters as they go over the wire. */
	toWire(values: readonly unknown[]): readonly WireValue[]
	/** A statement goes to the server. Returns its place among all, where that is known before it is answered. */
	sent(text: string): number | undefined
	/** Takes a statement whose answer is complete. */
	record(data: StatementData, place: number | undefined): void
}

/** What the server says about the connection once it is ready. */
const IDLE = 'I'

export class PgSession {
	readonly #id: string
	readonly #host: SessionHost
	#status = IDLE
	#tx = 0
	#seq = 0
	#isEnded = false
	/** Failed; the server says next what became of its transaction. */
	#failed: Flight | undefined
	/** The texts of prepared statements by name: they are given once. */
	readonly #prepared = new Map<string, string>()

	constructor(id: string, connection: PgConnection, host: SessionHost) {
		this.#id = id
		this.#host = host
		connection.prependListener('readyForQuery', ({ status = IDLE }) => this.#ready(status))
		connection.prependListener('end', () => this.#end())
	}

	/** From here on the query is seen by this session too. */
	follow(query: PgQuery): void {
		const flight = new Flight()
		around(query, 'submit', (connection) => {
			const text = this.#textOf(query)
			flight.begin(this.#host.clock(), text, this.#wireOf(query), query)
			flight.place = this.#host.sent(text)
			return connection
		})
		around(query, 'handleRowDescription', () => flight.described())
		around(query, 'handleDataRow', ({ fields }) => flight.checksum.add(fields))
		around(query, 'handleCommandComplete', ({ text }) => flight.completed(text))
		around(query, 'handleCopyInResponse', () => flight.copies())
		around(query, 'handleError', (error) => this.#fail(flight, error))
		around(query, 'handleReadyForQuery', () => this.#finish(flight, this.#status))
	}

	#textOf(query: PgQuery): string {
		const name = typeof query.name === 'string' ? query.name : ''
		const text = typeof query.text === 'string' && query.text !== '' ? query.text : this.#prepared.get(name)
		if (name !== '' && text !== undefined) this.#prepared.set(name, text)
		return text ?? ''
	}

	/** Converted once, here: node-postgres leaves texts, bytes and nulls as they are. What it cannot convert it says itself. */
	#wireOf(query: PgQuery): readonly WireValue[] {
		if (!Array.isArray(query.values)) return []
		try {
			const values = this.#host.toWire(query.values)
			query.values = values
			return values
		} catch {
			return []
		}
	}

	#ready(status: string): void {
		this.#status = status
		if (this.#failed === undefined) return
		const failed = this.#failed
		this.#failed = undefined
		this.#finish(failed, status)
	}

	#fail(flight: Flight, error: unknown): void {
		flight.error ??= error
		if (!flight.isSent) return
		if (this.#isEnded) this.#finish(flight, undefined)
		else this.#failed = flight
	}

	/** What was under way has no answer any more. */
	#end(): void {
		this.#isEnded = true
		if (this.#failed !== undefined) this.#finish(this.#failed, undefined)
		this.#failed = undefined
	}

	/** @param status of the connection behind it; undefined where it was lost. */
	#finish(flight: Flight, status: string | undefined): void {
		if (flight.isOver) return
		flight.isOver = true
		if (this.#seq === 0) this.#tx++
		this.#seq++
		const isOver = status === IDLE || flight.isChained
		const end = status === undefined ? 'unknown' : isOver ? flight.end : undefined
		const at = { session: this.#id, tx: `${this.#id}:${this.#tx}`, seq: this.#seq }
		if (end !== undefined) this.#seq = 0
		this.#host.record(flight.toData(at, end, this.#host.clock()), flight.place)
	}
}

/** One statement from when it is sent until its answer is complete. */
class Flight {
	readonly checksum = new ResultChecksum()
	error: unknown
	isOver = false
	/** Among all statements of the journal, where it is known already. */
	place: number | undefined
	#startedMs = 0
	#text = ''
	#params: readonly WireValue[] = []
	#query: PgQuery | undefined
	#isDescribed = false
	#isCopy = false
	readonly #commands: string[] = []
	/** By what the server says; a cursor's last answer counts its last rows only. */
	#rows: number | null = null

	/** One that never went to the server changed nothing there, and has no record. */
	get isSent(): boolean {
		return this.#query !== undefined
	}

	begin(startedMs: number, text: string, params: readonly WireValue[], query: PgQuery): void {
		this.#startedMs = startedMs
		this.#text = text
		this.#params = params
		this.#query = query
	}

	described(): void {
		this.#isDescribed = true
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

	/** `COMMIT AND CHAIN`: a transaction ended, although the connection is in one. */
	get isChained(): boolean {
		return /^(?:COMMIT|ROLLBACK)$/.test(this.#commands.at(-1) ?? '') && /\band\s+chain\b/i.test(this.#text)
	}

	/** How the transaction ended, where it did with this statement. A COMMIT of a failed transaction is answered with ROLLBACK. */
	get end(): TransactionEnd {
		const isRollback = this.#commands.at(-1) === 'ROLLBACK' || this.error !== undefined
		return isRollback ? 'rollback' : 'commit'
	}

	toData(
		at: Pick<StatementData, 'session' | 'tx' | 'seq'>,
		end: TransactionEnd | undefined,
		nowMs: number,
	): StatementData {
		const { name, types } = this.#query ?? {}
		const unreplayable: Unreplayable | undefined = this.#isCopy ? 'copy' : undefined
		return {
			...at,
			text: this.#text,
			...(typeof name === 'string' && name !== '' ? { name } : {}),
			params: this.#params,
			...(Array.isArray(types) ? { paramTypes: types } : {}),
			commands: this.#commands,
			rows: this.#isDescribed ? this.checksum.rows : this.#rows,
			checksum: this.#isDescribed ? this.checksum.toString() : null,
			startedMs: this.#startedMs,
			durationMs: nowMs - this.#startedMs,
			...(end === undefined ? {} : { end }),
			...(this.error === undefined ? {} : { error: errorOf(this.error) }),
			...(unreplayable === undefined ? {} : { unreplayable }),
		}
	}
}

function errorOf(error: unknown): NonNullable<StatementData['error']> {
	const { code, message } = (error ?? {}) as { readonly code?: unknown; readonly message?: unknown }
	return { code: typeof code === 'string' ? code : null, message: String(message ?? error) }
}

type Handler = Exclude<keyof PgQuery, 'text' | 'name' | 'types' | 'values'>

/** Looks at a call on its way; it goes on with the same `this`, arguments and result. */
function around<H extends Handler>(
	query: PgQuery,
	handler: H,
	look: (...args: Parameters<NonNullable<PgQuery[H]>>) => unknown,
): void {
	const original = query[handler] as ((...args: unknown[]) => unknown) | undefined
	if (typeof original !== 'function') return
	const wrapped = function (this: unknown, ...args: unknown[]): unknown {
		try {
			look(...(args as Parameters<NonNullable<PgQuery[H]>>))
		} catch {
			// The journal never stands in the way of a query.
		}
		return original.apply(this, args)
	}
	Object.defineProperty(query, handler, { value: wrapped, configurable: true, writable: true })
}
