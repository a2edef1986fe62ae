/**
 * Replays statements as recorded: in chain order, with interleaved transactions, and with one connection for
 * each recorded session.
 */
import type { TargetConnection } from './pg-target.ts'
import { begins } from './replay-in-commit-order.ts'
import { concernsSession, SETTINGS_MAX, SessionSettings } from './session-settings.ts'
import type { StatementData } from './statement.ts'
import { isUnreachable, type MakeRoom, type StatementReplay } from './statement-replay.ts'
import type { StatementSkipReason } from './statement-report.ts'
import { failed } from './statement-tally.ts'
import { AFTER_ERROR, TargetTransaction } from './target-transaction.ts'
import { type Recorded, Transactions } from './transactions.ts'

/**
 * Interval at which the replay checks whether a statement is waiting for a lock that a later statement may
 * release.
 */
const LOOK_MS = 20
/** Delay before the replay reopens the connection that checks for locks. */
const WATCH_RETRY_MS = 1000
/** Number of unanswered statements at which the replay stops reading until one of them is answered. */
const BLOCKED_MAX = 1000
/** Number of sessions at which an idle connection is closed before a new session starts. */
const CONNECTIONS_MAX = 64

/** Replays the statements of a chain in chain order. */
export async function replayAsRecorded(replay: StatementReplay): Promise<void> {
	await new AsRecorded(replay).run()
}

class AsRecorded {
	readonly #replay: StatementReplay
	/** Sessions, least recently used first. */
	readonly #sessions = new Map<string, Session>()
	readonly #running = new Set<Promise<void>>()
	readonly #settings = new SessionSettings()
	/** Statements that concern settings, from the open transaction of each session. */
	readonly #settingsInOpen = new Map<string, StatementData[]>()
	readonly #watch: LockWatch

	constructor(replay: StatementReplay) {
		this.#replay = replay
		this.#watch = new LockWatch(replay, this.#makeRoom)
	}

