/** Groups statements by transaction. When a transaction ends, decides whether to replay it. */
import type { ResolvedFilter } from '../model/filter.ts'
import { matches } from '../model/filter.ts'
import type { LogRecord } from '../model/record.ts'
import { isProvedRead, type Suspects } from './reading.ts'
import { concernsSession, SETTINGS_MAX } from './session-settings.ts'
import type { StatementData, TransactionEnd, Unreplayable } from './statement.ts'
import type { StatementSkipReason, UnreplayableStatement } from './statement-report.ts'

/** A statement with the seq and the time of its record. */
export interface Recorded {
	readonly data: StatementData
	readonly seq: number
	readonly tsMs: number
}

/** A transaction that has ended. */
export interface Transaction {
	readonly tx: string
	readonly session: string
	/** Seq of the transaction's first record. */
	readonly first: number
	/**
	 * Statements of the transaction; empty unless {@link TransactionsOptions.keeps} is set. For an incomplete
	 * or unreplayable transaction, contains only statements that concern the settings of its session.
	 */
	readonly statements: readonly Recorded[]
	/** Number of statements in the transaction. */
	readonly count: number
	readonly end: TransactionEnd
	/** Reason why the transaction is skipped; undefined if it is replayed. */
	readonly skip: StatementSkipReason | undefined
}

/** Options of {@link Transactions}. */
export interface TransactionsOptions {
	readonly chosen: ResolvedFilter
	readonly skipsReads: boolean
	readonly suspects: Suspects
	readonly includeRolledBack: boolean
	readonly openBytesMax: number
	/** Whether to hold statements until their transaction ends. */
	readonly keeps: boolean
	/** Called with each statement that prevents the replay of its transaction. */
	readonly unreplayable: (statement: Recorded, why: UnreplayableStatement['why']) => void
}

interface Open {
	readonly tx: string
	readonly first: number
	statements: Recorded[]
	count: number
	/** Number of the latest statement within the transaction. */
	seq: number
	bytes: number
	isWanted: boolean
	onlyReads: boolean
	givenUp: StatementSkipReason | undefined
}

/** The open transactions of a recording. */
export class Transactions {
	readonly #options: TransactionsOptions
	/** Open transactions by session. Each session has at most one at a time. */
	readonly #open = new Map<string, Open>()
	/** Sessions whose next transaction began in the text that ended the previous one. */
	readonly #begunBefore = new Set<string>()
	#bytes = 0

	constructor(options: TransactionsOptions) {
		this.#options = options
	}

