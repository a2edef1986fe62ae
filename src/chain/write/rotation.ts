/**
 * Decides when the live file of a chain is full, and continues the chain in a new file when the live file is
 * full or cannot be trusted.
 */
import { LOG_LEVELS } from '../../model/record.ts'
import { type Placed, putFirstInPlace } from '../../platform/atomic-file.ts'
import { O_RDONLY, withFile } from '../../platform/file-system.ts'
import { moveAside, restoreAsSealed } from '../files/keep-aside.ts'
import { putNextInPlace } from '../files/put-next-in-place.ts'
import { listSegments } from '../files/segments.ts'
import { HEADER_BYTES } from '../format/header.ts'
import { readChainEnd } from '../scan/chain-end.ts'
import { firstUnreadable, linkUpTo } from '../scan/scan-range.ts'
import { EntryCopier } from './copy-entries.ts'
import { createSegment, type LiveFilePath, type SegmentMaking } from './create-segment.ts'
import type { LiveFile } from './retention.ts'
import type { SegmentContext } from './segment-context.ts'
import type { SegmentFile } from './segment-file.ts'
import type { TailStart } from './tail-buffer.ts'

/** Bounds at which a file is full; Infinity for no bound. */
export interface FileBounds {
	readonly bytes: number
	readonly records: number
}

export interface RotationBounds extends FileBounds {
	readonly ageMs: number
}

/**
 * Returns whether a file has reached a bound on its size, records or age. A file whose start time is `ageMs`
 * or more in the future also counts as too old: the clock was wrong when the file was started, or is wrong
 * now, and an extra file is harmless.
 */
export function isRotationDue(bounds: RotationBounds, live: LiveFile, clock: () => number): boolean {
	if (live.bytes >= bounds.bytes || live.records >= bounds.records) return true
	if (bounds.ageMs === Number.POSITIVE_INFINITY || live.records === 0) return false
	const nowMs = clock()
	if (!Number.isFinite(nowMs)) return false
	// A file with an unknown start time may be old.
	return live.begunMs === undefined || Math.abs(nowMs - live.begunMs) >= bounds.ageMs
}

export interface NextFile {
	readonly file: SegmentFile
	/** Path of the old file, or of the sealed file that was restored from it. */
	readonly sealedPath: string
	/** Number of records in the old file that can no longer be read. */
	readonly lost: number
	/** Seq of the last lost record; 0 if no record is lost. */
	readonly lostUpTo: number
	/** Cause of the loss. If it is `unsynced`, none of the lost records was acknowledged as on disk. */
	readonly cause: 'unsynced' | 'damaged'
}

/** The end of the valid part of the old file, and the start of a new file. */
interface Seam extends Pick<TailStart, 'nextSeq' | 'levelCounts'> {
	readonly end: number
	readonly link: Uint8Array
}

type NextFileMaking = Seam & SegmentMaking<Placed & { readonly sealedPath: string }>

/** Seals the live file, which must have no pending bytes, syncs it, and creates the next file. */
export function rotateToNewFile(
	context: SegmentContext,
	live: SegmentFile,
	livePath: LiveFilePath,
): NextFile {
	const { tail } = live
	tail.anchor('sealed', 0)
	live.write()
	live.syncNow()
	const { link, nextSeq, levelCounts } = tail
	const seam = { end: live.written, link, nextSeq, levelCounts }
	const made = makeNext(context, livePath, live, {
		...seam,
		fill: (file) => file.tail.anchor('span', 0),
		putInPlace: (temporary) =>
			putNextInPlace(context.system, temporary, livePath.path, live.identity.firstSeq),
	})
	return { ...made, lost: 0, lostUpTo: 0, cause: 'unsynced' }
}

/**
 * Creates a new file that continues from the offset up to which the live file is on disk. Everything after
 * that offset is copied from memory or, if memory no longer contains it, from the part of the live file that
 * still verifies.
 *
 * @param name `lost` if the live file was removed, replaced, cut or changed. In that case, the valid part of
 * the live file is copied to a new sealed file, and any file at the path is renamed.
 */
