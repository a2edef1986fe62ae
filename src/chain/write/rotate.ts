/** How a chain that is being written goes on in a new file: because the live one is full, or because it cannot be trusted. */

import { LOG_LEVELS } from '../../model/record.ts'
import { closeQuietly, type FileSystem, O_RDONLY, openOurs } from '../../platform/file-system.ts'
import { moveAside, type Placed, putFirstInPlace, putNextInPlace, restoreAsSealed } from '../files/names.ts'
import { listSegments } from '../files/segments.ts'
import { HEADER_BYTES } from '../format/header.ts'
import { linkUpTo, readChainEnd, scanRange } from '../scan/chain-end.ts'
import { EntryCopier } from './copy-entries.ts'
import { createSegment, type LiveFilePath } from './create-segment.ts'
import type { SegmentContext, SegmentFile } from './segment-file.ts'
import type { TailStart } from './tail-buffer.ts'

export interface NextFile {
	readonly file: SegmentFile
	/** Where the file before is now. */
	readonly sealedPath: string
	/** Records of the file before that could not be read any more. */
	readonly lost: number
	/** The last of them; 0 for none. */
	readonly lostUpTo: number
	/** Why: none of those that are `unsynced` was acknowledged as on disk. */
	readonly cause: 'unsynced' | 'damaged'
}

/** Where the file before ends, as far as it counts. */
interface Seam extends Pick<TailStart, 'nextSeq' | 'levelCounts'> {
	readonly end: number
	readonly link: Uint8Array
}

/** Seals the live file, which has no bytes pending, puts it on disk, and goes on in a new one. */
export function rotateToNewFile(context: SegmentContext, live: SegmentFile, place: LiveFilePath): NextFile {
	const { span } = live
	span.anchor('sealed', 0)
	live.write()
	live.syncNow()
	const { link, nextSeq, levelCounts } = span
	const seam = { end: live.written, link, nextSeq, levelCounts }
	const fill = (file: SegmentFile) => file.span.anchor('span', 0)
	const putInPlace = (temporary: string) =>
		putNextInPlace(context.system, temporary, place.path, live.identity.firstSeq)
	return {
		...makeNext(context, live, place, seam, fill, putInPlace),
		lost: 0,
		lostUpTo: 0,
		cause: 'unsynced',
	}
}

/**
 * Goes on in a new file that begins where the live one was last known to be on disk, with everything behind that taken over: from
 * memory, and what is not held there any more from the file, as far as it still verifies.
 *
 * @param name `lost`: the live file's name leads to no file, or to one that somebody put there or cut. What counts of the live file gets the name
 * of a sealed one then, by copy, and what stands in its place is kept aside.
 */
export function moveToNewFile(
	context: SegmentContext,
	live: SegmentFile,
	place: LiveFilePath,
	name: 'kept' | 'lost',
): NextFile {
	const { system } = context
	const { span, identity, fd } = live
	span.seal()
	const end = name === 'kept' ? readableEnd(system, live) : intactEnd(system, live)
	const cause = name === 'kept' && end >= live.durableOffset ? 'unsynced' : 'damaged'
	const base = readChainEnd(system, fd, end, identity)
	const levelCounts = base.anchor === undefined ? countsBefore(system, live, place) : base.levelCounts
	const seam = { ...base, levelCounts, end, link: linkUpTo(system, fd, end, identity, base.anchor) }
	let lost = 0
	let lostUpTo = 0
	const fill = (file: SegmentFile) => {
		file.span.anchor('span', 0, base.anchor)
		const adoption = new EntryCopier(file, cause)
		const heldFrom = Math.max(end, span.heldFrom)
		adoption.fromFile(system, { fd, idChecksum: identity.idChecksum }, end, heldFrom)
		adoption.fromMemory(span.heldBorrow(heldFrom), identity.idChecksum, heldFrom)
		adoption.upTo(span.nextSeq)
		lost = adoption.lost
		lostUpTo = adoption.lostUpTo
	}
	const putInPlace = (temporary: string) => {
		if (name === 'kept') return putNextInPlace(system, temporary, place.path, identity.firstSeq)
		const sealedPath = restoreAsSealed(system, place.path, fd, end, identity)
		moveAside(system, place.path)
		return { sealedPath, ...putFirstInPlace(system, temporary, place.path) }
	}
	return { ...makeNext(context, live, place, seam, fill, putInPlace), lost, lostUpTo, cause }
}

/** Where what was on disk of a file ends, or cannot be read behind its newest anchor: from there on memory has it. */
function readableEnd(system: FileSystem, { fd, identity, durableOffset }: SegmentFile): number {
	const { end, hole } = readChainEnd(system, fd, Math.max(HEADER_BYTES, durableOffset), identity)
	return Math.min(end, hole ?? end)
}

/** Where what was on disk of a file can be read up to: somebody may have cut it, or written over it. */
function intactEnd(system: FileSystem, { fd, identity, durableOffset }: SegmentFile): number {
	const size = Math.min(durableOffset, system.fstatSync(fd).size)
	let end = Math.max(HEADER_BYTES, size)
	scanRange(system, fd, identity.idChecksum, HEADER_BYTES, end, (entry) => {
		if (entry.type === 'bad') end = Math.min(end, entry.place.offset)
	})
	return end
}

/** Records of the chain before a file, by level: as the file before it says where nothing else does. */
function countsBefore(system: FileSystem, live: SegmentFile, { path }: LiveFilePath): readonly number[] {
	const none = LOG_LEVELS.map(() => 0)
	if (live.levelCountsBefore !== undefined) return live.levelCountsBefore
	const before = listSegments(system, path, live.identity.id).findLast(
		({ identity }) => identity.segment < live.identity.segment,
	)
	if (before === undefined) return none
	const fd = openOurs(system, before.path, O_RDONLY)
	try {
		return readChainEnd(system, fd, before.bytes, before.identity).levelCounts
	} finally {
		closeQuietly(system, fd)
	}
}

function makeNext(
	context: SegmentContext,
	live: SegmentFile,
	place: LiveFilePath,
	{ end, link, nextSeq, levelCounts }: Seam,
	fill: (file: SegmentFile) => void,
	putInPlace: (temporary: string) => Placed & { readonly sealedPath: string },
): Pick<NextFile, 'file' | 'sealedPath'> {
	const { identity, span } = live
	const start = {
		chainId: identity.id,
		segment: identity.segment + 1,
		firstSeq: nextSeq,
		previousEnd: end,
		previousLink: link,
		levelCounts,
		keptFromSeq: span.keptFromSeq,
	}
	const { file, placed } = createSegment(context, place, start, fill, putInPlace)
	if (placed.unsynced !== undefined) file.poisonBy(placed.unsynced)
	return { file, sealedPath: placed.sealedPath }
}
