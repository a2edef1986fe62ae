/**
 * The one who writes a chain: puts records into the span of the live file, its bytes into the file, and the file on disk; goes on in
 * a new file when it is told to, or when this one cannot be trusted any more. Synchronous but for `sync` and `retain`; knows nothing
 * of turns, timers or policies (file-chain-appender.ts).
 *
 * Invariants: there is one live file, and only whoever holds the lock writes to it; after a failed fsync nothing that is only in that
 * file is acknowledged as on disk.
 */
import pLimit from 'p-limit'
import { MeshChainError } from '../../model/errors.ts'
import type { LogRecord } from '../../model/record.ts'
import { warn } from '../../platform/diagnostics.ts'
import { unreadable } from '../files/names.ts'
import { CLOSED_WITHOUT_EXIT } from '../format/anchor.ts'
import type { ChainIdentity } from '../scan/identity.ts'
import { LiveEnd } from './live-end.ts'
import { type LiveFileLoss, liveFileLoss } from './live-file-check.ts'
import { type ChainRecovery, type OpenedChain, openForWriting, seenBefore } from './opening.ts'
import type { LiveFile } from './retention.ts'
import type { SegmentContext, SegmentFile, WriteCounts } from './segment-file.ts'
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

/** How often a writer looks whether the live file is still its own. */
const OWNER_CHECK_MS = 100

export class ChainWriter {
	readonly path: string
	readonly epoch: number
	readonly recovery: ChainRecovery | undefined
	readonly #options: WriterOptions
	readonly #context: SegmentContext
	readonly #lock: WriterLock
	readonly #watermark: WatermarkKeeper
	readonly #end: LiveEnd
	readonly #oneSync = pLimit(1)
	readonly #counts: WriteCounts = { writes: 0, writeFailures: 0, syncs: 0, syncFailures: 0 }
	#queuedSync: Promise<void> | undefined
	#records = 0
	#syncFailure: MeshChainError | undefined
	#takenOver: MeshChainError | undefined
	/** Records were lost that somebody may wait for: the next sync says so. */
	#loss: MeshChainError | undefined
	#strayRecords = 0
	#ownerCheckedAt = 0
	#closed = false

