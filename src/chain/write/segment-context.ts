/** Defines the context that all files of a chain share while the chain is being written. */
import type { FileSystem } from '../../platform/file-system.ts'
import { bootId } from '../files/boot-id.ts'

/** The values that frames and anchors record about their writer, and the clock for their times. */
export interface RowWriter {
	readonly epoch: number
	readonly bootId: Uint8Array
	readonly clock: () => number
}

/** Numbers of writes and syncs, for all files of a chain together. */
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
	/** Whether written records stay in memory until they are on disk. */
	readonly keepUnsynced: boolean
}

export function newWriteCounts(): WriteCounts {
	return { writes: 0, writeFailures: 0, syncs: 0, syncFailures: 0 }
}

/**
 * The context for writing records that already have epochs. The caller sets `writer.epoch` when the epoch
 * changes.
 */
export interface CopyContext extends SegmentContext {
	readonly writer: RowWriter & { epoch: number }
}

export function copyContext(system: FileSystem, epoch: number): CopyContext {
	const writer = { epoch, bootId: bootId(system), clock: Date.now }
	return { system, writer, counts: newWriteCounts(), keepUnsynced: false }
}
