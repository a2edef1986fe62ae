/**
 * Replays one recorded transaction into the target, in either order of a replay.
 *
 * Invariant: all effects of the transaction happen in one transaction of one connection. A statement after
 * the first one is sent only while that connection exists and is still in the transaction of the first
 * statement. Otherwise the transaction has failed: the failure is counted, and nothing more of it is sent.
 */
import type { Answer, TargetConnection } from './pg-target.ts'
import { failed, judge, type Verdict } from './statement-tally.ts'
import type { Recorded } from './transactions.ts'

/** Verdict on a statement after a failed one of its transaction. */
export const AFTER_ERROR: Verdict = { is: 'afterError' }
const BEGIN = { text: 'BEGIN', params: [] }

/** Result of one statement. */
export interface StatementResult {
	readonly verdict: Verdict
	/** Answer of the target; undefined where the statement was not sent. */
	readonly answer: Answer | undefined
}

/** A transaction on one connection. */
export class TargetTransaction {
	readonly #connection: TargetConnection
	readonly #compare: boolean
	/** Whether the server is in this transaction, unless something went wrong. */
	#isBegun = false
	/** Whether a statement failed that had not failed when it was recorded. */
	#isAfterError = false
	/** Whether no more statements are sent. */
	#isOver = false

	constructor(connection: TargetConnection, compare: boolean) {
		this.#connection = connection
		this.#compare = compare
	}

	/** Begins a transaction that has no BEGIN of its own. */
	async begin(): Promise<void> {
		await this.#connection.ask(BEGIN)
		this.#isBegun = true
	}

	/** Replays the next statement. */
	async run(statement: Recorded): Promise<StatementResult> {
		if (this.#isOver) return { verdict: AFTER_ERROR, answer: undefined }
		const connection = this.#connection
		if (this.#isBegun && !connection.isLost && connection.status === 'I') {
			this.#isOver = true
			const verdict = this.#isAfterError ? AFTER_ERROR : failed(statement, { error: NOT_OPEN })
			return { verdict, answer: undefined }
		}
		this.#isBegun = true
		const answer = await connection.ask(statement.data)
		if (answer.isLost) this.#isOver = true
		const verdict = answer.isLost
			? lost(statement, answer)
			: judge(statement, answer, { compare: this.#compare, isAfterError: this.#isAfterError })
		if (verdict.is === 'failed') this.#isAfterError = true
		return { verdict, answer }
	}
}

const NOT_OPEN = 'its transaction was no longer open on the target, and it was not sent'

/** Returns whether the target may or may not have committed the last statement. */
export function isUnknown({ data: { end } }: Recorded, { data, isLost }: Answer): boolean {
	return isLost && data !== undefined && end !== undefined
}

function lost(statement: Recorded, answer: Answer): Verdict {
	const unknown = isUnknown(statement, answer)
	const because = unknown ? 'the connection was lost while it was committing, and it may have: ' : ''
	const isWithin = !unknown && !answer.isTimedOut && statement.data.seq > 1
	const where = isWithin ? 'the connection was lost within its transaction: ' : ''
	return failed(statement, {
		code: answer.data?.error?.code ?? null,
		error: `${because}${where}${answer.lostBy}`,
		isUnknown: unknown,
	})
}
