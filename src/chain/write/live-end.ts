/**
 * Manages the growing end of a chain: the live file, the records that wait for room in it, and the sealed
 * files. Creates a new file on request, and also when a single write would make the live file far exceed its
 * bounds. Does not handle locks or callers that wait for a sync, and gets clock readings only from its
 * caller.
 *
 * Invariants: a file exceeds {@link OVERFULL_TIMES} times its bounds by at most one frame, unless a sync of
 * the file is in flight, no new file can be created, or the file replaces one that cannot be trusted.
 * Retention removes a file only after the chain has recorded the removal on disk.
 */
import { RETRY_MS_MAX } from '../../model/limits.ts'
import { type FileSystem, systemCode } from '../../platform/file-system.ts'
import { Backlog } from './backlog.ts'
import type { LiveFilePath } from './create-segment.ts'
import type { LiveFile, Retention } from './retention.ts'
import { type FileBounds, moveToNewFile, type NextFile, rotateToNewFile } from './rotation.ts'
import { SealedFiles } from './sealed-files.ts'
import type { SegmentContext } from './segment-context.ts'
import type { SegmentFile } from './segment-file.ts'
import type { TailBuffer } from './tail-buffer.ts'

/** Factor by which a file may exceed its bounds before it is replaced during a write. */
const OVERFULL_TIMES = 2
/** Delay after a failed attempt to free space on a full disk, in milliseconds. */
const MAKE_ROOM_MS = 1_000

export interface LiveEndOptions {
	readonly system: FileSystem
	readonly livePath: LiveFilePath
	readonly rotate: FileBounds
	readonly retain: Retention
	/** Clock reading from before this opening; -Infinity if unknown. */
	readonly seenMs: number
	/** Called when the live file cannot be read back. Must call {@link LiveEnd.moveToNewFile}. */
	readonly onUnreadable: () => void
	/** Called when a new file has become the live file. */
	readonly onNext: (file: SegmentFile) => void
}

