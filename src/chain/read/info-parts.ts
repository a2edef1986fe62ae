/**
 * Divides a file into regions whose anchors contain everything that `info()` reports, and stretches that must
 * be read. An anchor counts the records before it, so the difference between two anchors describes the
 * records between them, provided that no record is missing and no writer opened the chain there.
 */
import { ANCHOR_BYTES, type Anchor, type Extent, PRESENCE_GAP } from '../format/anchor.ts'
import { HEADER_BYTES } from '../format/header.ts'
import { anchorBefore, type OpenSegment } from '../scan/walk.ts'
import { extentOf, type Region, splitRegion } from './seek.ts'

/** A region that need not be read. */
export interface DescribedRegion {
	readonly lower: Anchor
	readonly upper: Anchor
	/** Times, levels and gaps of the records in the region. */
	readonly extent: Extent
	/** Number of records in the region by level, in the order of `LOG_LEVELS`. */
	readonly levelCounts: readonly number[]
}

/** The range `[from, to)` of a file, which must be read. */
interface UnreadStretch {
	readonly from: number
	readonly to: number
}

export type InfoPart = DescribedRegion | UnreadStretch

/** Yields the parts of the first `size` bytes of a file, in order. */
export async function* infoParts(file: OpenSegment, size: number): AsyncGenerator<InfoPart> {
	const last = await anchorBefore(file, size)
	if (last === undefined) {
		yield { from: HEADER_BYTES, to: size }
		return
	}
	const regions = await splitRegion(file, { upper: last, lower: undefined }, last.jumpOffset)
	yield* partsOf(file, regions)
	// An anchor directly after the header has no region before it.
	yield { from: regions.length === 0 ? HEADER_BYTES : last.offset + ANCHOR_BYTES, to: size }
}

async function* partsOf(file: OpenSegment, newestFirst: readonly Region[]): AsyncGenerator<InfoPart> {
	for (const region of [...newestFirst].reverse()) {
		const described = describedBy(region)
		if (described !== undefined) {
			yield described
			continue
		}
		const { upper, lower } = region
		const parts = await splitRegion(file, region, upper.previousOffset)
		if (parts.length > 1) yield* partsOf(file, parts)
		else {
			const from = lower === undefined ? HEADER_BYTES : lower.offset + ANCHOR_BYTES
			yield { from, to: upper.offset + ANCHOR_BYTES }
		}
	}
}

/** Describes a region by its two anchors. Returns undefined if the region must be read. */
function describedBy(region: Region): DescribedRegion | undefined {
	const { upper, lower } = region
	const extent = extentOf(region)
	if (lower === undefined || extent === undefined || (extent.presence & PRESENCE_GAP) !== 0) return undefined
	if (lower.epoch !== upper.epoch) return undefined
	const levelCounts = upper.levelCounts.map((count, level) => count - lower.levelCounts[level]!)
	const records = levelCounts.reduce((sum, count) => sum + count, 0)
	// Anchors that contradict each other describe nothing.
	const isSound = levelCounts.every((count) => count >= 0) && records === upper.nextSeq - lower.nextSeq
	return isSound ? { lower, upper, extent, levelCounts } : undefined
}
