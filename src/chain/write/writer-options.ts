/** Defines the options of a writer. The caller has already checked them. */
import type { FileSystem } from '../../platform/file-system.ts'
import type { Retention } from './retention.ts'
import type { FileBounds } from './rotation.ts'

export interface WriterOptions {
	readonly system: FileSystem
	readonly mode: number
	readonly pendingBytesMax: number
	readonly clock: () => number
	readonly onDamage: 'rotate' | 'refuse'
	readonly lockWaitMs: number
	/** Whether records stay in memory until they are on disk. */
	readonly keepUnsynced: boolean
	readonly rotate: FileBounds
	readonly retain: Retention
	/**
	 * Called with the first seq of a new file when the chain continues in it, while the writer is at work. Must
	 * not throw.
	 */
	readonly begun?: (firstSeq: number) => void
}
