/** Defines the counters of a chain's writer. */
import type { ChainRecovery } from './opened-chain.ts'

/** Counters of a writer since it opened the chain. */
export interface ChainWriterStats {
	/** Number of accepted records, `$gap` records included. */
	readonly records: number
	/** Number of frames written or pending. */
	readonly frames: number
	/** Number of anchors written or pending. */
	readonly anchors: number
	/** Size of the live file, without pending bytes. */
	readonly bytes: number
	/** Number of the live file within the chain, from 0. */
	readonly segment: number
	/** Number of successful writes and syncs. */
	readonly writes: number
	readonly syncs: number
	/** Accepted records and bytes that have not reached the operating system. */
	readonly pendingRecords: number
	readonly pendingBytes: number
	/** Number of failed writes and syncs. */
	readonly writeFailures: number
	readonly syncFailures: number
	/**
	 * Number of failed writes of the watermark beside the chain (`….durable`). They are retried; until then
	 * the watermark states less than is on disk.
	 */
	readonly watermarkFailures: number
	/** Seq of the last record that has reached the operating system. */
	readonly writtenSeq: number
	/** Seq of the last record that is on disk. */
	readonly durableSeq: number
	/** Number of times that the chain continued in a new file because the live one was full. */
	readonly rotations: number
	/**
	 * Number of times that the chain continued in a new file after a failed fsync, or because half-written
	 * bytes could not be cut.
	 */
	readonly moves: number
	/**
	 * Number of times that the chain continued in a new file because the live one had been removed, replaced,
	 * cut or changed. The content of the old file was given a name again.
	 */
	readonly regained: number
	/** Number of records that could not be read back after a failed fsync; a `$gap` covers them. */
	readonly unsyncedLost: number
	/**
	 * Number of records that were cut out of the live file, or changed in it, and were no longer in memory; a
	 * `$gap` covers them.
	 */
	readonly damagedLost: number
	/** Number of files and records that retention has removed since this opening. */
	readonly removedFiles: number
	readonly removedRecords: number
	/** Number of records accepted after another writer had taken the chain over; they are not in it. */
	readonly strayRecords: number
	/**
	 * What this opening found at the end of the chain, and what it did about it; undefined after a clean end.
	 */
	readonly recovery: ChainRecovery | undefined
}
