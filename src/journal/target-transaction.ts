/**
 * Replays one recorded transaction into the target, in both replay modes.
 *
 * Invariant: all effects of a recorded transaction occur in one transaction on one connection to the target.
 * Each statement after the first is sent only while that connection is open and still in the transaction of
 * the first statement. Otherwise, the transaction has failed. The failure is counted, and the remaining
 * statements are not sent.
 */
import type { Answer, TargetConnection } from './pg-target.ts'
import { failed, judge, type Verdict } from './statement-tally.ts'
import type { Recorded } from './transactions.ts'

/** Verdict on a statement that follows a failed statement in its transaction. */
export const AFTER_ERROR: Verdict = { is: 'afterError' }
const BEGIN = { text: 'BEGIN', params: [] }

/** The result of one statement. */
export interface StatementResult {
	readonly verdict: Verdict
	/** Answer from the target; undefined if the statement was not sent. */
	readonly answer: Answer | undefined
}

/** A transaction on one connection to the target. */
export class TargetTransaction {
	readonly #connection: TargetConnection
	readonly #compare: boolean
	/** Whether the first statement, or an additional BEGIN, was sent. */
	#isBegun = false
	/** Whether a statement failed in the replay but not in the recording. */
	#isAfterError = false
	/** Whether the transaction is over, so that its remaining statements are not sent. */
	#isOver = false

	constructor(connection: TargetConnection, compare: boolean) {
		this.#connection = connection
		this.#compare = compare
	}

	/** Begins a transaction whose recorded statements do not include a BEGIN. */
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

const NOT_OPEN = 'the statement was not sent, because its transaction was no longer open on the target'

/** Returns whether a statement ended its transaction but the outcome on the target is unknown. */
export function isUnknown({ data: { end } }: Recorded, { data, isLost }: Answer): boolean {
	return isLost && data !== undefined && end !== undefined
}

function lost(statement: Recorded, answer: Answer): Verdict {
	const unknown = isUnknown(statement, answer)
	const because = unknown ? 'the connection was lost during the commit, which may have succeeded: ' : ''
	const isWithin = !unknown && !answer.isTimedOut && statement.data.seq > 1
	const where = isWithin ? 'the connection was lost during the transaction: ' : ''
	return failed(statement, {
		code: answer.data?.error?.code ?? null,
		error: `${because}${where}${answer.lostBy}`,
		isUnknown: unknown,
	})
}
