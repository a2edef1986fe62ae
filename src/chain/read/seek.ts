/**
 * Finds the stretches of a file that can match a query, with few reads and without an index, by following the
 * jumps from the newest anchor (format/anchor.ts). A stretch is skipped only if anchors that verify rule out
 * a match. If an anchor cannot be read, the part that it describes is read instead.
 *
 * Uses only anchors and offsets, and reads no frames.
 */
import { ANCHOR_BYTES, type Anchor, type Extent } from '../format/anchor.ts'
import { HEADER_BYTES } from '../format/header.ts'
import { anchorAt, anchorBefore, type OpenSegment } from '../scan/walk.ts'
import { isWithin, mayHold, type ResolvedQuery } from './query.ts'

/**
 * Range `[from, to)` of a file. It begins at an anchor or after the header, and ends after a later anchor or
 * at the end of the file.
 */
export interface Stretch {
	readonly from: number
	readonly to: number
	/** The anchor at `from`; undefined at the beginning of the file. */
	readonly anchor: Anchor | undefined
	/** Whether the stretch ends at the end of the file. */
	readonly isTail: boolean
}

/** Returns the first `size` bytes of a file as one stretch. */
export function wholeFile(size: number): Stretch {
	return { from: HEADER_BYTES, to: size, anchor: undefined, isTail: true }
}

/** The part of a file between two anchors. */
export interface Region {
	readonly upper: Anchor
	/** The anchor at the start of the region; undefined at the beginning of the file. */
	readonly lower: Anchor | undefined
}

/** Number of spans (about half a MiB) below which a stretch is not split further. */
const LOOK_SPANS_MIN = 8

/**
 * Yields the stretches in the first `size` bytes of a file that can contain matches. With `reverse`, yields
 * single spans from last to first.
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
	const whole = { upper: last, lower: undefined }
	yield* seeker.visitAll(await splitRegion(file, whole, last.jumpOffset, query.fromSeq))
	if (!query.reverse && wantsTail) yield tail
}

class Seeker {
	readonly #file: OpenSegment
	readonly #query: ResolvedQuery
	readonly #lookSpansMin: number

	constructor(file: OpenSegment, query: ResolvedQuery) {
		this.#file = file
		this.#query = query
		// A reverse read keeps a stretch, or a window of it, in memory, so its stretches must be short.
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
		// If the requested seqs start or end within the region, reading a few more anchors costs less than
		// reading the bytes that they rule out.
		const lookSpansMin = isWhole ? this.#lookSpansMin : 2
		if (spans < lookSpansMin || (wantsAll && !reverse)) yield stretchOf(region)
		else {
			const parts = await splitRegion(this.#file, region, upper.previousOffset, fromSeq)
			if (parts.length === 1 && parts[0]!.lower === lower) yield stretchOf(region)
			else yield* this.visitAll(parts)
		}
	}
}

/**
 * Splits a region at the anchors within it, starting with the one at `firstOffset`. Returns the newest region
 * first, and omits regions that contain only seqs below `fromSeq`.
 */
export async function splitRegion(
	file: OpenSegment,
	{ upper, lower }: Region,
	firstOffset: number,
	fromSeq = 0,
): Promise<Region[]> {
	const regions: Region[] = []
	const lowest = lower?.offset ?? HEADER_BYTES
	let target = firstOffset
	for (let at = upper; at.offset > lowest; ) {
		const next = target > lowest ? await anchorNear(file, target, at.offset) : undefined
		const below = next === undefined || next.offset <= lowest ? lower : next
		regions.push({ upper: at, lower: below })
		if (below === lower || below === undefined || below.nextSeq <= fromSeq) break
		at = below
		target = at.jumpOffset >= lowest ? at.jumpOffset : at.previousOffset
	}
	return regions
}

/** Reads the anchor at `offset` or, if that fails, the nearest readable anchor below `upperOffset`. */
async function anchorNear(
	file: OpenSegment,
	offset: number,
	upperOffset: number,
): Promise<Anchor | undefined> {
	const anchor = offset < upperOffset ? await anchorAt(file, offset) : undefined
	return anchor ?? anchorBefore(file, upperOffset)
}

/** Returns the extent that the upper anchor records for exactly this region; undefined if it records none. */
export function extentOf({ upper, lower }: Region): Extent | undefined {
	const offset = lower?.offset ?? HEADER_BYTES
	if (offset === upper.previousOffset) return upper.span
	return offset === upper.jumpOffset ? upper.jump : undefined
}

function stretchOf({ upper, lower }: Region): Stretch {
	// The stretch includes the upper anchor, which shows how many records an unreadable range at the end
	// contained.
	return {
		from: lower?.offset ?? HEADER_BYTES,
		to: upper.offset + ANCHOR_BYTES,
		anchor: lower,
		isTail: false,
	}
}
