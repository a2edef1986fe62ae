/**
 * Checks whether a writer still has the live file that it opened. A person or another writer can replace or
 * cut that file.
 *
 * Invariant: a live file that is missing any byte that was written to it counts as lost, regardless of its
 * current size.
 */
import { type FileSystem, isSameFile, systemCode } from '../../platform/file-system.ts'
import { identifyAt, sameId } from '../files/segments.ts'
import type { ChainIdentity } from '../scan/identity.ts'
import type { SegmentFile } from './segment-file.ts'

export interface LiveFileLoss {
	/** Change to the live file that the check found. */
	readonly what:
		| 'was removed'
		| 'was truncated'
		| 'was changed'
		| 'was replaced by hand'
		| 'was replaced by another chain'
		| 'was taken over by another writer'
	/** Number of accepted records that are not in the chain. */
	readonly records: number
}

/** Returns the loss of the live file; undefined if the writer still has the file. */
export function liveFileLoss(system: FileSystem, path: string, ours: SegmentFile): LiveFileLoss | undefined {
	const { nextSeq } = ours.tail
	const records = nextSeq - ours.identity.firstSeq
	try {
		const named = system.statSync(path)
		const stat = system.fstatSync(ours.handle.fd)
		if (isSameFile(named, stat)) {
			return ours.isWhole(stat.size) ? undefined : { what: 'was truncated', records }
		}
	} catch (error) {
		const code = systemCode(error)
		if (code === 'ENOENT') return { what: 'was removed', records }
		if (code === 'ELOOP') return { what: 'was replaced by hand', records }
		// A failed check proves nothing.
		return undefined
	}
	const elsewhere = chainAt(system, path)
	if (elsewhere === undefined) return { what: 'was replaced by hand', records }
	const isNext = sameId(elsewhere.id, ours.identity.id) && elsewhere.segment > ours.identity.segment
	if (!isNext) return { what: 'was replaced by another chain', records }
	return { what: 'was taken over by another writer', records: Math.max(0, nextSeq - elsewhere.firstSeq) }
}

/** Returns the identity of the chain at the path of the live file; undefined if that file is not a chain. */
function chainAt(system: FileSystem, path: string): ChainIdentity | undefined {
	try {
		return identifyAt(system, path)
	} catch {
		return undefined
	}
}
