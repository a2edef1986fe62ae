/**
 * Puts statements in the order in which the server executed them, as far as a client can determine.
 *
 * Answers may arrive in a different order. A commit releases its locks before the server answers it, so
 * answers to other sessions can arrive first. However, a transaction that waits for one of these locks can
 * continue, and send its own COMMIT, only after the first COMMIT has been sent. Therefore, a statement that
 * ends a transaction is ordered by the time at which it was sent, and any other statement by the time at
 * which it was answered. A statement is held until every earlier statement that may end a transaction has
 * been answered.
 */
import { onExit } from '../platform/exit-hook.ts'
import type { StatementData } from './statement.ts'

/**
 * Matches a statement that may end a transaction, after any leading whitespace, semicolons and comments. Each
 * part can match in only one way, which prevents excessive backtracking.
 */
const ENDS = /^(?:[\s;]|--[^\n]*\n|\/\*[^*]*\*+(?:[^/*][^*]*\*+)*\/)*(?:commit|end|rollback|abort)\b/i
/** Maximum number of characters to search at the start of a text. */
const BEFORE_END_MAX = 10_000
/** Maximum number of statements to hold while a commit is unanswered. */
const HELD_MAX = 1000

/** Orders the statements from all sessions of a journal. */
export class CommitOrder {
	readonly #publish: (data: StatementData) => void
	#last = 0
	/** Positions of in-flight statements that may end a transaction, in ascending order. */
	readonly #ending = new Set<number>()
	/** Answered statements that are not yet published, ordered by position. */
	readonly #held: { readonly position: number; readonly data: StatementData }[] = []
	#undoExit: (() => void) | undefined

	constructor(publish: (data: StatementData) => void) {
		this.#publish = publish
	}

	/** Registers a sent statement. Returns its position, or undefined if the position is not known yet. */
	sent(text: string): number | undefined {
		if (!ENDS.test(text.slice(0, BEFORE_END_MAX))) return undefined
		this.#ending.add(++this.#last)
		return this.#last
	}

	/** Adds an answered statement. @param position Position that `sent` returned for the statement. */
	answered(data: StatementData, position: number = ++this.#last): void {
		this.#ending.delete(position)
		const before = this.#held.findLastIndex((held) => held.position < position)
		this.#held.splice(before + 1, 0, { position, data })
		const [first = Number.POSITIVE_INFINITY] = this.#ending
		this.#release(first)
		// The hook is registered only while statements are held, so that it does not keep unused journals in
		// memory.
		if (this.#held.length > 0)
			this.#undoExit ??= onExit('loop', () => this.#release(Number.POSITIVE_INFINITY))
		else {
			this.#undoExit?.()
			this.#undoExit = undefined
		}
	}

	/** Publishes the held statements up to a position, and later ones while more than `HELD_MAX` are held. */
	#release(first: number): void {
		for (let [next] = this.#held; next !== undefined; [next] = this.#held) {
			if (next.position > first && this.#held.length <= HELD_MAX) return
			this.#held.shift()
			this.#publish(next.data)
		}
	}
}
