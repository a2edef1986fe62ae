/**
 * The end of a chain that grows: the live file, what waits for room in it, and the sealed files before it. Goes on in a new file when it
 * is told to, and by itself where one write would take a file far beyond its bounds. Knows nothing of locks, syncs that are waited for,
 * or time but what it is told.
 *
 * Invariants: no file grows beyond {@link OVERFULL_TIMES} times its bounds by more than a frame, unless a sync of it is in flight, no
 * new file can be made, or it takes the place of one that cannot be trusted. What retention removes, the chain has said before, on disk.
 */

import { RETRY_MS_MAX } from '../../model/limits.ts'
import { type FileSystem, systemCode } from '../../platform/file-system.ts'
import { Backlog } from './backlog.ts'
import type { LiveFilePath } from './create-segment.ts'
import type { LiveFile, Retention } from './retention.ts'
import { moveToNewFile, type NextFile, rotateToNewFile } from './rotate.ts'
import type { FileBounds } from './rotation.ts'
import { SealedFiles } from './sealed-files.ts'
import type { SegmentContext, SegmentFile } from './segment-file.ts'
import type { TailBuffer } from './tail-buffer.ts'

/** How many times its bounds a file grows before it is replaced within one write. */
const OVERFULL_TIMES = 2
/** How often a full disk makes retention look for what may go. */
const MAKE_ROOM_MS = 1_000

export interface LiveEndOptions {
	readonly system: FileSystem
	readonly place: LiveFilePath
	readonly rotate: FileBounds
	readonly retain: Retention
	/** A time that a clock had before this opening; -Infinity where none is known. */
	readonly seenMs: number
	/** The live file cannot be read back: {@link LiveEnd.moveOn}. */
	readonly onUnreadable: () => void
	/** A new file has become the live one. */
	readonly onNext: (file: SegmentFile) => void
}

export class LiveEnd {
	readonly #context: SegmentContext
	readonly #options: LiveEndOptions
	readonly #sealed: SealedFiles
	/** Of the files before the live one. */
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
		const { system, place, retain, seenMs } = options
		this.#context = context
		this.#file = file
		this.#options = options
		this.#sealed = new SealedFiles(system, place.path, retain, file.identity, seenMs)
	}

	get file(): SegmentFile {
		return this.#file
	}

	/** Where records go. */
	get intake(): TailBuffer {
		return this.#backlog === undefined ? this.#file.span : this.#backlog.intake
	}

	/** Bytes that are not with the operating system yet. */
	get pendingBytes(): number {
		return this.#file.pendingBytes + this.#waitingBytes
	}

	/** Bytes that memory must hold. */
	get heldBytes(): number {
		return this.#file.heldBytes + this.#waitingBytes
	}

	/** Records that wait for room in the live file, beside those that wait to be written to it. */
	get waitingRecords(): number {
		return this.intake.nextSeq - this.#file.span.nextSeq
	}

	/** What the live file is by now. */
	get live(): LiveFile {
		const { written, records, identity } = this.#file
		return { bytes: written, records, begunMs: identity.createdMs }
	}

	/** Whether the chain is larger than retention keeps it, and a file could go. */
	get isTooLarge(): boolean {
		return this.#sealed.exceeds(this.live)
	}

	get counts() {
		const { frames, anchors, ...replaced } = this.#before
		const { span } = this.#file
		return {
			frames: frames + span.frames,
			anchors: anchors + span.anchors,
			...replaced,
			...this.#sealed.removed,
		}
	}

	/** Whether the next write may only begin when it is certain that the live file is still there: it syncs that file, or is one of many. */
	get isLookDue(): boolean {
		return this.#file.isLookDue || !this.#fits
	}

	/** Gives everything to the operating system. On a full disk what retention allows to go is removed before giving up. */
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

	/** Seals the live file, which has nothing pending, and goes on in a new one. Not while it is being synced. */
	rotate(): void {
		this.#replaceFile(rotateToNewFile(this.#context, this.#file, this.#options.place), 'rotations')
	}

	/** Goes on in a new file with everything that is not on disk. */
	moveOn(name: 'kept' | 'lost'): NextFile {
		const next = moveToNewFile(this.#context, this.#file, this.#options.place, name)
		this.#before[next.cause === 'unsynced' ? 'unsyncedLost' : 'damagedLost'] += next.lost
		this.#replaceFile(next, name === 'kept' ? 'moves' : 'regained')
		return next
	}

	/** Takes the time: what is too old by this look and by the one before may go. */
	look(nowMs: number): void {
		this.#sealed.look(nowMs)
	}

	/** Whether more would go if another look agreed with the last one. */
	get isUnconfirmed(): boolean {
		return this.#sealed.isUnconfirmed(this.live)
	}

	/** Has the next write say from which seq on the chain is kept; returns that, or undefined where nothing may go. */
	sayWhatIsKept(live = this.live): number | undefined {
		const keptFromSeq = this.#sealed.keptFromSeq(live)
		const { span } = this.#file
		if (keptFromSeq === undefined || span.keptFromSeq >= keptFromSeq) return keptFromSeq
		span.seal()
		span.keptFromSeq = keptFromSeq
		span.anchor('span', 0)
		return keptFromSeq
	}

	/** Removes the files before what the chain says, on disk, to be kept. */
	removeBelow(keptFromSeq: number): void {
		this.#sealed.removeBelow(keptFromSeq)
	}

	get #waitingBytes(): number {
		return this.#backlog === undefined ? 0 : this.#backlog.bytes
	}

	/** Whether the live file has room for all that waits. */
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

	/** What the live file may take at once: a frame at a time where its records are counted. */
	get #roomBytes(): number {
		const { bytes, records } = this.#options.rotate
		return records === Number.POSITIVE_INFINITY ? Math.max(0, bytes - this.#file.written) : 0
	}

	/** Writes more than one file has room for: each gets what it may hold, and retention is done between two of them. */
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

	/** Takes out of the live file what is not written. So nothing is parked while a sync is in flight: what it covers was written before. */
	#park(): void {
		// The kernel tells a failure only once: whoever waits for it already must hear it.
		const unwritten = this.#file.isSyncing ? undefined : this.#file.part()
		if (unwritten === undefined) return
		if (unwritten === 'unreadable') {
			// What memory holds is in the next file then.
			this.#options.onUnreadable()
			return
		}
		this.#backlog ??= new Backlog()
		this.#backlog.putFirst(unwritten)
	}

	/** Goes on in a new file; in the one that is there, for a while, where that fails for another reason than a full disk. */
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

	/** Removes at once what is not kept beside a live file of this size; returns whether anything is gone. */
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

	/** On a full disk: removes what retention would remove once everything that waits is written. */
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
		this.#before.frames += old.span.frames
		this.#before.anchors += old.span.anchors
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
