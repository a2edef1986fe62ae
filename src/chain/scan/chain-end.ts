/**
 * Reads how a file ends, synchronously, for whoever is about to write: from its newest anchor on, whatever its size. Decides
 * nothing (recovery.ts) and never writes.
 */
import { createHash } from 'node:crypto'
import { type RowBatches, rowBatches } from '../../codec/row-batches.ts'
import { EPOCH_MAX } from '../../model/limits.ts'
import { isGap, LOG_LEVELS, levelIndex } from '../../model/record.ts'
import { type FileSystem, readFully } from '../../platform/file-system.ts'
import {
	ANCHOR_BYTES,
	type Anchor,
	addLevelCounts,
	decodeAnchor,
	EMPTY_EXTENT,
	type Extent,
	extentOf,
	findAnchorLeadBackward,
	GAP_EXTENT,
	joinExtents,
} from '../format/anchor.ts'
import { FRAME_BYTES_MAX, type Frame } from '../format/frame.ts'
import { HEADER_BYTES } from '../format/header.ts'
import { rowBlockOf } from './frame-rows.ts'
import { type ChainIdentity, headerLink } from './identity.ts'
import { type ScanEntry, Scanner, type UnreadableRange } from './scan.ts'

/** Longer than an anchor, so that each window back overlaps the one before by one. */
const WINDOW_BYTES = 64 * 1024
const PIECE_BYTES = 256 * 1024
/** No writer leaves more without an anchor. */
const TAIL_BYTES_MAX = 2 * FRAME_BYTES_MAX

/** Where a writer goes on. */
export interface ChainEnd {
	readonly epoch: number
	readonly nextSeq: number
	readonly levelCounts: number[]
	/** The newest anchor; undefined when the file has none that verifies. */
	readonly anchor: Anchor | undefined
	/** Everything behind the newest anchor (or the header) that is valid. */
	readonly tail: Buffer
	/** The offset behind the tail. */
	readonly end: number
	/** Of the records in the tail. */
	readonly extent: Extent
	/** The newest anchor, the one it points to, and so on, as far as they can be read. */
	readonly jumpPath: readonly Anchor[]
	/** The first place in the tail that cannot be read although valid entries stand behind it. */
	readonly hole: number | undefined
	/** What stands at the end and is no entry. */
	readonly suffix: UnreadableRange | undefined
}

/** Reads the end of the first `size` bytes of a file. */
export function readChainEnd(
	system: FileSystem,
	fd: number,
	size: number,
	identity: ChainIdentity,
): ChainEnd {
	const anchor = findAnchorBefore(system, fd, size, identity.idChecksum)
	const from = anchor === undefined ? HEADER_BYTES : anchor.offset + ANCHOR_BYTES
	const walk = new EndWalk(anchor, identity)
	scanRange(system, fd, identity.idChecksum, from, size, (entry) => walk.take(entry))
	const end = walk.suffix?.offset ?? size
	const isTooLong = end - from > TAIL_BYTES_MAX
	return {
		epoch: walk.epoch,
		nextSeq: walk.nextSeq,
		levelCounts: walk.levelCounts,
		anchor,
		tail: readFully(system, fd, isTooLong ? 0 : end - from, from),
		end,
		extent: walk.extent,
		jumpPath: readJumpPath(system, fd, anchor, identity.idChecksum),
		hole: isTooLong ? from : walk.hole,
		suffix: walk.suffix,
	}
}

/** The highest epoch that can have been opened in a file: what was opened in an unreadable end is lost with it. */
export function epochMaxOf({ epoch, suffix }: Pick<ChainEnd, 'epoch' | 'suffix'>): number {
	const lost = suffix === undefined || suffix.torn ? 0 : Math.floor(suffix.bytes / ANCHOR_BYTES)
	return Math.min(epoch + lost, EPOCH_MAX)
}

