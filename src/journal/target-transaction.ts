/**
 * One recorded transaction on its way into the target, in either order of a replay.
 *
 * Invariant: what takes effect of it takes effect in one transaction of one connection. A statement after the first is sent only while
 * that connection is there, and is still in the transaction in which the first one was. Otherwise the transaction has failed: that is
 * counted, and nothing more of it is sent.
 */
import type { Answer, TargetConnection } from './pg-target.ts'
import { failed, judge, type Verdict } from './statement-tally.ts'
import type { Recorded } from './transactions.ts'

export const AFTER_ERROR: Verdict = { is: 'afterError' }
const BEGIN = { text: 'BEGIN', params: [] }

/** What became of one statement. */
export interface Taken {
	readonly verdict: Verdict
	/** Undefined where it was not sent. */
	readonly answer: Answer | undefined
}

export class TargetTransaction {
	readonly #connection: TargetConnection
	readonly #compare: boolean
	/** The server is in this transaction, unless something went wrong. */
	#isBegun = false
	/** A statement failed, and had not when it was recorded. */
	#isAfterError = false
	/** Nothing more of it is sent. */
	#isOver = false

	constructor(connection: TargetConnection, compare: boolean) {
		this.#connection = connection
		this.#compare = compare
	}

	/** For one that has no BEGIN of its own. */
	async begin(): Promise<void> {
		await this.#connection.ask(BEGIN)
		this.#isBegun = true
	}

	async take(statement: Recorded): Promise<Taken> {
		if (this.#isOver) return { verdict: AFTER_ERROR, answer: undefined }
		const connection = this.#connection
		if (this.#isBegun && !connection.isLost && connection.status === 'I') {
			this.#isOver = true
			const verdict = this.#isAfterError ? AFTER_ERROR : failed(statement, null, NOT_OPEN)
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

/** Whether the target may have committed what it was told last, and nobody can know. */
export function isUnknown({ data: { end } }: Recorded, { data, isLost }: Answer): boolean {
	return isLost && data !== undefined && end !== undefined
}

function lost(statement: Recorded, answer: Answer): Verdict {
	const unknown = isUnknown(statement, answer)
	const because = unknown ? 'the connection was lost while it was committing, and it may have: ' : ''
	const isWithin = !unknown && !answer.isTimedOut && statement.data.seq > 1
	const where = isWithin ? 'the connection was lost within its transaction: ' : ''
	return failed(statement, answer.data?.error?.code ?? null, `${because}${where}${answer.lostBy}`, unknown)
}
