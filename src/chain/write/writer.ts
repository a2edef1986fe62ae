/**
 * Implements the one writer of a chain: puts records into the tail buffer of the live file, their bytes into
 * the file, and the file on disk. It makes a new file on request, and when the live file can no longer be
 * trusted. Synchronous except for `sync` and `retain`; turns, timers and policies are in
 * file-chain-appender.ts.
 *
 * Invariants: there is one live file, and only the holder of the lock writes to it; after a failed fsync,
 * records that are only in that file are never acknowledged as on disk.
 */
import pLimit from 'p-limit'
import { MeshChainError } from '../../model/errors.ts'
import type { LogRecord } from '../../model/record.ts'
import { warn } from '../../platform/diagnostics.ts'
import { openError } from '../files/open-error.ts'
import { CLOSED_WITHOUT_EXIT } from '../format/anchor.ts'
import type { ChainIdentity } from '../scan/identity.ts'
import { LiveEnd } from './live-end.ts'
import { type LiveFileLoss, liveFileLoss } from './live-file-check.ts'
import { type ChainRecovery, type OpenedChain, seenBefore } from './opened-chain.ts'
import { openForWriting } from './opening.ts'
import type { LiveFile } from './retention.ts'
import { newWriteCounts } from './segment-context.ts'
import type { SegmentFile } from './segment-file.ts'
import { checkBatch, missingBefore } from './seq-check.ts'
import type { TailBuffer } from './tail-buffer.ts'
import { WatermarkKeeper } from './watermark-keeper.ts'
import {
	cutOffError,
	overflowError,
	refusedError,
	rotationError,
	syncError,
	takenOverError,
	writeError,
} from './writer-errors.ts'
import { releaseQuietly, WriterLock } from './writer-lock.ts'
import type { WriterOptions } from './writer-options.ts'
import type { ChainWriterStats } from './writer-stats.ts'

/** Interval at which a writer checks that the live file is still its own. */
const OWNER_CHECK_MS = 100

export class ChainWriter {
	readonly path: string
	readonly epoch: number
	readonly recovery: ChainRecovery | undefined
	readonly #options: WriterOptions
	readonly #lock: WriterLock
	readonly #watermark: WatermarkKeeper
	readonly #end: LiveEnd
	readonly #oneSync = pLimit(1)
	readonly #counts = newWriteCounts()
	#queuedSync: Promise<void> | undefined
	#records = 0
	#syncFailure: MeshChainError | undefined
	#takenOver: MeshChainError | undefined
	/** Error for lost records that a task may wait for; the next sync rejects with it. */
	#loss: MeshChainError | undefined
	#strayRecords = 0
	#ownerCheckedAt = 0
	#closed = false

