/** What an opening of a chain for writing is told, and what it comes to. */
import type { FileSystem } from '../../platform/file-system.ts'
import { bootId } from '../files/boot-id.ts'
import type { Provenance } from '../files/lock.ts'
import type { Watermark } from '../format/watermark.ts'
import type { Action, RecoveryVerdict } from './recovery.ts'
import type { SegmentContext, WriteCounts } from './segment-context.ts'
import type { SegmentFile } from './segment-file.ts'

/** What was found at the end of a chain that was opened, and what was done about it. */
export interface ChainRecovery {
	/** How the end of the file was judged. */
	readonly verdict: RecoveryVerdict
	/**
	 * `append`: nothing was changed. `cut`: the bytes were cut off, and are kept at `keptAt`. `next`, `move`:
	 * they stay in the old file, which is now at `sealedAs`.
	 */
	readonly action: Exclude<Action, 'refuse'>
	/** Offset of the first byte that was cut, or that stays in the old file only. */
	readonly offset: number
	/** Number of those bytes. */
	readonly bytes: number
	/** Path of a copy of the bytes that were cut; undefined where nothing was cut. */
	readonly keptAt: string | undefined
	/** Path of the old file; undefined where the chain continues in it, or where it is gone. */
	readonly sealedAs: string | undefined
	/** Number of records that are known to be lost. */
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
	/** How the lock says that the previous writer let go. */
	readonly provenance: Provenance
	readonly clock: () => number
	readonly counts: WriteCounts
	readonly keepUnsynced: boolean
}

/** The context of all files that this opening writes, once its epoch is known. */
export function contextOf(
	{ system, clock, counts, keepUnsynced }: OpeningOptions,
	epoch: number,
): SegmentContext {
	return { system, writer: { epoch, bootId: bootId(system), clock }, counts, keepUnsynced }
}

/** A time that a clock showed before this opening; -Infinity where the live file was made by this opening. */
export function seenBefore({ file, recovery }: OpenedChain): number {
	const isOlder = recovery === undefined || recovery.action === 'append' || recovery.action === 'cut'
	return isOlder ? (file.identity.createdMs ?? Number.NEGATIVE_INFINITY) : Number.NEGATIVE_INFINITY
}
