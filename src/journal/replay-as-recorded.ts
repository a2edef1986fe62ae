/** Statements as they happened: in the order of the chain, interleaved, with one connection for each session that was recorded. */
import type { TargetConnection } from './pg-target.ts'
import { begins } from './replay-in-commit-order.ts'
import { concernsSession, SETTINGS_MAX, SessionSettings } from './session-settings.ts'
import type { StatementData } from './statement.ts'
import { isUnreachable, type MakeRoom, type StatementReplay } from './statement-replay.ts'
import type { StatementSkipReason } from './statement-report.ts'
import { failed } from './statement-tally.ts'
import { AFTER_ERROR, TargetTransaction } from './target-transaction.ts'
import { type Recorded, Transactions } from './transactions.ts'

/** So often it is looked whether a statement waits for a lock: maybe of one that comes behind it. */
const LOOK_MS = 20
/** After so long a connection to look on is tried again. */
const WATCH_RETRY_MS = 1000
/** So many may wait, and nothing more is read. */
const BLOCKED_MAX = 1000
/** So many connections are kept for sessions that may go on. */
const CONNECTIONS_MAX = 64

export async function replayAsRecorded(replay: StatementReplay): Promise<void> {
	await new AsRecorded(replay).run()
}

class AsRecorded {
	readonly #replay: StatementReplay
	/** The least recently used first. */
	readonly #sessions = new Map<string, Session>()
	readonly #running = new Set<Promise<void>>()
	readonly #settings = new SessionSettings()
	/** What the open transaction of a session told it. */
	readonly #told = new Map<string, StatementData[]>()
	readonly #watch: LockWatch

	constructor(replay: StatementReplay) {
		this.#replay = replay
		this.#watch = new LockWatch(replay, this.#makeRoom)
	}

	async run(): Promise<void> {
		const { tally } = this.#replay
		/** The transaction that each session is in. */
		const open = new Map<string, { readonly tx: string; readonly skip: StatementSkipReason | undefined }>()
		const decisions = new Decisions(this.#replay)
		try {
			for await (const { record, data } of this.#replay.statements()) {
				tally.progress(record)
				let transaction = open.get(data.session)
				if (transaction?.tx !== data.tx) transaction = { tx: data.tx, skip: await decisions.of(record.seq) }
				if (this.#replay.isOver) break
				if (data.end === undefined) open.set(data.session, transaction)
				else open.delete(data.session)
				await this.#decided({ data, seq: record.seq, tsMs: record.tsMs }, transaction.skip)
			}
			await this.#ended()
		} finally {
			await decisions.close()
		}
	}

	async #decided(statement: Recorded, skip: StatementSkipReason | undefined): Promise<void> {
		const { data } = statement
		const { tally } = this.#replay
		const isNew = this.#note(data)
		if (skip !== undefined) {
			tally.skip(skip, 1)
			const session = this.#sessions.get(data.session)
			session?.skipped()
			if (isNew) session?.toldElsewhere()
		} else if (data.end === 'unknown') {
			tally.skip('unknownEnd', 1)
			await this.#close(data.session)
		} else await this.#take(statement)
	}

	/** Returns whether there are settings now that were not there before. */
	#note(data: StatementData): boolean {
		const told = this.#told.get(data.session) ?? []
		if (concernsSession(data) && told.length < SETTINGS_MAX) this.#told.set(data.session, [...told, data])
		if (data.end === undefined) return false
		const made = this.#told.get(data.session) ?? []
		this.#told.delete(data.session)
		if (data.end === 'commit') this.#settings.note(data.session, made)
		return data.end === 'commit' && made.length > 0
	}