	async run(): Promise<void> {
		const { tally } = this.#replay
		/** The open transaction of each session. */
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
			tally.countSkipped(skip, 1)
			const session = this.#sessions.get(data.session)
			session?.skipped()
			if (isNew) session?.toldElsewhere()
		} else if (data.end === 'unknown') {
			tally.countSkipped('unknownEnd', 1)
			await this.#close(data.session)
		} else await this.#run(statement)
	}

	/**
	 * Registers the settings that a statement changes. Returns whether a commit has changed the session's
	 * settings.
	 */
	#note(data: StatementData): boolean {
		const told = this.#settingsInOpen.get(data.session) ?? []
		if (concernsSession(data) && told.length < SETTINGS_MAX)
			this.#settingsInOpen.set(data.session, [...told, data])
		if (data.end === undefined) return false
		const made = this.#settingsInOpen.get(data.session) ?? []
		this.#settingsInOpen.delete(data.session)
		if (data.end === 'commit') this.#settings.note(data.session, made)
		return data.end === 'commit' && made.length > 0
	}

	/**
	 * Waits for the statements in flight. If the replay has ended early, closes sessions without statements in
	 * flight, because their open transactions receive no more statements.
	 */
	async #ended(): Promise<void> {
		while (this.#running.size > 0) {
			if (this.#replay.isOver)
				for (const session of this.#sessions.values()) if (session.waiting === 0) await session.close()
			await this.#oneAnswered()
		}
	}

	/** Resolves when any statement is answered, or after `LOOK_MS`. */
	async #oneAnswered(): Promise<void> {
		await Promise.race([...this.#running, this.#replay.wait(LOOK_MS)])
	}

	/**
	 * Replays a statement. Resolves when the statement is answered, or when it is waiting for a lock that a
	 * later statement may release.
	 */
	async #run(statement: Recorded): Promise<void> {
		const { options, pacer, tally } = this.#replay
		if (options.speed !== Number.POSITIVE_INFINITY) await pacer.due(statement.tsMs)
		if (this.#replay.isOver) return
		if (statement.data.seq === 1) tally.countTransaction()
		if (options.dryRun) return tally.countReplayed(1)
		if (this.#sessions.size >= CONNECTIONS_MAX && !this.#sessions.has(statement.data.session))
			await this.#makeRoom()
		const session = this.#session(statement.data.session)
		const answered = session.run(statement)
		const running = answered.finally(() => this.#running.delete(running))
		this.#running.add(running)
		// The promise is awaited later, so an early rejection must not count as unhandled.
		running.catch(() => {})
		await this.#answeredOrBlocked(running, session)
		while (this.#running.size >= BLOCKED_MAX && !this.#replay.isOver) await this.#oneAnswered()
	}

	/**
	 * Resolves when a statement is answered or blocked. A statement can be blocked by a transaction whose next
	 * statement comes later in the recording. This is possible because answers on different connections may not
	 * arrive in the order in which the server sent them.
	 */
	async #answeredOrBlocked(running: Promise<void>, session: Session): Promise<void> {
		const { options, clock } = this.#replay
		const begunMs = clock.now()
		while (this.#running.has(running)) {
			await Promise.race([running, this.#replay.wait(LOOK_MS)])
			if (!this.#running.has(running) || (await this.#watch.isBlocked(session.pid))) return
			// If the connection that checks for locks receives no answer either, a pooler has no free connection
			// for a new transaction.
			const isStuck = this.#watch.isSilent && session.isBeginning && this.#holders > 0
			if (!isStuck || clock.now() - begunMs <= options.connectMs) continue
			this.#replay.endFull(this.#holders)
			return
		}
	}

	/** Number of connections whose transactions are waiting for later statements. */
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

	/**
	 * Closes the least recently used connection that is idle and has no state that would be lost. If there is
	 * none, closes the connection that checks for locks.
	 */
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

/** Checks on a separate connection whether a statement is waiting for a lock. */
class LockWatch {
	readonly #replay: StatementReplay
	readonly #makeRoom: MakeRoom
	#connection: TargetConnection | undefined
	#connecting: Promise<void> | undefined
	/** Whether the target does not answer on the separate connection. */
	isSilent = false
	#nextMs = 0
	/** Check in flight, which stays unanswered while a pooler has no server connection for it. */
	#asked: { readonly pid: number; readonly sinceMs: number; readonly isBlocked: Promise<boolean> } | undefined

	constructor(replay: StatementReplay, makeRoom: MakeRoom) {
		this.#replay = replay
		this.#makeRoom = makeRoom
	}

	/**
	 * Returns whether a server process is waiting for a lock. Returns false if the separate connection is not
	 * available or receives no answer.
	 */
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

	/**
	 * Closes the separate connection to make room for a transaction, and does not reopen it for
	 * `WATCH_RETRY_MS`. Returns whether there was a connection to close.
	 */
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
 * Decides which transactions are replayed. The outcome of a transaction is known only at its end, so the
 * chain is read a second time, ahead of the replay. The second reader advances only to the end of the
 * requested transaction. Therefore, only decisions on transactions that overlap with it are held in memory.
 */
class Decisions {
	readonly #transactions: Transactions
	readonly #statements: ReturnType<StatementReplay['statements']>
	/** Decisions, keyed by the seq of each transaction's first record. */
	readonly #skips = new Map<number, StatementSkipReason | undefined>()

	constructor(replay: StatementReplay) {
		const { options, tally, suspects } = replay
		const { countUnreplayable: unreplayable } = tally
		this.#transactions = new Transactions({ ...options, keeps: false, unreplayable, suspects })
		this.#statements = replay.statements({ counts: false })
	}

	/**
	 * Returns the reason why the transaction that starts with the record `first` is skipped, or undefined if it
	 * is replayed.
	 */
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

/** A session of the recording, which corresponds to one recorded connection. */
class Session {
	readonly #replay: StatementReplay
	#connection: TargetConnection | undefined
	#last: Promise<void> = Promise.resolve()
	readonly #settings: () => Iterable<StatementData>
	readonly #makeRoom: MakeRoom
	/** Whether some settings have not yet been applied to the connection. */
	#isUntold = true
	/** Number of statements in flight or waiting for an earlier statement of the session. */
	waiting = 0
	/**
	 * The open transaction. If it could not be started, `at` is undefined and none of its statements are sent.
	 */
	#current: { readonly tx: string; readonly at: TargetTransaction | undefined } | undefined
	/**
	 * Whether the statement that ended the previous transaction may have begun the next one, as in `COMMIT AND
	 * CHAIN` and `COMMIT; BEGIN`.
	 */
	#isChained = false
	/** Whether the connection has state that a new connection would not have. */
	isBound = false

	/** @param settings Returns the statements that restore the session's current settings. */
	constructor(replay: StatementReplay, settings: () => Iterable<StatementData>, makeRoom: MakeRoom) {
		this.#replay = replay
		this.#makeRoom = makeRoom
		this.#settings = settings
	}

	/** Process id of the server backend. */
	get pid(): number | undefined {
		return this.#connection?.pid
	}

	/** Whether the session has a connection that is idle or lost. */
	get isIdle(): boolean {
		const connection = this.#connection
		return this.waiting === 0 && connection !== undefined && (connection.isLost || connection.status === 'I')
	}

	/** Whether the session has a connection in a transaction that is waiting for later statements. */
	get isWithinTransaction(): boolean {
		const connection = this.#connection
		return this.waiting === 0 && connection !== undefined && !this.isIdle
	}

	/** Whether the session has statements in flight. */
	get isRunning(): boolean {
		return this.waiting > 0 && this.#connection !== undefined
	}

	/** Whether the session is waiting for the first answer in a transaction. */
	get isBeginning(): boolean {
		return this.waiting > 0 && this.#connection?.isLost === false && this.#connection.status === 'I'
	}

	run(statement: Recorded): Promise<void> {
		this.waiting++
		this.#last = this.#last.then(async () => {
			await this.#replayed(statement)
			this.waiting--
		})
		return this.#last
	}

	/**
	 * Registers that a transaction was skipped, so its end did not begin the next transaction on the target.
	 */
	skipped(): void {
		this.#isChained = false
	}

	/** Registers that a skipped transaction changed settings in the recording. */
	toldElsewhere(): void {
		this.#isUntold = true
	}

	/** Closes the connection. The server rolls back any open transaction. */
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
		if (at === undefined || tx !== data.tx) return tally.count(AFTER_ERROR)
		const { verdict } = await at.run(statement)
		tally.count(verdict)
		if (data.commands.includes('DISCARD ALL')) this.isBound = false
		this.isBound ||= isBoundToConnection(data)
		if (data.end !== undefined) this.#isChained = true
	}

	/**
	 * Begins the transaction that contains a statement. If the transaction cannot be started, counts a failure
	 * and returns undefined.
	 */
	async #begun(statement: Recorded): Promise<TargetTransaction | undefined> {
		const { tally, options } = this.#replay
		try {
			const connection = await this.#connected()
			if (connection === undefined) {
				tally.count(failed(statement, { error: BOUND_LOST }))
				return undefined
			}
			const transaction = new TargetTransaction(connection, options.compare)
			const within = isWithin(statement)
			if (connection.status !== 'I' && !(within && this.#isChained)) await connection.rollback()
			this.#isChained = false
			await this.#tell(connection)
			if (within && connection.status === 'I') await transaction.begin()
			return transaction
		} catch (error) {
			if (!isUnreachable(error)) throw error
			tally.count(failed(statement, { error: error.message }))
			return undefined
		}
	}

	/**
	 * Returns the connection, opening it if necessary. Returns undefined if required state was lost with an
	 * earlier connection.
	 */
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

const BOUND_LOST =
	'its session lost the connection, and with it temporary tables, prepared statements, cursors or locks'

/**
 * Returns whether a statement can be the first one in a transaction that `COMMIT AND CHAIN` or `COMMIT;
 * BEGIN` began.
 */
function isWithin(statement: Recorded): boolean {
	if (begins(statement)) return false
	const { end, commands } = statement.data
	return end === undefined || /^(?:COMMIT|ROLLBACK|PREPARE TRANSACTION)$/.test(commands.at(-1) ?? '')
}

const BOUND_COMMANDS = new Set(['PREPARE', 'LISTEN', 'LOAD'])
const BOUND_WORDS = /\b(?:temp|temporary|pg_temp\w*|with\s+hold|pg_(?:try_)?advisory_lock\w*)\b/i

/** Returns whether a statement may create connection state other than settings. */
function isBoundToConnection({ commands, text }: StatementData): boolean {
	return commands.some((command) => BOUND_COMMANDS.has(command)) || BOUND_WORDS.test(text)
}