	/** Locks, opens or creates, does what recovery decided, and leaves the opening mark on disk. */
	constructor(path: string, options: WriterOptions) {
		this.path = path
		this.#options = options
		const { system, mode, clock, onDamage, keepUnsynced, rotate, retain } = options
		this.#lock = new WriterLock(system, path, mode, options.clock(), options.lockWaitMs)
		let context: SegmentContext | undefined
		let opened: OpenedChain | undefined
		try {
			opened = openForWriting({
				system,
				path,
				mode,
				onDamage,
				provenance: this.#lock.provenance,
				contextFor: (epoch, bootId) => {
					context = { system, writer: { epoch, bootId, clock }, counts: this.#counts, keepUnsynced }
					return context
				},
			})
			this.#context = context!
			this.epoch = opened.epoch
			this.recovery = opened.recovery
			const { file } = opened
			this.#end = new LiveEnd(this.#context, file, {
				system,
				place: { path, mode },
				rotate,
				retain,
				seenMs: seenBefore(opened),
				onUnreadable: () => this.#moveOn('lost', 'was changed'),
				onNext: (next) => this.#nextFile(next),
			})
			const chain = { path, id: file.identity.id, mode }
			this.#watermark = new WatermarkKeeper(system, chain, this.#context.writer, opened.watermark)
		} catch (error) {
			opened?.file.close()
			releaseQuietly(this.#lock)
			throw unreadable(path, error)
		}
		this.#tellDurable()
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

	/** Bytes that are not with the operating system yet. */
	get pendingBytes(): number {
		return this.#end.pendingBytes
	}

	/** Bytes that are with the operating system and not known to be on disk. */
	get unsyncedBytes(): number {
		return this.#file.written - this.#file.durableOffset
	}

	/** Whether another record may be taken over. */
	get hasRoom(): boolean {
		return this.#end.heldBytes < this.#options.pendingBytesMax
	}

	get pendingRecords(): number {
		return Math.max(0, this.nextSeq - 1 - this.writtenSeq)
	}

	/** Size of the live file and its records, and when it began. */
	get live(): LiveFile {
		return this.#end.live
	}

	/** Whether the chain is larger than retention keeps it, and a file could go. */
	get isTooLarge(): boolean {
		return this.#end.isTooLarge
	}

	/** Whether {@link retain} would remove more if another look at the clock agreed with the last one. */
	get isUnconfirmed(): boolean {
		return this.#end.isUnconfirmed
	}

	/** Why nothing in this file can be acknowledged as on disk any more. */
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
	 * Takes one record over; the caller has asked whether there is room.
	 *
	 * @returns whether a frame was finished, and so whether there may be much to write.
	 * @throws {LogAppendError} `SEQ_NOT_INCREASING`, `APPEND_FAILED`, `CHAIN_TAKEN_OVER`.
	 */
	push(record: LogRecord): boolean {
		if (this.#takenOver !== undefined) this.checkRoom(record.seq)
		const span = this.#end.intake
		this.#explain(record, span)
		span.push(record)
		this.#records++
		const { frameIsFull } = span
		if (frameIsFull) span.seal()
		return frameIsFull
	}

	/** Takes several records, whose seqs follow each other, over as one frame: all of them or none. */
	pushBatch(records: readonly LogRecord[]): void {
		const first = records[0]
		if (first === undefined) return
		if (this.#takenOver !== undefined) this.checkRoom(first.seq)
		checkBatch(records, this.path)
		const span = this.#end.intake
		this.#explain(first, span)
		span.seal()
		try {
			for (const record of records) span.push(record)
			span.seal()
		} catch (error) {
			span.discardOpen()
			throw error
		}
		this.#records += records.length
	}

	/**
	 * Gives everything taken over to the operating system, in as many files as it takes (live-end.ts).
	 *
	 * @throws {MeshChainError} `WRITE_FAILED`; nothing is lost, and calling again goes on. `SYNC_FAILED`, `CHAIN_TAKEN_OVER`.
	 */
	write(): void {
		if (this.#end.isLookDue || performance.now() - this.#ownerCheckedAt > OWNER_CHECK_MS) this.checkOwner()
		if (this.#takenOver !== undefined) throw this.#takenOver
		this.#orWriteError(() => {
			// What half-written bytes stand behind is left as it is.
			if (this.#file.isUncut) this.#moveOn('kept', 'was changed')
			this.#end.write()
		})
	}

	/**
	 * Makes sure that the live file is still this writer's. Where its name leads elsewhere and no other writer has the lock, the
	 * chain goes on in a new file, and what the old one holds is given a name again.
	 *
	 * @throws {MeshChainError} `CHAIN_TAKEN_OVER`, from then on always; `WRITE_FAILED`, `SYNC_FAILED`.
	 */
	checkOwner(): void {
		this.#ownerCheckedAt = performance.now()
		if (this.#takenOver !== undefined) throw this.#takenOver
		const stray = liveFileLoss(this.#options.system, this.path, this.#file)
		if (stray === undefined) return
		if (this.#orWriteError(() => this.#lock.outlives(stray, this.#options.clock()))) {
			this.#orWriteError(() => this.#moveOn('lost', stray.what))
			return
		}
		this.#strayRecords = stray.records + this.#end.waitingRecords
		this.#takenOver = takenOverError(this.path, this.nextSeq, { ...stray, records: this.#strayRecords })
		throw this.#takenOver
	}

	/** Goes on in a new file; what is gone with what happened to the live one is told. */
	#moveOn(name: 'kept' | 'lost', what: LiveFileLoss['what']): void {
		const { durableSeq } = this.#file
		if (name === 'lost') this.#watermark.forget()
		const { lost, lostUpTo, cause } = this.#end.moveOn(name)
		if (lost === 0 || cause === 'unsynced') return
		const loss = cutOffError({ path: this.path, seq: lostUpTo }, what, lost)
		warn('CHAIN_DAMAGED', loss.message)
		if (lostUpTo > durableSeq) this.#loss = loss
	}

	#tellLoss(): void {
		const loss = this.#loss
		this.#loss = undefined
		if (loss !== undefined) throw loss
	}

	/**
	 * Resolves once everything taken over before this call is on disk. One fdatasync is in flight at a time; calls that come
	 * meanwhile share the next one, and one write before it.
	 *
	 * @throws {MeshChainError} `WRITE_FAILED`; `SYNC_FAILED`, and from then on until `move` has succeeded: the kernel may have dropped
	 * the pages, so a retry could bless lost bytes.
	 */
	sync(): Promise<void> {
		this.#queuedSync ??= this.#oneSync(() => {
			this.#queuedSync = undefined
			return this.#syncNow()
		})
		return this.#queuedSync
	}

	/**
	 * The same at once, for a process that exits. While an fdatasync is in flight nothing is synced or acknowledged: nobody will hear how it
	 * ends, and a second one that succeeds could bless the pages that the first one lost.
	 */
	syncOnExit(): void {
		if (this.#syncFailure !== undefined) this.move()
		else this.checkOwner()
		if (this.isSyncing) return
		this.#file.syncNow()
		this.#tellDurable()
	}

	/** Whether an fdatasync is under way. Nobody may ask for another one meanwhile: the kernel tells a failure only once. */
	get isSyncing(): boolean {
		return this.#file.isSyncing
	}

	/** Syncs, and {@link rotate}s if that is still due then. */
	syncAndRotate(isDue: () => boolean): Promise<void> {
		return this.#oneSync(async () => {
			await this.#syncNow()
			if (isDue()) this.rotate()
		})
	}

	/**
	 * Goes on in a new file; the live one is sealed and on disk before. Not while {@link isSyncing}.
	 *
	 * @throws {MeshChainError} `ROTATION_FAILED`; the chain goes on in the file it has. `WRITE_FAILED`, `SYNC_FAILED`, `CHAIN_TAKEN_OVER`.
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
	 * After a failed fsync: goes on in a new file, which gets once more everything that was not on disk.
	 *
	 * @throws {MeshChainError} `SYNC_FAILED`; nothing has changed then.
	 */
	move(): void {
		if (this.#syncFailure === undefined) return
		this.checkOwner()
		// A chain that has regained its name has moved by that.
		if (this.#syncFailure === undefined) return
		try {
			this.#moveOn('kept', 'was changed')
		} catch (error) {
			throw this.#syncError(error)
		}
	}

	/**
	 * Removes what retention does not keep, once the chain says on disk that it does.
	 *
	 * @param nowMs a look at the clock: what is too old by this one and by the one before goes.
	 */
	async retain(nowMs?: number): Promise<void> {
		if (nowMs !== undefined) this.#end.look(nowMs)
		const keptFromSeq = this.#end.sayWhatIsKept()
		if (keptFromSeq === undefined) return
		await this.sync()
		this.#end.removeBelow(keptFromSeq)
	}

	/** Marks the chain as cleanly closed: by `close()`, or by the end of the process with its exit code. */
	markClosed(exitCode: number | undefined): void {
		this.write()
		this.#file.span.anchor('closed', exitCode ?? CLOSED_WITHOUT_EXIT)
		this.write()
	}

	/** Lets go of the file and the lock. Nothing works afterwards. */
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
		// Its name may not be on disk, and then nothing in it is.
		if (file.poison !== undefined) throw this.#syncError(file.poison)
		this.#tellDurable()
	}

	#tellDurable(): void {
		const { identity, durableOffset, durableSeq } = this.#file
		this.#watermark.write({ segment: identity.segment, offset: durableOffset, seq: durableSeq })
	}

	/** Puts a `$gap` in the place of records before this one that the chain was never given. */
	#explain(record: LogRecord, span: TailBuffer): void {
		const gap = missingBefore(span.nextSeq, record, this.path)
		if (gap === undefined) return
		span.push(gap)
		this.#records++
	}

	async #syncNow(): Promise<void> {
		if (this.#syncFailure !== undefined) throw this.#syncFailure
		this.checkOwner()
		this.write()
		const file = this.#file
		if (file.written === file.durableOffset && file.durableSeq === file.writtenSeq) return this.#tellLoss()
		let reached: Awaited<ReturnType<SegmentFile['sync']>> | undefined
		try {
			reached = await file.sync()
		} catch (error) {
			if (file === this.#file) throw this.#syncError(error)
		}
		// What was cut while it was being synced is not there.
		if (file === this.#file) this.checkOwner()
		if (file === this.#file) {
			file.acknowledge(reached!.offset, reached!.seq)
			this.#tellDurable()
		} else if (this.#syncFailure !== undefined) {
			// What the file held was put on disk when it was replaced, but the name of the new one may not be there.
			throw this.#syncFailure
		}
		this.#tellLoss()
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
