/**
 * Implements the writer of a chain: adds records to the tail buffer of the live file, writes their bytes to
 * the file, and syncs the file. Creates a new file on request, and when the live file can no longer be
 * trusted. All methods are synchronous except `sync`, `syncAndRotate` and `retain`. file-chain-appender.ts
 * handles turns, timers and policies.
 *
 * Invariants: there is one live file, and only the holder of the lock writes to it. After a failed fsync of a
 * file, records that are only in that file are never acknowledged as on disk.
 */
import pLimit from 'p-limit'
import { MeshChainError } from '../../model/errors.ts'
import type { LogRecord } from '../../model/record.ts'
import { warn } from '../../platform/diagnostics.ts'
import { openError } from '../files/open-error.ts'
import { CLOSED_WITHOUT_EXIT } from '../format/anchor.ts'
import type { ChainIdentity } from '../scan/identity.ts'
import { checkBatch, gapBefore } from './gap-before.ts'
import { LiveEnd } from './live-end.ts'
import { type LiveFileLoss, liveFileLoss } from './live-file-check.ts'
import { type ChainRecovery, type OpenedChain, seenBefore } from './opened-chain.ts'
import { openForWriting } from './opening.ts'
import type { LiveFile } from './retention.ts'
import { newWriteCounts } from './segment-context.ts'
import type { SegmentFile } from './segment-file.ts'
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

