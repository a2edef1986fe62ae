/**
 * Which earlier anchor each new one points to, so that a reader reaches any of them in a logarithmic number of reads: the
 * skew-binary list of `format/anchor.ts`. Pure; each writer of anchors holds one.
 */
import { type Anchor, type Extent, joinExtents } from './anchor.ts'

type JumpFields = Pick<Anchor, 'offset' | 'ordinal' | 'jump'>

export class Jumps {
	/** The newest anchor, the one it points to, the one that points to, and so on. */
	#path: readonly JumpFields[]

	/** `path` may end early, where an anchor cannot be read: jumps over that place are then shorter. */
	constructor(path: readonly JumpFields[]) {
		this.#path = path
	}

	/** Takes in the next anchor, which closes `span`, and says where it points. */
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

	/** The same for the anchor that seals a file: it points to the first, or as far back as can be read. */
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

/** Whether the newest two jumps are of the same length, so that the next one goes over both. */
function isBalanced(first: JumpFields, second: JumpFields, third: JumpFields): boolean {
	return first.ordinal - second.ordinal === second.ordinal - third.ordinal
}
