/** Statements as they happened: in the order of the chain, interleaved, with one connection for each session that was recorded. */
import type { TargetConnection } from './pg-target.ts'
import { begins } from './replay-in-commit-order.ts'
import { isUnreachable, type StatementReplay } from './statement-replay.ts'
import type { SkipReason } from './statement-report.ts'
import { failed, judge } from './statement-tally.ts'
import { type Recorded, Transactions, type TransactionsOptions } from './transactions.ts'

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
	/** Looks at the others. */
	#watch: TargetConnection | undefined

	constructor(replay: StatementReplay) {
		this.#replay = replay
	}

	async run(): Promise<void> {
		const skipped = await this.#skipped()
		const { tally } = this.#replay
		const singles = this.#transactions(() => {})
		for await (const { record, data } of this.#replay.statements()) {
			tally.progress(record)
			const isSingle = data.seq === 1 && data.end !== undefined
			const skip = isSingle ? singles.add(record, data)[0]?.skip : skipped.get(data.tx)
			if (!isSingle && data.end !== undefined) skipped.delete(data.tx)
			if (skip !== undefined) tally.skip(skip, 1)
			else if (data.end === 'unknown') tally.skip('unknownEnd', 1)
			else await this.#take({ data, seq: record.seq, tsMs: record.tsMs })
		}
		await Promise.all(this.#running)
	}

	/** Of the transactions of more than one statement those that are not replayed: how one ends is known at its end only. */
	async #skipped(): Promise<Map<string, SkipReason>> {
		const skipped = new Map<string, SkipReason>()
		const transactions = this.#transactions(this.#replay.tally.unreplayable)
		for await (const { record, data } of this.#replay.statements(false)) {
			for (const { tx, skip } of transactions.add(record, data)) {
				const isSingle = tx === data.tx && data.seq === 1
				if (skip !== undefined && !isSingle) skipped.set(tx, skip)
			}
		}
		for (const { tx, skip } of transactions.rest()) if (skip !== undefined) skipped.set(tx, skip)
		return skipped
	}

	#transactions(unreplayable: TransactionsOptions['unreplayable']): Transactions {
		return new Transactions({ ...this.#replay.options, keeps: false, unreplayable })
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
		await this.#answeredOrBlocked(running, statement.data.session)
		while (this.#running.size >= BLOCKED_MAX) await Promise.race(this.#running)
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
				this.#watch = await this.#replay.connection(this.#watch)
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
		const session = this.#sessions.get(id) ?? new Session(this.#replay)
		this.#sessions.delete(id)
		if (this.#sessions.size >= CONNECTIONS_MAX) await this.#closeOne()
		this.#sessions.set(id, session)
		return session
	}

	/** The one that was idle for longest. */
	async #closeOne(): Promise<void> {
		for (const [id, session] of this.#sessions) {
			if (!session.isIdle) continue
			this.#sessions.delete(id)
			return session.close()
		}
	}
}

/** What was one connection when it was recorded. */
class Session {
	readonly #replay: StatementReplay
	#connection: TargetConnection | undefined
	#last: Promise<void> = Promise.resolve()
	#waiting = 0
	/** What is under way was lost with its connection: nothing more of it is replayed. */
	#lostTx: string | undefined
	#failedTx: string | undefined

	constructor(replay: StatementReplay) {
		this.#replay = replay
	}

	/** Of the process behind its connection. */
	get pid(): number | undefined {
		return this.#connection?.pid
	}

	get isIdle(): boolean {
		return this.#waiting === 0 && (this.#connection?.status ?? 'I') === 'I'
	}

	take(statement: Recorded): Promise<void> {
		this.#waiting++
		this.#last = this.#last.then(async () => {
			await this.#replayed(statement)
			this.#waiting--
		})
		return this.#last
	}

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
			this.#connection = await this.#replay.connection(before)
		}
		const { data } = statement
		if (data.seq > 1) return this.#connection
		const isOpen = this.#connection.status !== 'I'
		if (begins(statement) && isOpen) await this.#connection.ask({ text: 'ROLLBACK', params: [] })
		if (!begins(statement) && !isOpen && data.end === undefined)
			await this.#connection.ask({ text: 'BEGIN', params: [] })
		return this.#connection
	}
}
