/**
 * Brings statements into the order in which the server executed them, as far as the client can know it.
 * Answers alone do not tell: a commit releases its locks before it is answered, and the answers of others may
 * arrive first. But a transaction that waited for a lock was answered, and sent its own COMMIT, after the
 * first COMMIT was sent. So a statement that ends a transaction counts from when it was sent, and every other
 * one from when it was answered; each waits for the statements in flight that precede it.
 */
import { onExit } from '../platform/exit-hook.ts'
import type { StatementData } from './statement.ts'

/**
 * Matches after blanks and comments. Each part can match in one way only, so that long texts cost no
 * backtracking.
 */
const ENDS = /^(?:[\s;]|--[^\n]*\n|\/\*[^*]*\*+(?:[^/*][^*]*\*+)*\/)*(?:commit|end|rollback|abort)\b/i
/** Longest blanks and comments before the word. */
const BEFORE_END_MAX = 10_000
/** Statements that a hanging commit holds back. */
const HELD_MAX = 1000

/** Orders the statements of all sessions of a journal. */
export class CommitOrder {
	readonly #publish: (data: StatementData) => void
	#last = 0
	/** Positions of statements in flight that may end a transaction, in order. */
	readonly #ending = new Set<number>()
	/** Answered statements, by position. */
	readonly #held: { readonly position: number; readonly data: StatementData }[] = []
	#undoExit: (() => void) | undefined

	constructor(publish: (data: StatementData) => void) {
		this.#publish = publish
	}

	/** Records that a statement was sent. Returns its position where it is known already. */
	sent(text: string): number | undefined {
		if (!ENDS.test(text.slice(0, BEFORE_END_MAX))) return undefined
		this.#ending.add(++this.#last)
		return this.#last
	}

	/** Takes an answered statement. @param position Position that `sent` returned for it. */
	answered(data: StatementData, position: number = ++this.#last): void {
		this.#ending.delete(position)
		const before = this.#held.findLastIndex((held) => held.position < position)
		this.#held.splice(before + 1, 0, { position, data })
		const [first = Number.POSITIVE_INFINITY] = this.#ending
		this.#release(first)
		// The hook exists only while statements are held, so that the process does not keep journals that have
		// ended.
		if (this.#held.length > 0)
			this.#undoExit ??= onExit('loop', () => this.#release(Number.POSITIVE_INFINITY))
		else {
			this.#undoExit?.()
			this.#undoExit = undefined
		}
	}

	/** Publishes the statements up to a position. */
	#release(first: number): void {
		for (let [next] = this.#held; next !== undefined; [next] = this.#held) {
			if (next.position > first && this.#held.length <= HELD_MAX) return
			this.#held.shift()
			this.#publish(next.data)
		}
	}
}
