/**
 * Finds the stretches of a chain that can hold what a query asks for, in few reads and without an index: from
 * the newest anchor along the jumps (format/anchor.ts). A stretch is passed over only when anchors that
 * verify say that nothing in it can match; where an anchor cannot be read, the part that it describes is read
 * instead.
 *
 * Knows anchors and offsets; reads no frames.
 */
import { ANCHOR_BYTES, type Anchor } from '../format/anchor.ts'
import { HEADER_BYTES } from '../format/header.ts'
import { anchorAt, anchorBefore, type OpenSegment } from '../scan/walk.ts'
import { isWithin, mayHold, type ResolvedQuery } from './query.ts'

/**
 * `[from, to)` of the file: from an anchor, or the end of the header, to the end of a later anchor, or of the
 * file.
 */
export interface Stretch {
	readonly from: number
	readonly to: number
	/** The anchor at `from`; undefined at the beginning of the file. */
	readonly anchor: Anchor | undefined
	/** It ends where the file ends. */
	readonly isTail: boolean
}

/** The first `size` bytes of a file, as one stretch. */
export function wholeFile(size: number): Stretch {
	return { from: HEADER_BYTES, to: size, anchor: undefined, isTail: true }
}

/** Everything between two anchors. */
interface Region {
	readonly upper: Anchor
	/** Undefined for the beginning of the file. */
	readonly lower: Anchor | undefined
}

/** A stretch of fewer spans is read rather than looked into: about half a MiB. */
const LOOK_SPANS_MIN = 8

/**
 * The stretches of the first `size` bytes of a file that may hold matches: in order, or in reverse span by
 * span.
 */
export async function* findStretches(
	file: OpenSegment,
	size: number,
	query: ResolvedQuery,
): AsyncGenerator<Stretch> {
	const last = await anchorBefore(file, size)
	if (last === undefined) {
		yield wholeFile(size)
		return
	}
	const seeker = new Seeker(file, query)
	const tail = { from: last.offset, to: size, anchor: last, isTail: true }
	const wantsTail = last.nextSeq <= query.toSeq
	if (query.reverse && wantsTail) yield tail
	yield* seeker.visitAll(await seeker.split(last, undefined, last.jumpOffset))
	if (!query.reverse && wantsTail) yield tail
}

class Seeker {
	readonly #file: OpenSegment
	readonly #query: ResolvedQuery
	readonly #lookSpansMin: number

	constructor(file: OpenSegment, query: ResolvedQuery) {
		this.#file = file
		this.#query = query
		// What is read in reverse is held in memory until it is reversed.
		this.#lookSpansMin = query.reverse ? 2 : LOOK_SPANS_MIN
	}

	async *visitAll(newestFirst: readonly Region[]): AsyncGenerator<Stretch> {
		const regions = this.#query.reverse ? newestFirst : [...newestFirst].reverse()
		for (const region of regions) yield* this.#visit(region)
	}

	async *#visit(region: Region): AsyncGenerator<Stretch> {
		const { upper, lower } = region
		const { fromSeq, toSeq, reverse } = this.#query
		const firstSeq = lower?.nextSeq ?? this.#file.identity.firstSeq
		if (upper.nextSeq <= fromSeq || firstSeq > toSeq) return
		const extent = extentOf(region)
		if (extent !== undefined && !mayHold(this.#query, extent)) return
		const isWhole = fromSeq <= firstSeq && upper.nextSeq - 1 <= toSeq
		const wantsAll = isWhole && extent !== undefined && isWithin(this.#query, extent)
		const spans = upper.ordinal - (lower?.ordinal ?? 0)
		// Where a seq lies within, a few anchors more are less than what they spare.
		const lookSpansMin = isWhole ? this.#lookSpansMin : 2
		if (spans < lookSpansMin || (wantsAll && !reverse)) yield stretchOf(region)
		else {
			const parts = await this.split(upper, lower, upper.previousOffset)
			if (parts.length === 1 && parts[0]!.lower === lower) yield stretchOf(region)
			else yield* this.visitAll(parts)
		}
	}

	/** Cuts what lies between two anchors at others, the first of them at `firstOffset`; newest first. */
	async split(upper: Anchor, lower: Anchor | undefined, firstOffset: number): Promise<Region[]> {
		const regions: Region[] = []
		const lowest = lower?.offset ?? HEADER_BYTES
		let target = firstOffset
		for (let at = upper; at.offset > lowest; ) {
			const next = target > lowest ? await this.#anchorNear(target, at.offset) : undefined
			const below = next === undefined || next.offset <= lowest ? lower : next
			regions.push({ upper: at, lower: below })
			// Whatever is older has lower seqs.
			if (below === lower || below === undefined || below.nextSeq <= this.#query.fromSeq) break
			at = below
			target = at.jumpOffset >= lowest ? at.jumpOffset : at.previousOffset
		}
		return regions
	}

	/** The anchor at `offset`; where it cannot be read, the next one below `upperOffset` that can. */
	async #anchorNear(offset: number, upperOffset: number): Promise<Anchor | undefined> {
		const anchor = offset < upperOffset ? await anchorAt(this.#file, offset) : undefined
		return anchor ?? anchorBefore(this.#file, upperOffset)
	}
}

/** What the upper anchor says of exactly this region; undefined when it says nothing. */
function extentOf({ upper, lower }: Region) {
	const offset = lower?.offset ?? HEADER_BYTES
	if (offset === upper.previousOffset) return upper.span
	return offset === upper.jumpOffset ? upper.jump : undefined
}

function stretchOf({ upper, lower }: Region): Stretch {
	// With the next anchor, which says what an unreadable range at the end held.
	return {
		from: lower?.offset ?? HEADER_BYTES,
		to: upper.offset + ANCHOR_BYTES,
		anchor: lower,
		isTail: false,
	}
}