	/** What waits for something that does not come any more is let go: where the replay is over, transactions are left open. */
	async #ended(): Promise<void> {
		while (this.#running.size > 0) {
			if (this.#replay.isOver)
				for (const session of this.#sessions.values()) if (session.waiting === 0) await session.close()
			await this.#oneAnswered()
		}
	}

	/** Resolves after a while, too. */
	async #oneAnswered(): Promise<void> {
		await Promise.race([...this.#running, this.#replay.wait(LOOK_MS)])
	}

	/** Resolves when it is answered, or waits for one that may come behind it. */
	async #take(statement: Recorded): Promise<void> {
		const { options, pacer, tally } = this.#replay
		if (options.speed !== Number.POSITIVE_INFINITY) await pacer.due(statement.tsMs)
		if (this.#replay.isOver) return
		if (statement.data.seq === 1) tally.transaction()
		if (options.dryRun) return tally.replayed(1)
		if (this.#sessions.size >= CONNECTIONS_MAX && !this.#sessions.has(statement.data.session))
			await this.#makeRoom()
		const session = this.#session(statement.data.session)
		const answered = session.take(statement)
		const running = answered.finally(() => this.#running.delete(running))
		this.#running.add(running)
		// It is waited for later, maybe behind others.
		running.catch(() => {})
		await this.#answeredOrBlocked(running, session)
		while (this.#running.size >= BLOCKED_MAX && !this.#replay.isOver) await this.#oneAnswered()
	}

	/** Answers came to the service in another order than the server gave them now and then: a commit behind what it let go. */
	async #answeredOrBlocked(running: Promise<void>, session: Session): Promise<void> {
		const { options, clock } = this.#replay
		const begunMs = clock.now()
		while (this.#running.has(running)) {
			await Promise.race([running, this.#replay.wait(LOOK_MS)])
			if (!this.#running.has(running) || (await this.#watch.isBlocked(session.pid))) return
			// Nor is another connection answered: a pooler has none left for a transaction that begins.
			const isStuck = this.#watch.isSilent && session.isBeginning && this.#holders > 0
			if (!isStuck || clock.now() - begunMs <= options.connectMs) continue
			this.#replay.endFull(this.#holders)
			return
		}
	}

	/** So many connections are in transactions that wait for what the chain has next. */
	get #holders(): number {
		return [...this.#sessions.values()].filter((session) => session.isWithinTransaction).length
	}

	#session(id: string): Session {
		const session =
			this.#sessions.get(id) ?? new Session(this.#replay, () => this.#settings.of(id), this.#makeRoom)
		this.#sessions.delete(id)
		this.#sessions.set(id, session)
		return session
	}

	/** Closes the one that was idle for longest, of those that lose nothing by it; then the one that looks at locks. */
	readonly #makeRoom: MakeRoom = async () => {
		for (const [id, session] of this.#sessions)
			if (session.isIdle && !session.isBound) {
				await this.#close(id)
				return { isMade: true, holders: 0 }
			}
		if (await this.#watch.giveUp()) return { isMade: true, holders: 0 }
		const isBusy = [...this.#sessions.values()].some((session) => session.isRunning)
		return { isMade: isBusy, holders: this.#holders }
	}

	async #close(id: string): Promise<void> {
		const session = this.#sessions.get(id)
		this.#sessions.delete(id)
		await session?.close()
	}
}

/** Tells whether a statement waits for a lock, by what the server says on a connection of its own. */
class LockWatch {
	readonly #replay: StatementReplay
	readonly #makeRoom: MakeRoom
	#connection: TargetConnection | undefined
	#connecting: Promise<void> | undefined
	/** The target does not answer on a connection of its own. */
	isSilent = false
	#nextMs = 0
	/** Not answered yet: a pooler may have no server for it. */
	#asked: { readonly pid: number; readonly sinceMs: number; readonly isBlocked: Promise<boolean> } | undefined

	constructor(replay: StatementReplay, makeRoom: MakeRoom) {
		this.#replay = replay
		this.#makeRoom = makeRoom
	}

	/** False also while there is no connection to ask on: nobody waits for one. */
	async isBlocked(pid: number | undefined): Promise<boolean> {
		if (pid === undefined) return false
		if (this.#connection === undefined || this.#connection.isLost) {
			if (this.#replay.clock.now() < this.#nextMs) return false
			this.#connecting ??= this.#connect().finally(() => {
				this.#connecting = undefined
			})
			await Promise.race([this.#connecting, this.#replay.wait(LOOK_MS)])
		}
		if (this.#connection === undefined || this.#connection.isLost) return false
		const { clock, options } = this.#replay
		this.#asked ??= { pid, sinceMs: clock.now(), isBlocked: ask(this.#connection, pid) }
		const asked = this.#asked
		const isBlocked = await Promise.race([asked.isBlocked, this.#replay.wait(LOOK_MS)])
		if (isBlocked === undefined) {
			this.isSilent ||= clock.now() - asked.sinceMs > options.connectMs
			return false
		}
		this.#asked = undefined
		this.isSilent = false
		return isBlocked && asked.pid === pid
	}

	/** Closes its connection for a while, because a transaction gets none; returns whether it had one. */
	async giveUp(): Promise<boolean> {
		const connection = this.#connection
		if (connection === undefined) return false
		this.#connection = undefined
		this.#asked = undefined
		this.#nextMs = this.#replay.clock.now() + WATCH_RETRY_MS
		await this.#replay.release(connection)
		return true
	}

	async #connect(): Promise<void> {
		const before = this.#connection
		this.#connection = undefined
		if (before !== undefined) await this.#replay.release(before)
		const tried = await this.#replay.tryConnection()
		this.isSilent = tried === 'silent'
		if (typeof tried !== 'string') this.#connection = tried
		else this.#nextMs = this.#replay.clock.now() + WATCH_RETRY_MS
		if (tried === 'full') await this.#makeRoom()
	}
}

async function ask(connection: TargetConnection, pid: number): Promise<boolean> {
	const text = 'select where cardinality(pg_blocking_pids($1)) > 0'
	const { data } = await connection.ask({ text, params: [String(pid)] })
	return data?.rows === 1
}

/**
 * Which transactions are replayed: how one ends is known at its end only. So the chain is read twice, here as far ahead as the end of the
 * transaction that is asked for, and no further: what is held is of those that overlap with it.
 */
class Decisions {
	readonly #transactions: Transactions
	readonly #statements: ReturnType<StatementReplay['statements']>
	/** By the record that a transaction begins with. */
	readonly #skips = new Map<number, StatementSkipReason | undefined>()

	constructor(replay: StatementReplay) {
		const { options, tally, suspects } = replay
		const { unreplayable } = tally
		this.#transactions = new Transactions({ ...options, keeps: false, unreplayable, suspects })
		this.#statements = replay.statements(false)
	}

	/** Why the transaction that begins with this record is not replayed. */
	async of(first: number): Promise<StatementSkipReason | undefined> {
		while (!this.#skips.has(first)) {
			const { value, done } = await this.#statements.next()
			const ended = done ? this.#transactions.rest() : this.#transactions.add(value.record, value.data)
			for (const transaction of ended) this.#skips.set(transaction.first, transaction.skip)
			if (done) break
		}
		const skip = this.#skips.has(first) ? this.#skips.get(first) : 'unfinished'
		this.#skips.delete(first)
		return skip
	}

	async close(): Promise<void> {
		await this.#statements.return(undefined)
	}
}

/** What was one connection when it was recorded. */
class Session {
	readonly #replay: StatementReplay
	#connection: TargetConnection | undefined
	#last: Promise<void> = Promise.resolve()
	readonly #settings: () => Iterable<StatementData>
	readonly #makeRoom: MakeRoom
	/** There are settings that this connection was not given. */
	#isUntold = true
	/** So many statements are under way, or behind one that is. */
	waiting = 0
	/** The transaction that it is in; of one that could not be begun nothing is sent. */
	#current: { readonly tx: string; readonly at: TargetTransaction | undefined } | undefined
	/** The server is in a transaction that the end of the one before began: `COMMIT AND CHAIN`, `COMMIT; BEGIN`. */
	#isChained = false
	/** There is something on its connection that no other connection has. */
	isBound = false

	/** @param settings of the session, by now. */
	constructor(replay: StatementReplay, settings: () => Iterable<StatementData>, makeRoom: MakeRoom) {
		this.#replay = replay
		this.#makeRoom = makeRoom
		this.#settings = settings
	}

	/** Of the process behind its connection. */
	get pid(): number | undefined {
		return this.#connection?.pid
	}

	/** It has a connection, and does nothing there. */
	get isIdle(): boolean {
		const connection = this.#connection
		return this.waiting === 0 && connection !== undefined && (connection.isLost || connection.status === 'I')
	}

	/** It holds a connection in a transaction that waits for what the chain has next. */
	get isWithinTransaction(): boolean {
		const connection = this.#connection
		return this.waiting === 0 && connection !== undefined && !this.isIdle
	}

	/** Something of it is under way on its connection. */
	get isRunning(): boolean {
		return this.waiting > 0 && this.#connection !== undefined
	}

	/** It asked for a transaction, and had no answer yet. */
	get isBeginning(): boolean {
		return this.waiting > 0 && this.#connection?.isLost === false && this.#connection.status === 'I'
	}

	take(statement: Recorded): Promise<void> {
		this.waiting++
		this.#last = this.#last.then(async () => {
			await this.#replayed(statement)
			this.waiting--
		})
		return this.#last
	}

	/** A transaction of it is not replayed, nor what that began. */
	skipped(): void {
		this.#isChained = false
	}

	/** A transaction that is not replayed made settings. */
	toldElsewhere(): void {
		this.#isUntold = true
	}

	/** What is open there is rolled back. */
	async close(): Promise<void> {
		if (this.#connection !== undefined) await this.#replay.release(this.#connection)
	}

	async #replayed(statement: Recorded): Promise<void> {
		const { tally } = this.#replay
		const { data } = statement
		if (data.seq === 1) {
			this.#current = { tx: data.tx, at: undefined }
			this.#current = { tx: data.tx, at: await this.#begun(statement) }
			if (this.#current.at === undefined) return
		}
		const { tx, at } = this.#current ?? {}
		if (at === undefined || tx !== data.tx) return tally.take(AFTER_ERROR)
		const { verdict } = await at.take(statement)
		tally.take(verdict)
		if (data.commands.includes('DISCARD ALL')) this.isBound = false
		this.isBound ||= isBoundToConnection(data)
		if (data.end !== undefined) this.#isChained = true
	}

	/** Undefined where it cannot be begun, which is counted. */
	async #begun(statement: Recorded): Promise<TargetTransaction | undefined> {
		const { tally, options } = this.#replay
		try {
			const connection = await this.#connected()
			if (connection === undefined) {
				tally.take(failed(statement, null, BOUND_LOST))
				return undefined
			}
			const transaction = new TargetTransaction(connection, options.compare)
			const within = isWithin(statement)
			if (connection.status !== 'I' && !(within && this.#isChained)) await connection.ask(ROLLBACK)
			this.#isChained = false
			await this.#tell(connection)
			if (within && connection.status === 'I') await transaction.begin()
			return transaction
		} catch (error) {
			if (!isUnreachable(error)) throw error
			tally.take(failed(statement, null, error.message))
			return undefined
		}
	}

	/** Undefined where what it had on its connection was lost with it. */
	async #connected(): Promise<TargetConnection | undefined> {
		const before = this.#connection
		if (before !== undefined && !before.isLost) return before
		if (this.isBound) return undefined
		this.#connection = undefined
		this.#isChained = false
		this.#isUntold = true
		this.#connection = await this.#replay.connection(before, this.#makeRoom)
		return this.#connection
	}

	async #tell(connection: TargetConnection): Promise<void> {
		if (!this.#isUntold || connection.status !== 'I') return
		this.#isUntold = false
		for (const setting of this.#settings()) await connection.ask(setting)
	}
}

const ROLLBACK = { text: 'ROLLBACK', params: [] }
const BOUND_LOST =
	'its session lost its connection, and with it what no other has: temporary tables, prepared statements, cursors, locks'

/** Whether it can be the first of a transaction that the end of another began. */
function isWithin(statement: Recorded): boolean {
	if (begins(statement)) return false
	const { end, commands } = statement.data
	return end === undefined || /^(?:COMMIT|ROLLBACK|PREPARE TRANSACTION)$/.test(commands.at(-1) ?? '')
}

const BOUND_COMMANDS = new Set(['PREPARE', 'LISTEN', 'LOAD'])
const BOUND_WORDS = /\b(?:temp|temporary|pg_temp\w*|with\s+hold|pg_(?:try_)?advisory_lock\w*)\b/i

/** Whether it leaves something behind that ends with the connection, and is no setting: as far as its text says. */
function isBoundToConnection({ commands, text }: StatementData): boolean {
	return commands.some((command) => BOUND_COMMANDS.has(command)) || BOUND_WORDS.test(text)
}