/** Interval at which a writer checks that the live file is still its own, in milliseconds. */
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
	/**
	 * Error for lost records that had not been acknowledged as on disk. The next sync rejects with this error.
	 */
	#loss: MeshChainError | undefined
	#strayRecords = 0
	#ownerCheckedAt = 0
	#closed = false

	/** Locks the chain, opens or creates it, recovers its end, and writes the opening anchor to disk. */
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

	/** Number of bytes that have reached the operating system but have not been acknowledged as on disk. */
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

	/** Size, number of records and start time of the live file. */
	get live(): LiveFile {
		return this.#end.live
	}

	/** Whether the chain exceeds its bounds on bytes or records, and a file can be removed. */
	get isTooLarge(): boolean {
		return this.#end.isTooLarge
	}

	/** Whether {@link retain} would remove more if another clock reading confirmed the last one. */
	get isUnconfirmed(): boolean {
		return this.#end.isUnconfirmed
	}

	/**
	 * Error that prevents records in the live file from being acknowledged as on disk; undefined if there is
	 * none.
	 */
	get syncFailure(): MeshChainError | undefined {
		return this.#syncFailure
	}

	/**
	 * @throws {LogAppendError} `CHAIN_TAKEN_OVER`, or `PENDING_OVERFLOW` (retryable) unless {@link hasRoom}.
	 */
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
	 * @returns Whether a frame was finished, so that a write may be due.
	 * @throws {LogAppendError} `SEQ_NOT_INCREASING`, `APPEND_FAILED`, `BATCH_TOO_LARGE`, `CHAIN_EXHAUSTED`,
	 * `CHAIN_TAKEN_OVER`.
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
	 * @throws {MeshChainError} `SYNC_FAILED`, `CHAIN_TAKEN_OVER`, or `WRITE_FAILED` if the write fails. After
	 * `WRITE_FAILED`, nothing is lost, and the next call continues the write.
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
	 * Ensures that this writer still has the live file. If the file was removed, replaced, cut or changed, and
	 * no other writer has the lock, the chain continues in a new file. In that case, the valid part of the old
	 * file is restored as a sealed file.
	 *
	 * @throws {MeshChainError} `WRITE_FAILED`, `SYNC_FAILED`, or `CHAIN_TAKEN_OVER`, which every later call
	 * also throws.
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

	/** Continues in a new file, and reports records that are lost with the old one. */
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
	 * Resolves when every record accepted before this call is on disk. At most one fdatasync is in flight.
	 * Calls during an fdatasync share the next one and the write before it.
	 *
	 * @throws {MeshChainError} `WRITE_FAILED` or `SYNC_FAILED`. After `SYNC_FAILED`, every call fails until
	 * `move` succeeds, because the kernel may have dropped the pages, and a retry could acknowledge lost bytes.
	 */
	sync(): Promise<void> {
		this.#queuedSync ??= this.#oneSync(() => {
			this.#queuedSync = undefined
			return this.#syncNow()
		})
		return this.#queuedSync
	}

	/**
	 * Syncs the live file while the process exits. Does not sync it if an fdatasync is in flight: the result of
	 * that fdatasync never arrives, and a second one that succeeds could acknowledge pages that the first one
	 * lost.
	 */
	syncOnExit(): void {
		if (this.#syncFailure !== undefined) this.move()
		else this.checkOwner()
		if (this.isSyncing) return
		this.#file.syncNow()
		this.#writeWatermark()
	}

	/**
	 * Whether an fdatasync is in flight. Another fdatasync must wait, because the kernel reports a failure only
	 * once.
	 */
	get isSyncing(): boolean {
		return this.#file.isSyncing
	}

	/** Syncs, then calls {@link rotate} if a rotation is still due. */
	syncAndRotate(isDue: () => boolean): Promise<void> {
		return this.#oneSync(async () => {
			await this.#syncNow()
			if (isDue()) this.rotate()
		})
	}

	/**
	 * Seals and syncs the live file, then continues in a new file. Must not be called while {@link isSyncing}.
	 *
	 * @throws {MeshChainError} `WRITE_FAILED`, `SYNC_FAILED`, `CHAIN_TAKEN_OVER`, or `ROTATION_FAILED` if the
	 * live file cannot be replaced. After `ROTATION_FAILED`, the chain continues in that file.
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
	 * Continues in a new file after a failed fsync. The new file receives a copy of everything that was not
	 * on disk.
	 *
	 * @throws {MeshChainError} `SYNC_FAILED` if the move fails. In that case, nothing has changed.
	 */
	move(): void {
		if (this.#syncFailure === undefined) return
		this.checkOwner()
		// If the check has found that the live file is lost, the chain is already in a new file.
		if (this.#syncFailure === undefined) return
		try {
			this.#moveToNewFile('kept', 'was changed')
		} catch (error) {
			throw this.#syncError(error)
		}
	}

	/**
	 * Removes the files that retention does not keep, after the chain has recorded their removal on disk.
	 *
	 * @param nowMs Clock reading. Files that are too old according to both this reading and the previous one
	 * are removed.
	 */
	async retain(nowMs?: number): Promise<void> {
		if (nowMs !== undefined) this.#end.look(nowMs)
		const keptFromSeq = this.#end.sayWhatIsKept()
		if (keptFromSeq === undefined) return
		await this.sync()
		this.#end.removeBelow(keptFromSeq)
	}

	/** Writes the closing anchor. `exitCode` is the exit code of the process, or undefined for `close()`. */
	writeClosingAnchor(exitCode: number | undefined): void {
		this.write()
		this.#file.tail.anchor('closed', exitCode ?? CLOSED_WITHOUT_EXIT)
		this.write()
	}

	/** Closes the file and releases the lock. Afterwards, only {@link stats} and the getters may be used. */
	close(isClean: boolean): void {
		if (this.#closed) return
		this.#closed = true
		const unwritten = this.pendingRecords
		this.#watermark.close()
		this.#file.close()
		this.#lock.release(isClean ? 'closed' : 'unclosed', unwritten)
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
		// Nothing in the file counts as on disk until its directory entry has been synced.
		if (file.poison !== undefined) throw this.#syncError(file.poison)
		this.#writeWatermark()
		this.#options.begun?.(file.identity.firstSeq)
	}

	#writeWatermark(): void {
		const { identity, durableOffset, durableSeq } = this.#file
		this.#watermark.write({ segment: identity.segment, offset: durableOffset, seq: durableSeq })
	}

	/** Adds a `$gap` for earlier records that the chain never received. */
	#fillGap(record: LogRecord, tail: TailBuffer): void {
		const gap = gapBefore(tail.nextSeq, record, this.path)
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
			// The old file was synced when it was replaced, but the new file's directory entry may not have been
			// synced.
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