/** The entries in `[from, to)` of a file, one after the other. */
export function scanRange(
	system: FileSystem,
	fd: number,
	idChecksum: number,
	from: number,
	to: number,
	take: (entry: ScanEntry) => void,
): void {
	const scanner = new Scanner(idChecksum, from)
	let position = from
	for (let step = scanner.next(); step.type !== 'end'; step = scanner.next()) {
		if (step.type !== 'more') {
			take(step)
			continue
		}
		const wanted = Math.min(Math.max(step.bytes, PIECE_BYTES), to - position)
		const piece = readFully(system, fd, wanted, position)
		position += piece.length
		if (piece.length === 0) scanner.end()
		else scanner.push(piece)
	}
}

/**
 * The link of everything in a file up to `to`: that of its newest anchor where nothing stands behind it, and otherwise the
 * SHA-256 of that link and the bytes behind it.
 */
export function linkUpTo(
	system: FileSystem,
	fd: number,
	to: number,
	identity: ChainIdentity,
	anchor: Anchor | undefined,
): Uint8Array {
	const link = anchor?.link ?? headerLink(identity)
	let position = anchor === undefined ? HEADER_BYTES : anchor.offset + ANCHOR_BYTES
	if (position === to) return link
	const hash = createHash('sha256').update(link)
	while (position < to) {
		const piece = readFully(system, fd, Math.min(PIECE_BYTES, to - position), position)
		if (piece.length === 0) break
		hash.update(piece)
		position += piece.length
	}
	return hash.digest()
}

function readJumpPath(
	system: FileSystem,
	fd: number,
	newest: Anchor | undefined,
	idChecksum: number,
): readonly Anchor[] {
	const path: Anchor[] = []
	for (let anchor = newest; anchor !== undefined; ) {
		path.push(anchor)
		const { jumpOffset } = anchor
		// An anchor that verifies and points forward was written by something else than mesh-chain.
		if (jumpOffset === 0 || jumpOffset >= anchor.offset) break
		anchor = decodeAnchor(readFully(system, fd, ANCHOR_BYTES, jumpOffset), 0, jumpOffset, idChecksum)
	}
	return path
}

/** The last anchor that verifies below `end`, searched backwards window by window. */
function findAnchorBefore(
	system: FileSystem,
	fd: number,
	end: number,
	idChecksum: number,
): Anchor | undefined {
	for (let windowEnd = end; windowEnd > HEADER_BYTES; ) {
		const start = Math.max(HEADER_BYTES, windowEnd - WINDOW_BYTES)
		const window = readFully(system, fd, windowEnd - start, start)
		const anchor = lastAnchorIn(window, start, idChecksum)
		if (anchor !== undefined) return anchor
		windowEnd = start === HEADER_BYTES ? start : start + ANCHOR_BYTES - 1
	}
	return undefined
}

/** The last anchor that verifies within a window that begins at `offset` of the file. */
export function lastAnchorIn(window: Buffer, offset: number, idChecksum: number): Anchor | undefined {
	let pos = findAnchorLeadBackward(window, window.length - ANCHOR_BYTES)
	while (pos >= 0) {
		const anchor = decodeAnchor(window, pos, offset + pos, idChecksum)
		if (anchor !== undefined) return anchor
		pos = findAnchorLeadBackward(window, pos - 1)
	}
	return undefined
}

/** Gathers what the entries behind the newest anchor say. */
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
		// What was in it is not known, so nobody may pass over the span because of what is known of the rest.
		this.extent = joinExtents(this.extent, GAP_EXTENT)
	}
}

/** What the rows of a frame add to the sums that anchors hold; nothing when another program wrote something else into it. */
export function frameSums(frame: Frame): { readonly levelCounts: number[]; readonly extent: Extent } {
	const levelCounts = LOG_LEVELS.map(() => 0)
	let extent = EMPTY_EXTENT
	const batches = readableRows(frame)
	for (let index = 0; index < batches.length; index++) {
		for (const record of batches.at(index)!) {
			extent = joinExtents(extent, extentOf(record))
			if (!isGap(record)) levelCounts[levelIndex(record.level)]! += 1
		}
	}
	return { levelCounts, extent }
}

function readableRows(frame: Frame): RowBatches {
	try {
		return rowBatches(rowBlockOf(frame))
	} catch {
		return []
	}
}