export class LiveEnd {
	readonly #context: SegmentContext
	readonly #options: LiveEndOptions
	readonly #sealed: SealedFiles
	/** Totals for this opening, not counting the current live file. */
	readonly #before = {
		frames: 0,
		anchors: 0,
		rotations: 0,
		moves: 0,
		unsyncedLost: 0,
		regained: 0,
		damagedLost: 0,
	}
	#file: SegmentFile
	#backlog: Backlog | undefined
	#rotateNotBefore = 0
	#makeRoomNotBefore = 0

	constructor(context: SegmentContext, file: SegmentFile, options: LiveEndOptions) {
		const { system, livePath, retain, seenMs } = options
		this.#context = context
		this.#file = file
		this.#options = options
		this.#sealed = new SealedFiles(system, livePath.path, { limits: retain, live: file.identity, seenMs })
	}

	get file(): SegmentFile {
		return this.#file
	}

	/** The buffer that receives new records. */
	get intake(): TailBuffer {
		return this.#backlog === undefined ? this.#file.tail : this.#backlog.intake
	}

	/** Number of bytes that have not reached the operating system. */
	get pendingBytes(): number {
		return this.#file.pendingBytes + this.#waitingBytes
	}

	/** Number of bytes that must stay in memory. */
	get heldBytes(): number {
		return this.#file.heldBytes + this.#waitingBytes
	}

	/** Number of records that wait for room in the live file, not counting records already pending in it. */
	get waitingRecords(): number {
		return this.intake.nextSeq - this.#file.tail.nextSeq
	}

	/** Size, number of records and start time of the live file. */
	get live(): LiveFile {
		const { written, records, identity } = this.#file
		return { bytes: written, records, begunMs: identity.createdMs }
	}

	/** Whether the chain exceeds its bounds on bytes or records, and a file can be removed. */
	get isTooLarge(): boolean {
		return this.#sealed.exceeds(this.live)
	}

	get counts() {
		const { frames, anchors, ...replaced } = this.#before
		const { tail } = this.#file
		return {
			frames: frames + tail.frames,
			anchors: anchors + tail.anchors,
			...replaced,
			...this.#sealed.removed,
		}
	}

	/**
	 * Whether the live file must be checked before the next write, because that write also syncs the file or
	 * because there have been many writes since the last check.
	 */
	get isLookDue(): boolean {
		return this.#file.isLookDue || !this.#fits
	}

	/**
	 * Writes everything that is pending. If the disk is full, runs retention to free space, and retries the
	 * write.
	 */
	write(): void {
		for (;;) {
			try {
				if (this.#fits) this.#file.write()
				else this.#drain()
				return
			} catch (error) {
				if (!isDiskFull(error) || !this.#makeRoom()) throw error
			}
		}
	}

	/**
	 * Seals the live file, which must have no pending bytes, and creates the next one. Must not be called while
	 * the file is being synced.
	 */
	rotate(): void {
		this.#replaceFile(rotateToNewFile(this.#context, this.#file, this.#options.livePath), 'rotations')
	}

	/** Continues in a new file, which receives everything that is not on disk. */
	moveToNewFile(name: 'kept' | 'lost'): NextFile {
		const next = moveToNewFile(this.#context, this.#file, this.#options.livePath, name)
		this.#before[next.cause === 'unsynced' ? 'unsyncedLost' : 'damagedLost'] += next.lost
		this.#replaceFile(next, name === 'kept' ? 'moves' : 'regained')
		return next
	}

	/**
	 * Records a clock reading. Files that are too old according to both this reading and the previous one may
	 * be removed.
	 */
	look(nowMs: number): void {
		this.#sealed.look(nowMs)
	}

	/** Whether more files would be removed if another clock reading confirmed the last one. */
	get isUnconfirmed(): boolean {
		return this.#sealed.isUnconfirmed(this.live)
	}

	/**
	 * Ensures that the next write records the first seq to keep. Returns that seq, or undefined if there is
	 * nothing to remove.
	 */
	sayWhatIsKept(live = this.live): number | undefined {
		const keptFromSeq = this.#sealed.keptFromSeq(live)
		const { tail } = this.#file
		if (keptFromSeq === undefined || tail.keptFromSeq >= keptFromSeq) return keptFromSeq
		tail.seal()
		tail.keptFromSeq = keptFromSeq
		tail.anchor('span', 0)
		return keptFromSeq
	}

	/**
	 * Removes the files that contain only seqs below `keptFromSeq`. The chain must have recorded `keptFromSeq`
	 * on disk.
	 */
	removeBelow(keptFromSeq: number): void {
		this.#sealed.removeBelow(keptFromSeq)
	}

	get #waitingBytes(): number {
		return this.#backlog === undefined ? 0 : this.#backlog.bytes
	}

	/** Whether the live file has room for all waiting records. */
	get #fits(): boolean {
		const { bytes, records } = this.#options.rotate
		const { written, pendingBytes, records: recordsThen } = this.#file
		const isWithin =
			written + pendingBytes <= OVERFULL_TIMES * bytes && recordsThen <= OVERFULL_TIMES * records
		return isWithin && this.#backlog === undefined
	}

	get #isFull(): boolean {
		const { bytes, records } = this.#options.rotate
		const { written, writtenSeq, identity } = this.#file
		const recordsWritten = writtenSeq - identity.firstSeq + 1
		return recordsWritten > 0 && (written >= bytes || recordsWritten >= records)
	}

	/**
	 * Number of bytes that may be moved to the live file at once. If the number of records is bounded, this is
	 * 0, so one frame is moved at a time.
	 */
	get #roomBytes(): number {
		const { bytes, records } = this.#options.rotate
		return records === Number.POSITIVE_INFINITY ? Math.max(0, bytes - this.#file.written) : 0
	}

	/**
	 * Writes more records than fit in one file, by dividing them among several files. Retention runs after each
	 * new file.
	 */
	#drain(): void {
		for (;;) {
			if (this.#backlog === undefined) this.#park()
			this.#file.write()
			if (this.#waitingBytes === 0) break
			if (this.#isFull && this.#isReplaced()) this.#retainNow(this.live)
			this.#backlog!.moveInto(this.#file, this.#roomBytes)
		}
		this.#backlog = undefined
	}

	/**
	 * Moves the unwritten records from the live file to the backlog. Does nothing during a sync, because the
	 * move requires a sync of its own.
	 */
	#park(): void {
		// The kernel reports a failure only once, so the sync in flight must receive it.
		const unwritten = this.#file.isSyncing ? undefined : this.#file.part()
		if (unwritten === undefined) return
		if (unwritten === 'unreadable') {
			// The new file receives the records that are in memory.
			this.#options.onUnreadable()
			return
		}
		this.#backlog ??= new Backlog()
		this.#backlog.putFirst(unwritten)
	}

	/**
	 * Creates the next file. Returns false if that fails, or if a retry after an earlier failure is not yet
	 * due. In both cases, the chain stays in the live file. Throws if the disk is full or a sync has failed.
	 */
	#isReplaced(): boolean {
		if (performance.now() < this.#rotateNotBefore) return false
		try {
			this.rotate()
			return true
		} catch (error) {
			if (this.#file.poison !== undefined || isDiskFull(error)) throw error
			this.#rotateNotBefore = performance.now() + RETRY_MS_MAX
			return false
		}
	}

	/**
	 * Removes files until the chain is within its bounds, assuming that the live file has the given size.
	 * Returns whether any file was removed.
	 */
	#retainNow(live: LiveFile): boolean {
		if (this.#file.isSyncing || this.#sealed.keptFromSeq(live) === undefined) return false
		this.#park()
		const keptFromSeq = this.sayWhatIsKept(live)!
		this.#file.write()
		this.#file.syncNow()
		const { removedFiles } = this.#sealed.removed
		this.removeBelow(keptFromSeq)
		return this.#sealed.removed.removedFiles > removedFiles
	}

	/**
	 * Frees space on a full disk by removing the files that retention would remove once all waiting records are
	 * written. Returns whether any file was removed.
	 */
	#makeRoom(): boolean {
		if (performance.now() < this.#makeRoomNotBefore) return false
		const { bytes, records, begunMs } = this.live
		const then = { bytes: bytes + this.pendingBytes, records: records + this.waitingRecords, begunMs }
		try {
			if (this.#retainNow(then)) return true
		} catch (error) {
			if (!isDiskFull(error)) throw error
		}
		this.#makeRoomNotBefore = performance.now() + MAKE_ROOM_MS
		return false
	}

	#replaceFile(next: NextFile, counter: 'rotations' | 'moves' | 'regained'): void {
		const { file, sealedPath } = next
		const old = this.#file
		this.#before.frames += old.tail.frames
		this.#before.anchors += old.tail.anchors
		this.#before[counter]++
		this.#sealed.add(sealedPath, old, file.identity)
		this.#file = file
		old.close()
		this.#options.onNext(file)
	}
}

function isDiskFull(error: unknown): boolean {
	return ['ENOSPC', 'EDQUOT'].includes(systemCode(error) ?? '')
}
