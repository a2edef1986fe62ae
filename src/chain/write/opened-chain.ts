/** Defines the input and the result of opening a chain for writing. */
import type { FileSystem } from '../../platform/file-system.ts'
import { bootId } from '../files/boot-id.ts'
import type { Provenance } from '../files/lock.ts'
import type { Watermark } from '../format/watermark.ts'
import type { Action, RecoveryVerdict } from './recovery.ts'
import type { SegmentContext, WriteCounts } from './segment-context.ts'
import type { SegmentFile } from './segment-file.ts'

/** What an opening found at the end of a chain, and what it did about it. */
export interface ChainRecovery {
	/** Verdict on the end of the file. */
	readonly verdict: RecoveryVerdict
	/**
	 * Action taken. `append`: nothing was changed. `cut`: the bytes were cut off, and are kept at `keptAt`.
	 * `next`, `move`: the bytes stay in the old file, which is now at `sealedAs`.
	 */
	readonly action: Exclude<Action, 'refuse'>
	/** Offset of the first byte that was cut, or that is only in the old file. */
	readonly offset: number
	/** Number of those bytes. */
	readonly bytes: number
	/** Path of a copy of the bytes that were cut; undefined if nothing was cut. */
	readonly keptAt: string | undefined
	/** Path of the old file; undefined if the chain continues in that file, or if it is gone. */
	readonly sealedAs: string | undefined
	/** Number of records known to be lost. */
	readonly lostRecords: number
}

export interface OpenedChain {
	readonly file: SegmentFile
	readonly context: SegmentContext
	readonly watermark: Watermark | undefined
	readonly recovery: ChainRecovery | undefined
}

export interface OpeningOptions {
	readonly system: FileSystem
	readonly path: string
	readonly mode: number
	readonly onDamage: 'rotate' | 'refuse'
	/** How the previous writer released the lock. */
	readonly provenance: Provenance
	readonly clock: () => number
	readonly counts: WriteCounts
	readonly keepUnsynced: boolean
}

/** Returns the context shared by all files of this opening, once its epoch is known. */
export function contextOf(
	{ system, clock, counts, keepUnsynced }: OpeningOptions,
	epoch: number,
): SegmentContext {
	return { system, writer: { epoch, bootId: bootId(system), clock }, counts, keepUnsynced }
}

/** Returns a clock reading from before this opening; -Infinity if this opening created the live file. */
export function seenBefore({ file, recovery }: OpenedChain): number {
	const isOlder = recovery === undefined || recovery.action === 'append' || recovery.action === 'cut'
	return isOlder ? (file.identity.createdMs ?? Number.NEGATIVE_INFINITY) : Number.NEGATIVE_INFINITY
}