export function moveToNewFile(
	context: SegmentContext,
	live: SegmentFile,
	livePath: LiveFilePath,
	name: 'kept' | 'lost',
): NextFile {
	const { system } = context
	const { tail, identity, handle } = live
	tail.seal()
	const end = name === 'kept' ? readableEnd(live) : intactEnd(live)
	const cause = name === 'kept' && end >= live.durableOffset ? 'unsynced' : 'damaged'
	const base = readChainEnd(handle, end, identity)
	const levelCounts = base.anchor === undefined ? countsBefore(live, livePath) : base.levelCounts
	const seam = { ...base, levelCounts, end, link: linkUpTo(handle, end, identity, base.anchor) }
	let lost = 0
	let lostUpTo = 0
	const fill = (file: SegmentFile) => {
		file.tail.anchor('span', 0, base.anchor)
		const copier = new EntryCopier(file, cause)
		const heldFrom = Math.max(end, tail.heldFrom)
		copier.fromFile(handle, identity.idChecksum, { from: end, to: heldFrom })
		copier.fromMemory(tail.heldBorrow(heldFrom), identity.idChecksum, heldFrom)
		copier.upTo(tail.nextSeq)
		lost = copier.lost
		lostUpTo = copier.lostUpTo
	}
	const putInPlace = (temporary: string) => {
		if (name === 'kept') return putNextInPlace(system, temporary, livePath.path, identity.firstSeq)
		const sealedPath = restoreAsSealed(livePath.path, handle, end, identity)
		moveAside(system, livePath.path)
		return { sealedPath, ...putFirstInPlace(system, temporary, livePath.path) }
	}
	return { ...makeNext(context, livePath, live, { ...seam, fill, putInPlace }), lost, lostUpTo, cause }
}

/**
 * Returns the offset up to which the live file is on disk. If bytes between the newest anchor and that offset
 * are unreadable, returns the offset of the first unreadable byte.
 */
function readableEnd({ handle, identity, durableOffset }: SegmentFile): number {
	const { end, hole } = readChainEnd(handle, Math.max(HEADER_BYTES, durableOffset), identity)
	return Math.min(end, hole ?? end)
}

/**
 * Returns the offset of the first unreadable byte in the part that was on disk, or the end of that part. The
 * file may have been cut or overwritten.
 */
function intactEnd({ handle, identity, durableOffset }: SegmentFile): number {
	const size = Math.min(durableOffset, handle.system.fstatSync(handle.fd).size)
	const end = Math.max(HEADER_BYTES, size)
	return firstUnreadable(handle, identity.idChecksum, { from: HEADER_BYTES, to: end }) ?? end
}

/** Returns the number of records that precede a file in the chain, by level. */
function countsBefore(live: SegmentFile, { path }: LiveFilePath): readonly number[] {
	const { system } = live.handle
	const none = LOG_LEVELS.map(() => 0)
	if (live.levelCountsBefore !== undefined) return live.levelCountsBefore
	const before = listSegments(system, path, live.identity.id).findLast(
		({ identity }) => identity.segment < live.identity.segment,
	)
	if (before === undefined) return none
	return withFile(system, before.path, O_RDONLY, (file) => {
		return readChainEnd(file, before.bytes, before.identity).levelCounts
	})
}

function makeNext(
	context: SegmentContext,
	livePath: LiveFilePath,
	{ identity, tail }: SegmentFile,
	{ end, link, nextSeq, levelCounts, fill, putInPlace }: NextFileMaking,
): Pick<NextFile, 'file' | 'sealedPath'> {
	const start = {
		chainId: identity.id,
		segment: identity.segment + 1,
		firstSeq: nextSeq,
		previousEnd: end,
		previousLink: link,
		levelCounts,
		keptFromSeq: tail.keptFromSeq,
	}
	const { file, placed } = createSegment(context, livePath, start, { fill, putInPlace })
	if (placed.unsynced !== undefined) file.poisonBy(placed.unsynced)
	return { file, sealedPath: placed.sealedPath }
}
