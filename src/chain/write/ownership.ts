/** Whether a writer still has the chain that it opened: a file can be replaced under it, by hand or by another writer. */
import {
	closeQuietly,
	type FileSystem,
	isSameFile,
	O_NOFOLLOW,
	O_NONBLOCK,
	O_RDONLY,
	systemCode,
} from '../../file-system.ts'
import { identifyFile, sameId } from '../files/segments.ts'
import type { SegmentFile } from './segment-file.ts'

export interface Stray {
	/** What happened to the live file. */
	readonly what: 'was removed' | 'was replaced by hand' | 'was taken over by another writer'
	/** Records that the writer took over and that are not in the chain. */
	readonly records: number
}

/** What became of the live file, unless it is still the writer's own. */
export function strayedFrom(system: FileSystem, path: string, ours: SegmentFile): Stray | undefined {
	try {
		if (isSameFile(system.statSync(path), system.fstatSync(ours.fd))) return undefined
	} catch (error) {
		// Whoever cannot look has no proof.
		if (systemCode(error) !== 'ENOENT') return undefined
		return { what: 'was removed', records: ours.span.nextSeq - ours.identity.firstSeq }
	}
	const { nextSeq } = ours.span
	const takenFrom = firstSeqElsewhere(system, path, ours)
	if (takenFrom === undefined)
		return { what: 'was replaced by hand', records: nextSeq - ours.identity.firstSeq }
	return { what: 'was taken over by another writer', records: Math.max(0, nextSeq - takenFrom) }
}

/** The first seq in the file that took our place, if it is the next one of the same chain. */
function firstSeqElsewhere(system: FileSystem, path: string, { identity }: SegmentFile): number | undefined {
	let fd: number | undefined
	try {
		fd = system.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
		const found = identifyFile(system, fd, path)
		return sameId(found.id, identity.id) && found.segment > identity.segment ? found.firstSeq : undefined
	} catch {
		return undefined
	} finally {
		if (fd !== undefined) closeQuietly(system, fd)
	}
}
