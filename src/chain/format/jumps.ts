/**
 * Chooses the earlier anchor that each new anchor points to, so that a reader can reach any anchor in a
 * logarithmic number of reads. The jumps form the skew-binary list that `format/anchor.ts` describes. Each
 * writer of anchors has its own instance. Does no I/O.
 */
import { type Anchor, type Extent, joinExtents } from './anchor.ts'

type JumpFields = Pick<Anchor, 'offset' | 'ordinal' | 'jump'>

export class Jumps {
	/** The newest anchor, the anchor that it points to, and so on. */
	#path: readonly JumpFields[]

	/**
	 * Starts from a path: the newest anchor, the anchor that it points to, and so on. The path may end early,
	 * before an unreadable anchor. In that case, no new jump leads past the end of the path.
	 */
	constructor(path: readonly JumpFields[]) {
		this.#path = path
	}

	/**
	 * Adds the next anchor, and returns its ordinal and jump. `span` is the extent since the previous anchor.
	 */
	next(offset: number, span: Extent): Pick<Anchor, 'ordinal' | 'jumpOffset' | 'jump'> {
		const [previous, second, third] = this.#path
		const ordinal = previous === undefined ? 0 : previous.ordinal + 1
		let jump = span
		let rest = this.#path
		if (second !== undefined && third !== undefined && isBalanced(previous!, second, third)) {
			jump = joinExtents(joinExtents(span, previous!.jump), second.jump)
			rest = this.#path.slice(2)
		}
		return this.#take({ offset, ordinal, jump }, rest)
	}

	/**
	 * Adds the anchor that seals a file. Its jump leads to the first anchor, or to the earliest anchor that can
	 * be reached.
	 */
	seal(offset: number, span: Extent): Pick<Anchor, 'ordinal' | 'jumpOffset' | 'jump'> {
		const [previous] = this.#path
		const ordinal = previous === undefined ? 0 : previous.ordinal + 1
		const jump = this.#path.slice(0, -1).reduce((sum, each) => joinExtents(sum, each.jump), span)
		return this.#take({ offset, ordinal, jump }, this.#path.slice(-1))
	}

	#take(newest: JumpFields, rest: readonly JumpFields[]): Pick<Anchor, 'ordinal' | 'jumpOffset' | 'jump'> {
		this.#path = [newest, ...rest]
		return { ordinal: newest.ordinal, jumpOffset: rest[0]?.offset ?? 0, jump: newest.jump }
	}
}

/** Returns whether the two newest jumps have the same length, in which case the next jump spans both. */
function isBalanced(first: JumpFields, second: JumpFields, third: JumpFields): boolean {
	return first.ordinal - second.ordinal === second.ordinal - third.ordinal
}
