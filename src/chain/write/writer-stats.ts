/** What a chain's writer counts. */
import type { ChainRecovery } from './opened-chain.ts'

/** What a writer has done since it opened the chain. */
export interface ChainWriterStats {
	/** Records taken over, `$gap` records included. */
	readonly records: number
	readonly frames: number
	readonly anchors: number
	/** Size of the live file, pending bytes not included. */
	readonly bytes: number
	/** Which file of the chain is live, from 0. */
	readonly segment: number
	readonly writes: number
	readonly syncs: number
	/** Taken over and not yet with the operating system. */
	readonly pendingRecords: number
	readonly pendingBytes: number
	readonly writeFailures: number
	readonly syncFailures: number
	/** Times that the watermark beside the chain (`….durable`) could not be written. It is tried again, and says less than is true until then. */
	readonly watermarkFailures: number
	/** Everything up to this seq is with the operating system. */
	readonly writtenSeq: number
	/** Everything up to this seq is on disk. */
	readonly durableSeq: number
	/** Times that the chain went on in a new file because one was full. */
	readonly rotations: number
	/** Times that it did so because an fsync had failed, or half-written bytes could not be cut. */
	readonly moves: number
	/** Times that it did so because somebody had removed, replaced, cut or changed the live file; what it held was given a name again. */
	readonly regained: number
	/** Records that could not be read back after a failed fsync; a `$gap` stands for them. */
	readonly unsyncedLost: number
	/** Records that somebody cut out of the live file, or changed in it, and that were in memory no more; a `$gap` stands for them. */
	readonly damagedLost: number
	/** What retention has removed since this opening: files and records. */
	readonly removedFiles: number
	readonly removedRecords: number
	/** Records taken over after another writer had taken the chain over by force: they are not in it. */
	readonly strayRecords: number
	/** What this opening found at the end of the chain; undefined after a clean end. */
	readonly recovery: ChainRecovery | undefined
}
