/**
 * Brings statements into the order in which the server did them, as far as it can be known from here. Answers alone do not tell: a commit lets others go
 * before it is answered, and their answers may come first. But whoever waited for it was answered, and sent its own COMMIT, after this one was sent. So what
 * ends a transaction counts from when it was sent, everything else from when it was answered, and waits for what is still on its way and comes before it.
 */
import { onExit } from '../platform/exit-hook.ts'
import type { StatementData } from './statement.ts'

/** Behind blanks and comments; each part of it can match in one way only, however long the text is. */
const ENDS = /^(?:[\s;]|--[^\n]*\n|\/\*[^*]*\*+(?:[^/*][^*]*\*+)*\/)*(?:commit|end|rollback|abort)\b/i
/** What stands in front of it may be as long. */
const BEFORE_END_MAX = 10_000
/** A commit that hangs does not hold back more than this. */
const HELD_MAX = 1000

export class CommitOrder {
	readonly #publish: (data: StatementData) => void
	#last = 0
	/** Places of statements that are on their way and may end a transaction, the first one first. */
	readonly #ending = new Set<number>()
	/** Answered, by their places. */
	readonly #held: { readonly place: number; readonly data: StatementData }[] = []
	#undoExit: (() => void) | undefined

	constructor(publish: (data: StatementData) => void) {
		this.#publish = publish
	}

	/** Called when a statement is sent. Returns its place where that is known by now. */
	sent(text: string): number | undefined {
		if (!ENDS.test(text.slice(0, BEFORE_END_MAX))) return undefined
		this.#ending.add(++this.#last)
		return this.#last
	}

	/** @param place what `sent` gave for it. */
	answered(data: StatementData, place: number = ++this.#last): void {
		this.#ending.delete(place)
		const before = this.#held.findLastIndex((held) => held.place < place)
		this.#held.splice(before + 1, 0, { place, data })
		const [first = Number.POSITIVE_INFINITY] = this.#ending
		this.#release(first)
		// Only while something is held, so that the process does not hold on to journals that are done.
		if (this.#held.length > 0)
			this.#undoExit ??= onExit('loop', () => this.#release(Number.POSITIVE_INFINITY))
		else {
			this.#undoExit?.()
			this.#undoExit = undefined
		}
	}

	/** What comes before this place. */
	#release(first: number): void {
		for (let [next] = this.#held; next !== undefined; [next] = this.#held) {
			if (next.place > first && this.#held.length <= HELD_MAX) return
			this.#held.shift()
			this.#publish(next.data)
		}
	}
}
