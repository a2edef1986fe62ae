/**
 * Orders statements as the server executed them, as far as the client can know.
 *
 * The order of the answers is not enough: a commit releases its locks before it is answered, and answers to
 * other sessions may arrive first. But a transaction that waited for a lock was answered, and sent its own
 * COMMIT, after the first COMMIT was sent. So a statement that ends a transaction is ordered by when it was
 * sent, and any other statement by when it was answered. Each waits for the statements in flight that precede
 * it.
 */
import { onExit } from '../platform/exit-hook.ts'
import type { StatementData } from './statement.ts'

/**
 * Skips leading blanks and comments. Each part matches in only one way, so long texts cause no backtracking.
 */
const ENDS = /^(?:[\s;]|--[^\n]*\n|\/\*[^*]*\*+(?:[^/*][^*]*\*+)*\/)*(?:commit|end|rollback|abort)\b/i
/** Longest leading blanks and comments that are searched. */
const BEFORE_END_MAX = 10_000
/** Number of statements that one unanswered commit can hold back. */
const HELD_MAX = 1000

/** Orders the statements of all sessions of a journal. */
export class CommitOrder {
	readonly #publish: (data: StatementData) => void
	#last = 0
	/** Positions of the statements in flight that may end a transaction, in order. */
	readonly #ending = new Set<number>()
	/** Answered statements, ordered by position. */
	readonly #held: { readonly position: number; readonly data: StatementData }[] = []
	#undoExit: (() => void) | undefined

	constructor(publish: (data: StatementData) => void) {
		this.#publish = publish
	}

	/** Notes that a statement was sent. Returns its position, if it is already known. */
	sent(text: string): number | undefined {
		if (!ENDS.test(text.slice(0, BEFORE_END_MAX))) return undefined
		this.#ending.add(++this.#last)
		return this.#last
	}

	/** Accepts an answered statement. @param position The position that `sent` returned for it. */
	answered(data: StatementData, position: number = ++this.#last): void {
		this.#ending.delete(position)
		const before = this.#held.findLastIndex((held) => held.position < position)
		this.#held.splice(before + 1, 0, { position, data })
		const [first = Number.POSITIVE_INFINITY] = this.#ending
		this.#release(first)
		// The hook exists only while statements are held, so that it does not keep finished journals in
		// memory.
		if (this.#held.length > 0)
			this.#undoExit ??= onExit('loop', () => this.#release(Number.POSITIVE_INFINITY))
		else {
			this.#undoExit?.()
			this.#undoExit = undefined
		}
	}

	/** Publishes the held statements up to a position. */
	#release(first: number): void {
		for (let [next] = this.#held; next !== undefined; [next] = this.#held) {
			if (next.position > first && this.#held.length <= HELD_MAX) return
			this.#held.shift()
			this.#publish(next.data)
		}
	}
}
