/** What all files of a chain share while they are written. */
import type { FileSystem } from '../../platform/file-system.ts'
import { bootId } from '../files/boot-id.ts'

/** Who writes, and when: what frames and anchors say of it. */
export interface RowWriter {
	readonly epoch: number
	readonly bootId: Uint8Array
	readonly clock: () => number
}

/** Calls to the system for the files of a chain, all of them together. */
export interface WriteCounts {
	writes: number
	writeFailures: number
	syncs: number
	syncFailures: number
}

export interface SegmentContext {
	readonly system: FileSystem
	readonly writer: RowWriter
	readonly counts: WriteCounts
	/** Keep in memory what is written and not yet on disk. */
	readonly keepUnsynced: boolean
}

export function newWriteCounts(): WriteCounts {
	return { writes: 0, writeFailures: 0, syncs: 0, syncFailures: 0 }
}

/**
 * The context of a file whose records have their epochs already: the one who writes sets `writer.epoch` as
 * they change.
 */
export interface CopyContext extends SegmentContext {
	readonly writer: RowWriter & { epoch: number }
}

export function copyContext(system: FileSystem, epoch: number): CopyContext {
	const writer = { epoch, bootId: bootId(system), clock: Date.now }
	return { system, writer, counts: newWriteCounts(), keepUnsynced: false }
}
