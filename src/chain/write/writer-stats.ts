/** Defines the counters of a chain's writer. */
import type { ChainRecovery } from './opened-chain.ts'

/** Counters of a writer since it opened the chain. */
export interface ChainWriterStats {
	/** Number of accepted records, including `$gap` records. */
	readonly records: number
	/** Number of frames written or pending. */
	readonly frames: number
	/** Number of anchors written or pending. */
	readonly anchors: number
	/** Size of the live file in bytes, not counting pending bytes. */
	readonly bytes: number
	/** Number of the live file within the chain, starting at 0. */
	readonly segment: number
	/** Number of successful writes and syncs. */
	readonly writes: number
	readonly syncs: number
	/** Number of accepted records, and of their bytes, that have not reached the operating system. */
	readonly pendingRecords: number
	readonly pendingBytes: number
	/** Number of failed writes and syncs. */
	readonly writeFailures: number
	readonly syncFailures: number
	/**
	 * Number of failed writes to the watermark file next to the chain (`….durable`). Failed writes are retried.
	 * Until a retry succeeds, the watermark covers less than is on disk.
	 */
	readonly watermarkFailures: number
	/** Seq of the last record that has reached the operating system. */
	readonly writtenSeq: number
	/** Seq of the last record that is on disk. */
	readonly durableSeq: number
	/** Number of times that the chain continued in a new file because the live file was full. */
	readonly rotations: number
	/**
	 * Number of times that the chain continued in a new file because an fsync had failed, or because
	 * half-written bytes could not be cut off.
	 */
	readonly moves: number
	/**
	 * Number of times that the chain continued in a new file because the live file had been removed, replaced,
	 * cut or changed. The valid part of the old file was restored as a sealed file.
	 */
	readonly regained: number
	/** Number of records that could not be read back after a failed fsync. A `$gap` covers them. */
	readonly unsyncedLost: number
	/**
	 * Number of records that were cut from the live file, or changed in it, after they had been removed from
	 * memory. A `$gap` covers them.
	 */
	readonly damagedLost: number
	/** Number of files and records that retention has removed since this opening. */
	readonly removedFiles: number
	readonly removedRecords: number
	/** Number of records that are not in the chain because another writer took it over. */
	readonly strayRecords: number
	/**
	 * The state in which the opening found the end of the chain, and the action that it took; undefined if the
	 * end was clean.
	 */
	readonly recovery: ChainRecovery | undefined
}