	/** Locks the chain, opens or creates it, recovers its end, and puts the opening anchor on disk. */
	constructor(path: string, options: WriterOptions) {
		this.path = path
		this.#options = options
		const { system, mode, clock, onDamage, keepUnsynced, rotate, retain } = options
		this.#lock = new WriterLock(system, path, { mode, nowMs: clock(), waitMs: options.lockWaitMs })
		let opened: OpenedChain | undefined
		try {
			opened = openForWriting({
				system,
				path,
				mode,
				onDamage,
				provenance: this.#lock.provenance,
				clock,
				counts: this.#counts,
				keepUnsynced,
			})
			const { file, context } = opened
			this.epoch = context.writer.epoch
			this.recovery = opened.recovery
			this.#end = new LiveEnd(context, file, {
				system,
				livePath: { path, mode },
				rotate,
				retain,
				seenMs: seenBefore(opened),
				onUnreadable: () => this.#moveToNewFile('lost', 'was changed'),
				onNext: (next) => this.#nextFile(next),
			})
			const chain = { path, id: file.identity.id, mode }
			this.#watermark = new WatermarkKeeper(system, chain, context.writer, opened.watermark)
		} catch (error) {
			opened?.file.close()
			releaseQuietly(this.#lock)
			throw openError(path, error)
		}
		this.#writeWatermark()
	}

	get identity(): ChainIdentity {
		return this.#file.identity
	}

	get nextSeq(): number {
		return this.#end.intake.nextSeq
	}

	get writtenSeq(): number {
		return this.#file.writtenSeq
	}

	get durableSeq(): number {
		return this.#file.durableSeq
	}

	/** Number of bytes that have not reached the operating system. */
	get pendingBytes(): number {
		return this.#end.pendingBytes
	}

	/** Number of bytes that have reached the operating system and are not known to be on disk. */
	get unsyncedBytes(): number {
		return this.#file.written - this.#file.durableOffset
	}

	/** Whether another record may be accepted. */
	get hasRoom(): boolean {
		return this.#end.heldBytes < this.#options.pendingBytesMax
	}

	get pendingRecords(): number {
		return Math.max(0, this.nextSeq - 1 - this.writtenSeq)
	}

	/** Size and records of the live file, and its start time. */
	get live(): LiveFile {
		return this.#end.live
	}

	/** Whether the chain exceeds its retention bounds, and a file can be removed. */
	get isTooLarge(): boolean {
		return this.#end.isTooLarge
	}

	/** Whether {@link retain} would remove more if another clock reading confirmed the last one. */
	get isUnconfirmed(): boolean {
		return this.#end.isUnconfirmed
	}

	/**
	 * Error that keeps records in this file from being acknowledged as on disk; undefined if there is none.
	 */
	get syncFailure(): MeshChainError | undefined {
		return this.#syncFailure
	}

	/** @throws {LogAppendError} `PENDING_OVERFLOW` (retryable) unless {@link hasRoom}; `CHAIN_TAKEN_OVER`. */
	checkRoom(seq: number): void {
		if (this.#takenOver !== undefined) {
			this.#strayRecords++
			throw refusedError({ path: this.path, seq }, this.#takenOver)
		}
		if (!this.hasRoom) throw overflowError({ path: this.path, seq }, this.#end.heldBytes)
	}

	/**
	 * Accepts one record. The caller has checked that there is room.
	 *
	 * @returns whether a frame was finished, so that there may be much to write.
	 * @throws {LogAppendError} `SEQ_NOT_INCREASING`, `APPEND_FAILED`, `CHAIN_TAKEN_OVER`.
	 */
	push(record: LogRecord): boolean {
		if (this.#takenOver !== undefined) this.checkRoom(record.seq)
		const tail = this.#end.intake
		this.#fillGap(record, tail)
		tail.push(record)
		this.#records++
		const { frameIsFull } = tail
		if (frameIsFull) tail.seal()
		return frameIsFull
	}

	/** Accepts several records with consecutive seqs as one frame: all of them or none. */
	pushBatch(records: readonly LogRecord[]): void {
		const first = records[0]
		if (first === undefined) return
		if (this.#takenOver !== undefined) this.checkRoom(first.seq)
		checkBatch(records, this.path)
		const tail = this.#end.intake
		this.#fillGap(first, tail)
		tail.seal()
		try {
			for (const record of records) tail.push(record)
			tail.seal()
		} catch (error) {
			tail.discardOpen()
			throw error
		}
		this.#records += records.length
	}

	/**
	 * Writes every accepted record, to as many files as necessary (live-end.ts).
	 *
	 * @throws {MeshChainError} `WRITE_FAILED`; nothing is lost, and the next call continues. `SYNC_FAILED`,
	 * `CHAIN_TAKEN_OVER`.
	 */
	write(): void {
		if (this.#end.isLookDue || performance.now() - this.#ownerCheckedAt > OWNER_CHECK_MS) this.checkOwner()
		if (this.#takenOver !== undefined) throw this.#takenOver
		this.#orWriteError(() => {
			// Nothing more is written to a file that ends in half-written bytes.
			if (this.#file.isUncut) this.#moveToNewFile('kept', 'was changed')
			this.#end.write()
		})
	}

	/**
	 * Ensures that the live file is still this writer's. If its path leads elsewhere and no other writer has
	 * the lock, the chain continues in a new file, and the old file gets a name again.
	 *
	 * @throws {MeshChainError} `CHAIN_TAKEN_OVER`, from then on at every call; `WRITE_FAILED`, `SYNC_FAILED`.
	 */
	checkOwner(): void {
		this.#ownerCheckedAt = performance.now()
		if (this.#takenOver !== undefined) throw this.#takenOver
		const stray = liveFileLoss(this.#options.system, this.path, this.#file)
		if (stray === undefined) return
		if (this.#orWriteError(() => this.#lock.outlives(stray, this.#options.clock()))) {
			this.#orWriteError(() => this.#moveToNewFile('lost', stray.what))
			return
		}
		this.#strayRecords = stray.records + this.#end.waitingRecords
		this.#takenOver = takenOverError(this.path, this.nextSeq, { ...stray, records: this.#strayRecords })
		throw this.#takenOver
	}

	/** Continues in a new file, and reports records that are lost with the live one. */
	#moveToNewFile(name: 'kept' | 'lost', what: LiveFileLoss['what']): void {
		const { durableSeq } = this.#file
		if (name === 'lost') this.#watermark.forget()
		const { lost, lostUpTo, cause } = this.#end.moveToNewFile(name)
		if (lost === 0 || cause === 'unsynced') return
		const loss = cutOffError({ path: this.path, seq: lostUpTo }, what, lost)
		warn('CHAIN_DAMAGED', loss.message)
		if (lostUpTo > durableSeq) this.#loss = loss
	}

	#reportLoss(): void {
		const loss = this.#loss
		this.#loss = undefined
		if (loss !== undefined) throw loss
	}

	/**
	 * Resolves once every record accepted before this call is on disk. One fdatasync is in flight at a time;
	 * calls during it share the next one, and one write before it.
	 *
	 * @throws {MeshChainError} `WRITE_FAILED`; `SYNC_FAILED`, until `move` has succeeded: the kernel may have
	 * dropped the pages, so a retry could bless lost bytes.
	 */
	sync(): Promise<void> {
		this.#queuedSync ??= this.#oneSync(() => {
			this.#queuedSync = undefined
			return this.#syncNow()
		})
		return this.#queuedSync
	}

	/**
	 * Syncs synchronously, for a process that exits. While an fdatasync is in flight, nothing is synced or
	 * acknowledged: its result never arrives, and a second one that succeeds could acknowledge pages that the
	 * first one lost.
	 */
	syncOnExit(): void {
		if (this.#syncFailure !== undefined) this.move()
		else this.checkOwner()
		if (this.isSyncing) return
		this.#file.syncNow()
		this.#writeWatermark()
	}

	/** Whether an fdatasync is in flight. Another must wait: the kernel reports a failure only once. */
	get isSyncing(): boolean {
		return this.#file.isSyncing
	}

	/** Syncs, then {@link rotate}s if that is still due. */
	syncAndRotate(isDue: () => boolean): Promise<void> {
		return this.#oneSync(async () => {
			await this.#syncNow()
			if (isDue()) this.rotate()
		})
	}

	/**
	 * Continues in a new file, after the live one is sealed and on disk. Not allowed while {@link isSyncing}.
	 *
	 * @throws {MeshChainError} `ROTATION_FAILED`; the chain continues in the live file. `WRITE_FAILED`,
	 * `SYNC_FAILED`, `CHAIN_TAKEN_OVER`.
	 */
	rotate(): void {
		this.write()
		this.checkOwner()
		try {
			this.#end.rotate()
		} catch (error) {
			if (this.#file.poison !== undefined) throw this.#syncError(error)
			throw rotationError(this.path, error)
		}
	}

	/**
	 * Continues in a new file after a failed fsync. The new file gets everything again that was not on disk.
	 *
	 * @throws {MeshChainError} `SYNC_FAILED`; then nothing has changed.
	 */
	move(): void {
		if (this.#syncFailure === undefined) return
		this.checkOwner()
		// If the check has found the live file lost, the chain is already in a new file.
		if (this.#syncFailure === undefined) return
		try {
			this.#moveToNewFile('kept', 'was changed')
		} catch (error) {
			throw this.#syncError(error)
		}
	}

	/**
	 * Removes what retention does not keep, after the chain has recorded that on disk.
	 *
	 * @param nowMs a clock reading: files too old by both this reading and the previous one are removed.
	 */
	async retain(nowMs?: number): Promise<void> {
		if (nowMs !== undefined) this.#end.look(nowMs)
		const keptFromSeq = this.#end.sayWhatIsKept()
		if (keptFromSeq === undefined) return
		await this.sync()
		this.#end.removeBelow(keptFromSeq)
	}

	/** Writes the closing anchor of a `close()`, or of the end of the process with its exit code. */
	writeClosingAnchor(exitCode: number | undefined): void {
		this.write()
		this.#file.tail.anchor('closed', exitCode ?? CLOSED_WITHOUT_EXIT)
		this.write()
	}

	/** Closes the file and releases the lock. No other method works afterwards. */
	close(isClean: boolean): void {
		if (this.#closed) return
		this.#closed = true
		const unwritten = this.pendingRecords
		this.#watermark.close()
		this.#file.close()
		this.#lock.release(!isClean, unwritten)
	}

	stats(): ChainWriterStats {
		const { written, identity } = this.#file
		return {
			records: this.#records,
			bytes: written,
			segment: identity.segment,
			...this.#counts,
			watermarkFailures: this.#watermark.failures,
			pendingRecords: this.pendingRecords,
			pendingBytes: this.pendingBytes,
			writtenSeq: this.writtenSeq,
			durableSeq: this.durableSeq,
			...this.#end.counts,
			strayRecords: this.#strayRecords,
			recovery: this.recovery,
		}
	}

	get #file(): SegmentFile {
		return this.#end.file
	}

	#orWriteError<T>(work: () => T): T {
		const { poison } = this.#file
		try {
			return work()
		} catch (error) {
			throw this.#file.poison === poison ? this.#writeError(error) : this.#syncError(error)
		}
	}

	#nextFile(file: SegmentFile): void {
		this.#syncFailure = undefined
		// While the file's name may not be on disk, nothing in the file counts as on disk.
		if (file.poison !== undefined) throw this.#syncError(file.poison)
		this.#writeWatermark()
	}

	#writeWatermark(): void {
		const { identity, durableOffset, durableSeq } = this.#file
		this.#watermark.write({ segment: identity.segment, offset: durableOffset, seq: durableSeq })
	}

	/** Writes a `$gap` for records before this one that the chain never received. */
	#fillGap(record: LogRecord, tail: TailBuffer): void {
		const gap = missingBefore(tail.nextSeq, record, this.path)
		if (gap === undefined) return
		tail.push(gap)
		this.#records++
	}

	async #syncNow(): Promise<void> {
		if (this.#syncFailure !== undefined) throw this.#syncFailure
		this.checkOwner()
		this.write()
		const file = this.#file
		if (file.written === file.durableOffset && file.durableSeq === file.writtenSeq) return this.#reportLoss()
		let reached: Awaited<ReturnType<SegmentFile['sync']>> | undefined
		try {
			reached = await file.sync()
		} catch (error) {
			if (file === this.#file) throw this.#syncError(error)
		}
		// The file may have been cut during the sync.
		if (file === this.#file) this.checkOwner()
		if (file === this.#file) {
			file.acknowledge(reached!.offset, reached!.seq)
			this.#writeWatermark()
		} else if (this.#syncFailure !== undefined) {
			// The old file was put on disk when it was replaced; the name of the new one may not be.
			throw this.#syncFailure
		}
		this.#reportLoss()
	}

	#syncError(error: unknown): MeshChainError {
		if (error instanceof MeshChainError) return error
		this.#syncFailure = syncError({ path: this.path, seq: this.durableSeq + 1 }, error)
		return this.#syncFailure
	}

	#writeError(error: unknown): MeshChainError {
		if (error instanceof MeshChainError) return error
		const at = { path: this.path, seq: this.writtenSeq + 1, offset: this.#file.written }
		return writeError({ ...at, waiting: this.pendingRecords }, error)
	}
}