	/**
	 * Adds the next statement. Returns the transactions that the statement ends: its own, and any unfinished
	 * earlier transaction of the same session.
	 */
	add(record: LogRecord, data: StatementData): Transaction[] {
		const statement = { data, seq: record.seq, tsMs: record.tsMs }
		const ended: Transaction[] = []
		let open = this.#open.get(data.session)
		if (open !== undefined && open.tx !== data.tx) {
			ended.push(this.#close(data.session, open, 'unknown', 'unfinished'))
			open = undefined
		}
		if (open === undefined) {
			open = newOpen(data.tx, record.seq)
			this.#open.set(data.session, open)
			if (this.#begunBefore.delete(data.session)) {
				this.#options.unreplayable(statement, 'begunBefore')
				this.#giveUp(open, 'unreplayable')
			}
		}
		open.count++
		if (data.seq !== ++open.seq) this.#giveUp(open, 'incomplete')
		open.seq = data.seq
		open.isWanted ||= matches(record, this.#options.chosen)
		const { skipsReads, suspects } = this.#options
		if (skipsReads && !isProvedRead(data, suspects)) {
			open.onlyReads = false
			suspects.learn(data)
		}
		if (data.unreplayable !== undefined) {
			this.#options.unreplayable(statement, data.unreplayable)
			this.#giveUp(open, 'unreplayable')
		}
		this.#hold(open, statement)
		if (data.end !== undefined) ended.push(this.#close(data.session, open, data.end))
		if (hasPartOfNext(data)) this.#begunBefore.add(data.session)
		return ended
	}

	/** Closes and returns the transactions that have not ended. */
	rest(): Transaction[] {
		return [...this.#open].map(([session, open]) => this.#close(session, open, 'unknown', 'unfinished'))
	}

	#hold(open: Open, statement: Recorded): void {
		if (!this.#options.keeps) return
		if (open.givenUp !== undefined) {
			if (open.statements.length < SETTINGS_MAX && concernsSession(statement.data))
				open.statements.push(statement)
			return
		}
		open.statements.push(statement)
		const bytes = sizeOf(statement.data)
		open.bytes += bytes
		this.#bytes += bytes
		if (this.#bytes <= this.#options.openBytesMax || statement.data.end !== undefined) return
		const [largest] = [...this.#open.values()].sort((a, b) => b.bytes - a.bytes)
		const last = largest?.statements.at(-1)
		if (largest === undefined || last === undefined) return
		this.#options.unreplayable(last, 'tooLarge')
		this.#giveUp(largest, 'unreplayable')
	}

	#giveUp(open: Open, why: StatementSkipReason): void {
		open.givenUp ??= why
		this.#bytes -= open.bytes
		open.bytes = 0
		open.statements = open.statements.filter(({ data }) => concernsSession(data)).slice(0, SETTINGS_MAX)
	}

	#close(session: string, open: Open, end: TransactionEnd, unless?: StatementSkipReason): Transaction {
		this.#open.delete(session)
		this.#bytes -= open.bytes
		const { tx, first, statements, count } = open
		return { tx, session, first, statements, count, end, skip: this.#skip(open, end, unless) }
	}

	#skip(
		open: Open,
		end: TransactionEnd,
		unless: StatementSkipReason | undefined,
	): StatementSkipReason | undefined {
		const { skipsReads, includeRolledBack } = this.#options
		if (!open.isWanted) return 'filtered'
		if (open.givenUp !== undefined) return open.givenUp
		if (unless !== undefined) return unless
		if (end !== 'commit' && !includeRolledBack) return end === 'rollback' ? 'rolledBack' : 'unknownEnd'
		return skipsReads && open.onlyReads ? 'readOnly' : undefined
	}
}

const OVER = new Set(['COMMIT', 'ROLLBACK', 'PREPARE TRANSACTION'])
const BEGIN = new Set(['BEGIN', 'START TRANSACTION'])

/**
 * Returns whether a text ended a transaction and also contains part of the next one, as in `COMMIT; BEGIN;
 * INSERT …`.
 */
function hasPartOfNext({ commands, text, end }: StatementData): boolean {
	if (end === undefined || commands.length < 2) return false
	const later = commands.slice(commands.findLastIndex((command) => OVER.has(command)) + 1)
	const isOpen = later.some((command) => BEGIN.has(command)) || /\band\s+chain\b/i.test(text)
	return later.length < commands.length && isOpen && later.some((command) => !BEGIN.has(command))
}

function newOpen(tx: string, first: number): Open {
	return {
		tx,
		first,
		statements: [],
		count: 0,
		seq: 0,
		bytes: 0,
		isWanted: false,
		onlyReads: true,
		givenUp: undefined,
	}
}

/**
 * Returns the statement in a record of kind `sql`, or undefined if any field that a replay sends, counts or
 * compares is invalid.
 */
export function statementOf({ data }: LogRecord): StatementData | undefined {
	const {
		session,
		tx,
		seq,
		text,
		name,
		params,
		paramTypes,
		commands,
		rows,
		checksum,
		end,
		error,
		unreplayable,
	} = (data ?? {}) as Partial<Record<keyof StatementData, unknown>>
	const isStatement =
		[session, tx, text].every(isText) &&
		(name === undefined || isText(name)) &&
		Number.isSafeInteger(seq) &&
		(seq as number) > 0 &&
		isListOf(params, isWireValue) &&
		(paramTypes === undefined || isListOf(paramTypes, Number.isSafeInteger)) &&
		isListOf(commands, isText) &&
		(rows === null || Number.isSafeInteger(rows)) &&
		(checksum === null || isText(checksum)) &&
		(end === undefined || ENDS.includes(end)) &&
		(error === undefined || isError(error)) &&
		(unreplayable === undefined || UNREPLAYABLE.includes(unreplayable))
	return isStatement ? (data as unknown as StatementData) : undefined
}

const ENDS: readonly unknown[] = ['commit', 'rollback', 'unknown'] satisfies TransactionEnd[]
const UNREPLAYABLE: readonly unknown[] = ['cut', 'redacted', 'copy'] satisfies Unreplayable[]

const isText = (value: unknown) => typeof value === 'string'
const isWireValue = (value: unknown) => value === null || isText(value) || value instanceof Uint8Array

function isListOf(list: unknown, is: (item: unknown) => boolean): boolean {
	return Array.isArray(list) && list.every(is)
}

function isError(error: unknown): boolean {
	const { code, message } = (error ?? {}) as { readonly code?: unknown; readonly message?: unknown }
	return (code === null || isText(code)) && isText(message)
}

function sizeOf({ text, params }: StatementData): number {
	return params.reduce<number>((sum, param) => sum + (param?.length ?? 0) + 64, 512 + 2 * text.length)
}
