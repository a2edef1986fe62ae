/**
 * How every file of a chain comes to be: whole and on disk beside the others first, under its name then.
 *
 * Invariant: nothing in a file counts as on disk before its name is there too.
 */

import { show } from '../../guard/show.ts'
import { MeshChainError } from '../../model/errors.ts'
import { isEpoch } from '../../model/record.ts'
import { type Placed, removeQuietly, temporaryPathOf } from '../files/names.ts'
import type { Header } from '../format/header.ts'
import { type SegmentContext, SegmentFile } from './segment-file.ts'
import { steadyMs } from './steady-time.ts'
import { startOfFile, type TailStart } from './tail-buffer.ts'

/** The name of the live file, and the mode of new ones. */
export interface LiveFilePath {
	readonly path: string
	readonly mode: number
}

/** What a new file begins with. */
export type FileStart = Omit<Header, 'createdMs'> & Pick<TailStart, 'levelCounts' | 'keptFromSeq'>

/**
 * Whatever throws leaves nothing behind.
 *
 * @param fill puts in what the file has to hold before it gets its name.
 */
export function createSegment<P extends Placed>(
	context: SegmentContext,
	place: LiveFilePath,
	start: FileStart,
	fill: (file: SegmentFile) => void,
	putInPlace: (temporary: string) => P,
): { readonly file: SegmentFile; readonly placed: P } {
	const { levelCounts, keptFromSeq, ...begin } = start
	if (!isEpoch(start.segment, 0)) throw exhausted(place.path, 'segment number')
	const header = { ...begin, createdMs: steadyMs(context.writer.clock) }
	const temporary = temporaryPathOf(place.path)
	const file = SegmentFile.create(
		context,
		{ path: temporary, mode: place.mode },
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

/** There is no next one of something that is counted: the file was not made by openings and rotations. */
export function exhausted(path: string, what: string): MeshChainError {
	const text = `${show(path)} has the highest ${what} that a chain can have: begin a new chain`
	return new MeshChainError('CHAIN_EXHAUSTED', text, { path })
}
