/** What a writer is told, by whoever has checked it. */
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
	/** Committed means on disk: what is not there yet stays in memory too. */
	readonly keepUnsynced: boolean
	readonly rotate: FileBounds
	readonly retain: Retention
}
