/** What a chain's writer counts. */
import type { ChainRecovery } from './opened-chain.ts'

/** What a writer has done since it opened the chain. */
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
	/** Records and bytes that are accepted and not yet with the operating system. */
	readonly pendingRecords: number
	readonly pendingBytes: number
	/** Number of failed writes and syncs. */
	readonly writeFailures: number
	readonly syncFailures: number
	/**
	 * How often the watermark beside the chain (`….durable`) could not be written. It is retried; until then it
	 * says less than is true.
	 */
	readonly watermarkFailures: number
	/** Seq of the last record that is with the operating system. */
	readonly writtenSeq: number
	/** Seq of the last record that is on disk. */
	readonly durableSeq: number
	/** How often the chain continued in a new file because the live one was full. */
	readonly rotations: number
	/** How often it did so because an fsync had failed, or half-written bytes could not be cut. */
	readonly moves: number
	/**
	 * How often it did so because the live file had been removed, replaced, cut or changed. What it held was
	 * given a name again.
	 */
	readonly regained: number
	/** Number of records that could not be read back after a failed fsync; a `$gap` stands for them. */
	readonly unsyncedLost: number
	/**
	 * Number of records that were cut out of the live file, or changed in it, and were no longer in memory; a
	 * `$gap` stands for them.
	 */
	readonly damagedLost: number
	/** Number of files and records that retention has removed since this opening. */
	readonly removedFiles: number
	readonly removedRecords: number
	/** Number of records accepted after another writer had taken the chain over; they are not in it. */
	readonly strayRecords: number
	/** What this opening found at the end of the chain, and did about it; undefined after a clean end. */
	readonly recovery: ChainRecovery | undefined
}
