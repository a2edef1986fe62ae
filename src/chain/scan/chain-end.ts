/**
 * Reads the end of a file synchronously, for writers and repairs: everything after the newest anchor,
 * regardless of its size. Never writes, and leaves all decisions to recovery.ts.
 */
import { EPOCH_MAX } from '../../model/limits.ts'
import { LOG_LEVELS } from '../../model/record.ts'
import { type OpenFile, readFully } from '../../platform/file-system.ts'
import {
	ANCHOR_BYTES,
	type Anchor,
	addLevelCounts,
	decodeAnchor,
	EMPTY_EXTENT,
	type Extent,
	GAP_EXTENT,
	joinExtents,
} from '../format/anchor.ts'
import { FRAME_BYTES_MAX, type Frame } from '../format/frame.ts'
import { HEADER_BYTES } from '../format/header.ts'
import { frameSums } from './frame-rows.ts'
import type { ChainIdentity } from './identity.ts'
import { lastAnchorIn, windowsBefore } from './pieces.ts'
import type { ScanEntry, UnreadableRange } from './scan.ts'
import { scanRange } from './scan-range.ts'

/** Maximum length of the tail that a writer leaves after its last anchor. */
const TAIL_BYTES_MAX = 2 * FRAME_BYTES_MAX

/** The end of a file, with all data that a writer needs to continue the file. */
export interface ChainEnd {
	readonly epoch: number
	readonly nextSeq: number
	readonly levelCounts: number[]
	/** Newest anchor; undefined if no anchor in the file verifies. */
	readonly anchor: Anchor | undefined
	/**
	 * Bytes after the newest anchor, or after the header, up to {@link end}. Empty if there are more than
	 * {@link TAIL_BYTES_MAX}.
	 */
	readonly tail: Buffer
	/** Offset of {@link suffix}, or the size passed to {@link readChainEnd} if there is no suffix. */
	readonly end: number
	/** Extent of the records between the newest anchor and {@link end}. */
	readonly extent: Extent
	/** Newest anchor, the anchor that it points to, and so on, as far as the anchors can be read. */
	readonly jumpPath: readonly Anchor[]
	/**
	 * Offset of the first unreadable range after the newest anchor, if valid entries follow this range. If the
	 * tail is too long, the offset at which it starts.
	 */
	readonly hole: number | undefined
	/** Unreadable range at the end of the file. */
	readonly suffix: UnreadableRange | undefined
}

/** Reads the end of the first `size` bytes of a file. */
export function readChainEnd(file: OpenFile, size: number, identity: ChainIdentity): ChainEnd {
	const { idChecksum } = identity
	const anchor = findAnchorBefore(file, size, idChecksum)
	const from = anchor === undefined ? HEADER_BYTES : anchor.offset + ANCHOR_BYTES
	const walk = new EndWalk(anchor, identity)
	scanRange(file, idChecksum, { from, to: size }, (entry) => walk.take(entry))
	const end = walk.suffix?.offset ?? size
	const isTooLong = end - from > TAIL_BYTES_MAX
	return {
		epoch: walk.epoch,
		nextSeq: walk.nextSeq,
		levelCounts: walk.levelCounts,
		anchor,
		tail: readFully(file.system, file.fd, isTooLong ? 0 : end - from, from),
		end,
		extent: walk.extent,
		jumpPath: readJumpPath(file, anchor, idChecksum),
		hole: isTooLong ? from : walk.hole,
		suffix: walk.suffix,
	}
}

/**
 * Returns the highest epoch that may have started in a file. An unreadable end may have contained the anchors
 * of further openings.
 */
export function epochMaxOf({ epoch, suffix }: Pick<ChainEnd, 'epoch' | 'suffix'>): number {
	const lost = suffix === undefined || suffix.torn ? 0 : Math.floor(suffix.bytes / ANCHOR_BYTES)
	return Math.min(epoch + lost, EPOCH_MAX)
}

function readJumpPath(
	{ system, fd }: OpenFile,
	newest: Anchor | undefined,
	idChecksum: number,
): readonly Anchor[] {
	const path: Anchor[] = []
	for (let anchor = newest; anchor !== undefined; ) {
		path.push(anchor)
		const { jumpOffset } = anchor
		// An anchor that verifies but points forward was not written by mesh-chain.
		if (jumpOffset === 0 || jumpOffset >= anchor.offset) break
		anchor = decodeAnchor(readFully(system, fd, ANCHOR_BYTES, jumpOffset), 0, jumpOffset, idChecksum)
	}
	return path
}

/** Returns the last anchor that ends at or before `before`. */
function findAnchorBefore(file: OpenFile, before: number, idChecksum: number): Anchor | undefined {
	for (const { start, end } of windowsBefore(before)) {
		const window = readFully(file.system, file.fd, end - start, start)
		const anchor = lastAnchorIn(window, start, idChecksum)
		if (anchor !== undefined) return anchor
	}
	return undefined
}

/** Collects the state from the entries after the newest anchor. */
class EndWalk {
	readonly levelCounts: number[]
	nextSeq: number
	epoch: number
	extent = EMPTY_EXTENT
	suffix: UnreadableRange | undefined
	hole: number | undefined

	constructor(anchor: Anchor | undefined, identity: ChainIdentity) {
		this.nextSeq = anchor?.nextSeq ?? identity.firstSeq
		this.epoch = anchor?.epoch ?? 0
		this.levelCounts = [...(anchor?.levelCounts ?? LOG_LEVELS.map(() => 0))]
	}

	take(entry: ScanEntry): void {
		if (entry.type === 'frame') this.#frame(entry.frame)
		else if (entry.type === 'bad') this.#bad(entry.place)
	}

	#frame(frame: Frame): void {
		this.nextSeq = Math.max(this.nextSeq, frame.baseSeq + frame.rows)
		this.epoch = Math.max(this.epoch, frame.epoch)
		const { levelCounts, extent } = frameSums(frame)
		addLevelCounts(this.levelCounts, levelCounts)
		this.extent = joinExtents(this.extent, extent)
	}

	#bad(place: UnreadableRange): void {
		if (place.atEnd) {
			this.suffix = place
			return
		}
		this.hole ??= place.offset
		// The content of the range is unknown, so readers must not skip the span.
		this.extent = joinExtents(this.extent, GAP_EXTENT)
	}
}
