/**
 * Checks whether a writer still has the live file that it opened. A person or another writer can remove,
 * replace or cut that file.
 *
 * Invariant: a live file from which written bytes were cut counts as lost, even if it has grown again since
 * then.
 */
import { type FileSystem, isSameFile, systemCode } from '../../platform/file-system.ts'
import { identifyAt, sameId } from '../files/segments.ts'
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
	/** Number of accepted records that are not in the chain. */
	readonly records: number
}

/** Returns how the live file was lost; undefined if the writer still has the file. */
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
		// If the check itself fails, the file is not considered lost.
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
