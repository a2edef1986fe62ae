/**
 * Creates the files of a chain. Each file is written and synced at a temporary path, and then moved to its
 * final path.
 *
 * Invariant: no part of a file is acknowledged as on disk before the file's directory entry has been synced.
 */
import { show } from '../../guard/show.ts'
import { MeshChainError } from '../../model/errors.ts'
import { isEpoch } from '../../model/record.ts'
import { type Placed, temporaryPathOf } from '../../platform/atomic-file.ts'
import { removeQuietly } from '../../platform/file-system.ts'
import type { Header } from '../format/header.ts'
import type { SegmentContext } from './segment-context.ts'
import { SegmentFile } from './segment-file.ts'
import { steadyMs } from './steady-time.ts'
import { startOfFile, type TailStart } from './tail-buffer.ts'

/** The path of the live file, and the permissions of new files. */
export interface LiveFilePath {
	readonly path: string
	readonly mode: number
}

/** The initial state of a new file. */
export type FileStart = Omit<Header, 'createdMs'> & Pick<TailStart, 'levelCounts' | 'keptFromSeq'>

export interface SegmentMaking<P extends Placed> {
	/** Writes the content that the file must have before it is moved to its final path. */
	readonly fill: (file: SegmentFile) => void
	/** Moves the file from its temporary path to its final path. */
	readonly putInPlace: (temporary: string) => P
}

/** Creates a file. On failure, closes and removes the temporary file. */
export function createSegment<P extends Placed>(
	context: SegmentContext,
	live: LiveFilePath,
	start: FileStart,
	{ fill, putInPlace }: SegmentMaking<P>,
): { readonly file: SegmentFile; readonly placed: P } {
	const { levelCounts, keptFromSeq, ...begin } = start
	if (!isEpoch(start.segment, 0)) throw exhausted(live.path, 'segment number')
	const header = { ...begin, createdMs: steadyMs(context.writer.clock) }
	const temporary = temporaryPathOf(live.path)
	const file = SegmentFile.create(
		context,
		{ path: temporary, mode: live.mode },
		header,
		startOfFile({ nextSeq: header.firstSeq, levelCounts, keptFromSeq }),
	)
	try {
		fill(file)
		file.write()
		file.putOnDisk()
		const placed = putInPlace(temporary)
		if (placed.unsynced === undefined) file.acknowledgeWritten()
		return { file, placed }
	} catch (error) {
		file.close()
		removeQuietly(context.system, temporary)
		throw error
	}
}

/**
 * Returns the error for an epoch or a segment number that cannot be incremented. Openings and rotations never
 * reach the maximum, so another program must have written the file.
 */
export function exhausted(path: string, what: string): MeshChainError {
	const text = `${show(path)} has the highest possible ${what}: start a new chain`
	return new MeshChainError('CHAIN_EXHAUSTED', text, { path })
}
