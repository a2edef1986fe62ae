/** Defines the input and the result of opening a chain for writing. */
import type { FileSystem } from '../../platform/file-system.ts'
import { bootId } from '../files/boot-id.ts'
import type { Provenance } from '../files/lock.ts'
import type { Watermark } from '../format/watermark.ts'
import type { Action, RecoveryVerdict } from './recovery.ts'
import type { SegmentContext, WriteCounts } from './segment-context.ts'
import type { SegmentFile } from './segment-file.ts'

/** The state in which an opening found the end of a chain, and the action that it took. */
export interface ChainRecovery {
	/** Verdict on the end of the file. */
	readonly verdict: RecoveryVerdict
	/**
	 * Action taken. `append`: nothing was changed. `cut`: the bytes were cut off and saved to `keptAt`.
	 * `next`, `move`: the bytes stay in the old file, which is now at `sealedAs`.
	 */
	readonly action: Exclude<Action, 'refuse'>
	/** Offset at which the valid part of the file ended. */
	readonly offset: number
	/** Number of bytes from `offset` to the end of the file. */
	readonly bytes: number
	/** Path of the copy of the cut bytes; undefined if nothing was cut. */
	readonly keptAt: string | undefined
	/**
	 * New path of the old live file; undefined if the chain continues in that file, or if there was no live
	 * file.
	 */
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

/** Returns the context that all files written in this epoch share. */
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
