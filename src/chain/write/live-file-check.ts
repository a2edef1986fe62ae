/**
 * Whether a writer still has the chain that it opened: a file can be replaced or cut
 * under it, by hand or by another writer.
 *
 * Invariant: a live file that has not all that was written to it is a lost one, whatever its size is now.
 */
import {
	closeQuietly,
	type FileSystem,
	isSameFile,
	O_RDONLY,
	openOurs,
	systemCode,
} from '../../platform/file-system.ts'
import { identifyFile, sameId } from '../files/segments.ts'
import type { ChainIdentity } from '../scan/identity.ts'
import type { SegmentFile } from './segment-file.ts'

export interface LiveFileLoss {
	/** What happened to the live file. */
	readonly what:
		| 'was removed'
		| 'was truncated'
		| 'was changed'
		| 'was replaced by hand'
		| 'was replaced by another chain'
		| 'was taken over by another writer'
	/** Records that the writer took over and that are not in the chain. */
	readonly records: number
}

/** What became of the live file, unless it is still the writer's own. */
export function liveFileLoss(system: FileSystem, path: string, ours: SegmentFile): LiveFileLoss | undefined {
	const { nextSeq } = ours.span
	const records = nextSeq - ours.identity.firstSeq
	try {
		const named = system.statSync(path)
		const stat = system.fstatSync(ours.fd)
		if (isSameFile(named, stat)) {
			return ours.isWhole(stat.size) ? undefined : { what: 'was truncated', records }
		}
	} catch (error) {
		const code = systemCode(error)
		if (code === 'ENOENT') return { what: 'was removed', records }
		if (code === 'ELOOP') return { what: 'was replaced by hand', records }
		// Whoever cannot look has no proof.
		return undefined
	}
	const elsewhere = chainAt(system, path)
	if (elsewhere === undefined) return { what: 'was replaced by hand', records }
	const isNext = sameId(elsewhere.id, ours.identity.id) && elsewhere.segment > ours.identity.segment
	if (!isNext) return { what: 'was replaced by another chain', records }
	return { what: 'was taken over by another writer', records: Math.max(0, nextSeq - elsewhere.firstSeq) }
}

/** The chain of the file that took our place, if it is one. */
function chainAt(system: FileSystem, path: string): ChainIdentity | undefined {
	let fd: number | undefined
	try {
		fd = openOurs(system, path, O_RDONLY)
		return identifyFile(system, fd, path)
	} catch {
		return undefined
	} finally {
		if (fd !== undefined) closeQuietly(system, fd)
	}
}
