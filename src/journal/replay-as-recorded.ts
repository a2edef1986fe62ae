/** Statements as they happened: in the order of the chain, interleaved, with one connection for each session that was recorded. */
import type { TargetConnection } from './pg-target.ts'
import { begins } from './replay-in-commit-order.ts'
import { concernsSession, SETTINGS_MAX, SessionSettings } from './session-settings.ts'
import type { StatementData } from './statement.ts'
import { isUnreachable, type StatementReplay } from './statement-replay.ts'
import type { SkipReason } from './statement-report.ts'
import { failed, judge } from './statement-tally.ts'
import { type Recorded, Transactions } from './transactions.ts'

/** So often it is looked whether a statement waits for a lock: maybe of one that comes behind it. */
const LOOK_MS = 20
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
	/** Looks at the others. */
	#watch: TargetConnection | undefined

	constructor(replay: StatementReplay) {
		this.#replay = replay
	}

	async run(): Promise<void> {
		const { tally } = this.#replay
		/** The transaction that each session is in. */
		const open = new Map<string, { readonly tx: string; readonly skip: SkipReason | undefined }>()
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

	async #decided(statement: Recorded, skip: SkipReason | undefined): Promise<void> {
		const { data } = statement
		const { tally } = this.#replay
		const isNew = this.#note(data)
		if (skip !== undefined) {
			tally.skip(skip, 1)
			if (isNew) this.#sessions.get(data.session)?.toldElsewhere()
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
		if (options.rate !== Number.POSITIVE_INFINITY) await pacer.due(statement.tsMs)
		if (this.#replay.isOver) return
		if (statement.data.seq === 1) tally.transaction()
		if (options.dryRun) return tally.replayed(1)
		const answered = (await this.#session(statement.data.session)).take(statement)
		const running = answered.finally(() => this.#running.delete(running))
		this.#running.add(running)
		// It is waited for later, maybe behind others.
		running.catch(() => {})
		await this.#answeredOrBlocked(running, statement.data.session)
		while (this.#running.size >= BLOCKED_MAX && !this.#replay.isOver) await this.#oneAnswered()
	}

	/** Answers came to the service in another order than the server gave them now and then: a commit behind what it let go. */
	async #answeredOrBlocked(running: Promise<void>, session: string): Promise<void> {
		while (this.#running.has(running)) {
			await Promise.race([running, this.#replay.wait(LOOK_MS)])
			if (this.#running.has(running) && (await this.#isBlocked(session))) return
		}
	}

	/** Whether what is under way in a session waits for another one, by what the server says. */
	async #isBlocked(session: string): Promise<boolean> {
		const pid = this.#sessions.get(session)?.pid
		if (pid === undefined) return false
		if (this.#watch === undefined || this.#watch.isLost) {
			try {
				this.#watch = await this.#replay.connection(this.#watch, this.#makeRoom)
			} catch (error) {
				if (isUnreachable(error)) return false
				throw error
			}
		}
		const text = 'select where cardinality(pg_blocking_pids($1)) > 0'
		const { data } = await this.#watch.ask({ text, params: [String(pid)] })
		return data?.rows === 1
	}

	async #session(id: string): Promise<Session> {
		const session =
			this.#sessions.get(id) ?? new Session(this.#replay, () => this.#settings.of(id), this.#makeRoom)
		this.#sessions.delete(id)
		if (this.#sessions.size >= CONNECTIONS_MAX) await this.#makeRoom()
		this.#sessions.set(id, session)
		return session
	}

	/** Closes the one that was idle for longest. */
	readonly #makeRoom = async (): Promise<void> => {
		for (const [id, session] of this.#sessions) if (session.isIdle) return this.#close(id)
	}

	async #close(id: string): Promise<void> {
		const session = this.#sessions.get(id)
		this.#sessions.delete(id)
		await session?.close()
	}
}

/**
 * Which transactions are replayed: how one ends is known at its end only. So the chain is read twice, here as far ahead as the end of the
 * transaction that is asked for, and no further: what is held is of those that overlap with it.
 */
class Decisions {
	readonly #transactions: Transactions
	readonly #statements: ReturnType<StatementReplay['statements']>
	/** By the record that a transaction begins with. */
	readonly #skips = new Map<number, SkipReason | undefined>()

	constructor(replay: StatementReplay) {
		const { options, tally } = replay
		this.#transactions = new Transactions({ ...options, keeps: false, unreplayable: tally.unreplayable })
		this.#statements = replay.statements(false)
	}

	/** Why the transaction that begins with this record is not replayed. */
	async of(first: number): Promise<SkipReason | undefined> {
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
	readonly #makeRoom: () => Promise<void>
	/** There are settings that this connection was not given. */
	#isUntold = true
	/** So many statements are under way, or behind one that is. */
	waiting = 0
	/** What is under way was lost with its connection: nothing more of it is replayed. */
	#lostTx: string | undefined
	#failedTx: string | undefined

	/** @param settings of the session, by now. */
	constructor(
		replay: StatementReplay,
		settings: () => Iterable<StatementData>,
		makeRoom: () => Promise<void>,
	) {
		this.#replay = replay
		this.#makeRoom = makeRoom
		this.#settings = settings
	}

	/** Of the process behind its connection. */
	get pid(): number | undefined {
		return this.#connection?.pid
	}

	get isIdle(): boolean {
		return this.waiting === 0 && (this.#connection?.status ?? 'I') === 'I'
	}

	take(statement: Recorded): Promise<void> {
		this.waiting++
		this.#last = this.#last.then(async () => {
			await this.#replayed(statement)
			this.waiting--
		})
		return this.#last
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
		const { tally, options } = this.#replay
		const { data } = statement
		if (this.#lostTx === data.tx) return tally.skip('afterError', 1)
		try {
			const connection = await this.#at(statement)
			const answer = await connection.ask(data)
			const isAfterError = this.#failedTx === data.tx
			const verdict = answer.isLost
				? failed(
						statement,
						answer.data?.error?.code ?? null,
						answer.lostBy,
						answer.data !== undefined && data.end !== undefined,
					)
				: judge(statement, answer, { compare: options.compare, isAfterError })
			tally.take(verdict)
			if (answer.isLost) this.#lostTx = data.tx
			if (verdict.is === 'failed') this.#failedTx = data.tx
		} catch (error) {
			if (!isUnreachable(error)) throw error
			this.#lostTx = data.tx
			tally.take(failed(statement, null, error.message))
		}
	}

	/** The session's connection, in the state that the statement was in: a transaction where it was in one. */
	async #at(statement: Recorded): Promise<TargetConnection> {
		if (this.#connection === undefined || this.#connection.isLost) {
			const before = this.#connection
			this.#connection = undefined
			this.#connection = await this.#replay.connection(before, this.#makeRoom)
			this.#isUntold = true
		}
		const { data } = statement
		const connection = this.#connection
		if (data.seq > 1) return connection
		if (connection.status !== 'I' && !isWithin(statement)) await connection.ask(ROLLBACK)
		if (this.#isUntold && connection.status === 'I') {
			this.#isUntold = false
			for (const setting of this.#settings()) await connection.ask(setting)
		}
		if (!begins(statement) && connection.status === 'I' && data.end === undefined)
			await connection.ask({ text: 'BEGIN', params: [] })
		return connection
	}
}

const ROLLBACK = { text: 'ROLLBACK', params: [] }

/** Whether it can be the first of a transaction that `AND CHAIN` began. */
function isWithin(statement: Recorded): boolean {
	const { end, commands } = statement.data
	if (end === undefined) return !begins(statement)
	return /^(?:COMMIT|ROLLBACK)$/.test(commands.at(-1) ?? '')
}
