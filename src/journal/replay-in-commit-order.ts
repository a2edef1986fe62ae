/** Replays one transaction at a time on a clean connection, in the order in which the transactions ended. */
import type { Answer, TargetConnection } from './pg-target.ts'
import { SessionSettings } from './session-settings.ts'
import { isUnreachable, retryBackoff, type StatementReplay } from './statement-replay.ts'
import { failed, type Verdict } from './statement-tally.ts'
import { AFTER_ERROR, isUnknown, TargetTransaction } from './target-transaction.ts'
import { type Recorded, type Transaction, Transactions } from './transactions.ts'

/** SQLSTATEs after which a retry may succeed: serialization failure and deadlock. */
const RETRIED_STATES = new Set(['40001', '40P01'])

/** Replays the transactions of a chain in commit order. */
export async function replayInCommitOrder(replay: StatementReplay): Promise<void> {
	const { options, tally, suspects } = replay
	const transactions = new Transactions({
		...options,
		keeps: true,
		unreplayable: tally.countUnreplayable,
		suspects,
	})
	const order = new CommitOrderReplay(replay)
	for await (const { record, data } of replay.statements()) {
		tally.progress(record)
		for (const transaction of transactions.add(record, data)) await order.replay(transaction)
	}
	if (!replay.isOver)
		for (const { skip, count } of transactions.rest()) if (skip !== undefined) tally.countSkipped(skip, count)
}

class CommitOrderReplay {
	readonly #replay: StatementReplay
	readonly #settings = new SessionSettings()
	#connection: TargetConnection | undefined

	constructor(replay: StatementReplay) {
		this.#replay = replay
	}

	async replay(transaction: Transaction): Promise<void> {
		await this.#replayed(transaction)
		const { session, statements, end } = transaction
		if (end !== 'commit') return
		const told = statements.map(({ data }) => data)
		this.#settings.note(session, told)
	}

	async #replayed(transaction: Transaction): Promise<void> {
		const { tally, options, pacer } = this.#replay
		const { skip, count } = transaction
		if (skip !== undefined) return tally.countSkipped(skip, count)
		const statements = certain(transaction)
		if (statements.length < count) tally.countSkipped('unknownEnd', count - statements.length)
		const last = statements.at(-1)
		if (last === undefined) return
		if (options.speed !== Number.POSITIVE_INFINITY) await pacer.due(last.tsMs)
		if (this.#replay.isOver) return
		tally.countTransaction()
		if (options.dryRun) return tally.countReplayed(statements.length)
		for (const verdict of await this.#verdicts(statements)) tally.count(verdict)
	}

	/** Replays a transaction and retries it if necessary. Returns the verdicts from the last attempt. */
	async #verdicts(statements: readonly Recorded[]): Promise<Verdict[]> {
		const backoff = retryBackoff()
		for (let tries = 0; ; tries++) {
			const attempt = new Attempt(statements, this.#replay.options.compare)
			try {
				const connection = await this.#clean()
				for (const setting of this.#settings.of(statements[0]!.data.session)) await connection.ask(setting)
				await attempt.run(connection)
			} catch (error) {
				if (!isUnreachable(error)) throw error
				return [
					failed(statements[0]!, { error: error.message }),
					...statements.slice(1).map(() => AFTER_ERROR),
				]
			}
			if (!attempt.mayBeRepeated || tries >= this.#replay.options.retries) return attempt.verdicts
			this.#replay.tally.retries++
			await this.#replay.backOff(backoff)
		}
	}

	/** @throws {MeshChainError} `TARGET_UNREACHABLE` */
	async #clean(): Promise<TargetConnection> {
		const before = this.#connection
		if (before !== undefined && (await before.clean())) return before
		this.#connection = undefined
		this.#connection = await this.#replay.connection(before)
		return this.#connection
	}
}

/** One attempt to replay a transaction. */
class Attempt {
	readonly verdicts: Verdict[] = []
	/** Whether the attempt failed for a reason that may be temporary, and had no effect. */
	mayBeRepeated = false
	readonly #statements: readonly Recorded[]
	readonly #compare: boolean

	constructor(statements: readonly Recorded[], compare: boolean) {
		this.#statements = statements
		this.#compare = compare
	}

	async run(connection: TargetConnection): Promise<void> {
		const transaction = new TargetTransaction(connection, this.#compare)
		if (needsBegin(this.#statements)) await transaction.begin()
		for (const statement of this.#statements) {
			const { verdict, answer } = await transaction.run(statement)
			this.verdicts.push(verdict)
			if (answer !== undefined) this.#look(statement, answer)
		}
	}

	#look(statement: Recorded, answer: Answer): void {
		if (answer.isLost) {
			this.mayBeRepeated = !isUnknown(statement, answer) && !answer.isTimedOut
			return
		}
		const code = answer.data?.error?.code
		if (code != null && RETRIED_STATES.has(code) && statement.data.error === undefined)
			this.mayBeRepeated = true
		// A rollback to a savepoint can clear the error. If the transaction then commits, it must not be
		// repeated.
		if (answer.data?.commands.includes('COMMIT')) this.mayBeRepeated = false
	}
}

/**
 * Returns the statements whose outcome was recorded. If the connection was lost, this excludes the last one.
 */
function certain({ statements, end }: Transaction): readonly Recorded[] {
	return end === 'unknown' ? statements.slice(0, -1) : statements
}

/**
 * Returns whether a transaction needs an additional BEGIN. A transaction that `COMMIT AND CHAIN` began does
 * not include one.
 */
export function needsBegin([first, ...others]: readonly Recorded[]): boolean {
	return first !== undefined && others.length > 0 && !begins(first)
}

/** Returns whether a statement begins a transaction. */
export function begins({ data: { commands, text } }: Recorded): boolean {
	const [first] = commands
	return (
		first === 'BEGIN' || first === 'START TRANSACTION' || /^\s*(?:begin|start\s+transaction)\b/i.test(text)
	)
}
