/** How a chain that is being written goes on in a new file: because the live one is full, or because it cannot be trusted. */
import { Adoption } from './adopt.ts'
import { linkUpTo, readChainEnd } from './chain-end.ts'
import {
	moveAside,
	putFirstInPlace,
	putNextInPlace,
	removeQuietly,
	restoreAsSealed,
	temporaryPathOf,
} from './files.ts'
import { type SegmentContext, SegmentFile } from './segment-file.ts'
import { type SpanStart, startOfFile } from './span.ts'

export interface LivePlace {
	readonly path: string
	readonly mode: number
}

export interface NextFile {
	readonly file: SegmentFile
	/** Where the file before is now. */
	readonly sealedPath: string
}

/** Where the file before ends, as far as it counts. */
interface Seam extends Pick<SpanStart, 'nextSeq' | 'levelCounts'> {
	readonly end: number
	readonly link: Uint8Array
}

/** Seals the live file, which has no bytes pending, puts it on disk, and goes on in a new one. */
export function rotateToNewFile(context: SegmentContext, live: SegmentFile, place: LivePlace): NextFile {
	const { span } = live
	span.anchor('sealed', 0)
	live.write()
	live.syncNow()
	const { link, nextSeq, levelCounts } = span
	return beginNextFile(context, live, place, { end: live.written, link, nextSeq, levelCounts }, (file) =>
		file.span.anchor('span', 0),
	)
}

/**
 * Goes on in a new file that begins where the live one was last known to be on disk, with everything behind that taken over: from
 * memory, and what is not held there any more from the file, as far as it still verifies.
 */
export function moveToNewFile(
	context: SegmentContext,
	live: SegmentFile,
	place: LivePlace,
): NextFile & { readonly lost: number } {
	const { system } = context
	const { span, identity, fd } = live
	span.seal()
	const end = live.durableOffset
	const base = readChainEnd(system, fd, end, identity)
	const link = linkUpTo(system, fd, end, identity, base.anchor)
	let lost = 0
	const next = beginNextFile(context, live, place, { ...base, end, link }, (file) => {
		file.span.anchor('span', 0, base.anchor)
		const adoption = new Adoption(file, 'unsynced')
		const heldFrom = Math.max(end, span.heldFrom)
		adoption.fromFile(system, { fd, idChecksum: identity.idChecksum }, end, heldFrom)
		adoption.fromMemory(span.heldBorrow(heldFrom), identity.idChecksum, heldFrom)
		adoption.upTo(span.nextSeq)
		lost = adoption.lost
	})
	return { ...next, lost }
}

/**
 * Goes on in a new file although the live one has lost its name, to nobody or to a file that somebody put there: what it holds gets the
 * name of a sealed file, by copy, and what stands in its place is kept aside.
 */
export function regainName(context: SegmentContext, live: SegmentFile, place: LivePlace): NextFile {
	const { system } = context
	const { span, identity } = live
	span.seal()
	span.anchor('sealed', 0)
	live.write()
	const { link, nextSeq, levelCounts } = span
	const seam = { end: live.written, link, nextSeq, levelCounts }
	const fill = (file: SegmentFile) => file.span.anchor('span', 0)
	return beginNextFile(context, live, place, seam, fill, (temporary) => {
		const sealedPath = restoreAsSealed(system, place.path, live.fd, live.written, identity.firstSeq)
		moveAside(system, place.path)
		putFirstInPlace(system, temporary, place.path)
		return { sealedPath, unsynced: undefined }
	})
}

function beginNextFile(
	context: SegmentContext,
	live: SegmentFile,
	place: LivePlace,
	seam: Seam,
	fill: (file: SegmentFile) => void,
	putInPlace = (temporary: string) =>
		putNextInPlace(context.system, temporary, place.path, live.identity.firstSeq),
): NextFile {
	const { system, writer } = context
	const { identity, span } = live
	const { nextSeq, levelCounts } = seam
	const temporary = temporaryPathOf(place.path)
	const header = {
		chainId: identity.id,
		segment: identity.segment + 1,
		createdMs: writer.clock(),
		firstSeq: nextSeq,
		previousEnd: seam.end,
		previousLink: seam.link,
	}
	const start = startOfFile({ nextSeq, levelCounts, keptFromSeq: span.keptFromSeq })
	const file = SegmentFile.create(context, { path: temporary, mode: place.mode }, header, start)
	try {
		fill(file)
		file.write()
		file.syncNow()
		const { sealedPath, unsynced } = putInPlace(temporary)
		if (unsynced !== undefined) file.poisonBy(unsynced)
		return { file, sealedPath }
	} catch (error) {
		file.close()
		removeQuietly(system, temporary)
		throw error
	}
}
