/**
 * Appends to one file of a chain, and tracks which of its bytes are in memory, with the operating system, and
 * on disk. It knows no other files, locks or policies.
 *
 * Invariants: bytes are written at their own offset and in order; bytes acknowledged as written are never
 * written again; a failed write is cut back and leaves everything in memory; records leave memory only if the
 * file can be read up to what was written.
 */
import { messageOf } from '../../model/errors.ts'
import {
	closeQuietly,
	O_CREAT,
	O_EXCL,
	O_RDWR,
	type OpenFile,
	openOurs,
	removeQuietly,
	writeFully,
} from '../../platform/file-system.ts'
import { encodeHeader, type Header } from '../format/header.ts'
import { type ChainEnd, readChainEnd } from '../scan/chain-end.ts'
import { type ChainIdentity, identityOf } from '../scan/identity.ts'
import type { SegmentContext } from './segment-context.ts'
import { TailBuffer, type TailStart } from './tail-buffer.ts'
import { WriteEnds } from './write-ends.ts'

/** Most bytes in one write. A failed write is cut back and retried as a whole. */
const WRITE_BYTES_MAX = 256 * 1024

/** The unwritten end of a file, taken out of it. */
export interface Unwritten {
	readonly tail: TailBuffer
	/** Id checksum of the file that the frames were made for. */
	readonly idChecksum: number
	/** Offset below which everything was written, or copied to another file. */
	from: number
}

export class SegmentFile {
	readonly identity: ChainIdentity
	tail: TailBuffer
	readonly handle: OpenFile
	/**
	 * Number of records of the chain before this file, by level; undefined for a file that this writer did
	 * not create.
	 */
	levelCountsBefore: readonly number[] | undefined
	readonly #context: SegmentContext
	#written: number
	#writtenSeq: number
	#durableSeq: number
	#syncsInFlight = 0
	#poison: Error | undefined
	/** Whether half-written bytes could not be cut, and still follow the written ones. */
	isUncut = false
	#closed = false
	readonly #witnesses = new WriteEnds()

	constructor(context: SegmentContext, handle: OpenFile, identity: ChainIdentity, start: TailStart) {
		this.#context = context
		this.handle = handle
		this.identity = identity
		this.tail = new TailBuffer(identity, start, context.writer)
		this.#written = start.end
		this.#writtenSeq = start.nextSeq - 1
		this.#durableSeq = start.nextSeq - 1
	}

	/**
	 * Creates a new file that holds only a header, under a name that must not exist. Leaves no file if that
	 * fails.
	 */
	static create(
		context: SegmentContext,
		file: { readonly path: string; readonly mode: number },
		header: Header,
		start: TailStart,
	): SegmentFile {
		const { system } = context
		const fd = openOurs(system, file.path, O_RDWR | O_CREAT | O_EXCL, file.mode)
		try {
			const bytes = encodeHeader(header)
			writeFully(system, fd, bytes, 0)
			const created = new SegmentFile(context, { system, fd }, identityOf(header, bytes), start)
			created.levelCountsBefore = start.levelCounts
			return created
		} catch (error) {
			closeQuietly(system, fd)
			removeQuietly(system, file.path)
			throw error
		}
	}

	/** Offset up to which the operating system has the file. */
	get written(): number {
		return this.#written
	}

	/** Last seq that has reached the operating system. */
	get writtenSeq(): number {
		return this.#writtenSeq
	}

	/** Offset below which the file is on disk. */
	get durableOffset(): number {
		return this.tail.durableOffset
	}

	/** The last seq below {@link durableOffset}. */
	get durableSeq(): number {
		return this.#durableSeq
	}

	/** Number of bytes that have not reached the operating system. */
	get pendingBytes(): number {
		return this.tail.end - this.#written + this.tail.openBytes
	}

	/**
	 * Number of bytes that must stay in memory until they are written, or until they are on disk if
	 * `keepUnsynced` is set.
	 */
	get heldBytes(): number {
		const { keepUnsynced } = this.#context
		return this.pendingBytes + (keepUnsynced ? Math.max(0, this.#written - this.durableOffset) : 0)
	}

	/** Number of records in this file. */
	get records(): number {
		return this.tail.nextSeq - this.identity.firstSeq
	}

	/** Whether enough was written since the last check to check again. */
	get isLookDue(): boolean {
		return this.#witnesses.isLookDue
	}

	/**
	 * Whether everything written is still there, in a file that now has this size. Only this writer may cut
	 * the file, and it never writes below its end. Therefore checking the bytes before the end of each write
	 * since the last check is enough.
	 */
	isWhole(size: number): boolean {
		return size >= this.#written && this.#witnesses.areIn(this.handle)
	}

	/** Writes all finished entries; a write that fails half-way is cut back. */
	write(): void {
		// The descriptor may belong to another file now.
		if (this.#closed) throw Object.assign(new Error('the file is closed'), { code: 'EBADF' })
		const { tail } = this
		tail.seal()
		while (this.#written < tail.end) this.#writeEntries()
		tail.release(this.#context.keepUnsynced ? Math.min(this.#written, this.durableOffset) : this.#written)
	}

	/**
	 * Takes the unwritten records out, and puts the rest on disk. Returns undefined if there are none.
	 * Returns `unreadable`, with nothing changed, if the file was changed and cannot be read back: then
	 * memory holds what a new file needs. Not allowed while {@link isSyncing}.
	 */
	part(): Unwritten | 'unreadable' | undefined {
		const { tail, identity } = this
		tail.seal()
		if (tail.nextSeq - 1 === this.#writtenSeq) return undefined
		const { writer } = this.#context
		const end = readChainEnd(this.handle, this.#written, identity)
		if (!this.#isWritten(end)) return 'unreadable'
		// The written bytes in memory leave with the tail. They are not needed once they are on disk.
		this.syncNow()
		this.tail = new TailBuffer(identity, { ...end, keptFromSeq: tail.keptFromSeq }, writer)
		this.tail.durableOffset = tail.durableOffset
		this.tail.frames = tail.frames
		this.tail.anchors = tail.anchors
		// Retention relies on an anchor that records `keptFromSeq`.
		if (end.anchor?.keptFromSeq !== tail.keptFromSeq) this.tail.anchor('span', 0)
		return { tail, idChecksum: identity.idChecksum, from: this.#written }
	}

	/**
	 * Error of a failed sync. The kernel may have dropped the pages that it could not write, so this file is
	 * never synced again.
	 */
	get poison(): Error | undefined {
		return this.#poison
	}

	get isSyncing(): boolean {
		return this.#syncsInFlight > 0
	}

	/** Puts everything written on disk; resolves to its end. */
	async sync(): Promise<{ readonly offset: number; readonly seq: number }> {
		if (this.#poison !== undefined) throw this.#poison
		const reached = { offset: this.#written, seq: this.#writtenSeq }
		this.#syncsInFlight++
		try {
			await this.#context.system.fdatasync(this.handle.fd)
		} catch (error) {
			throw this.poisonBy(error)
		} finally {
			this.#syncsInFlight--
			if (this.#closed && this.#syncsInFlight === 0) closeQuietly(this.handle.system, this.handle.fd)
		}
		return reached
	}

	/**
	 * Does the same as {@link sync}, synchronously and with the acknowledgement, for a file whose name is on
	 * disk.
	 */
	syncNow(): void {
		this.putOnDisk()
		this.acknowledgeWritten()
	}

	/**
	 * Puts everything written on disk without acknowledging it, because the name of a new file is not on disk
	 * yet.
	 */
	putOnDisk(): void {
		if (this.#poison !== undefined) throw this.#poison
		try {
			this.#context.system.fdatasyncSync(this.handle.fd)
		} catch (error) {
			throw this.poisonBy(error)
		}
	}

	/** Notes that everything written is on disk, and so is the name of the file. */
	acknowledgeWritten(): void {
		this.acknowledge(this.#written, this.#writtenSeq)
	}

	poisonBy(error: unknown): Error {
		this.#context.counts.syncFailures++
		this.#poison ??= error instanceof Error ? error : new Error(messageOf(error))
		return this.#poison
	}

	/** Notes that everything below `offset`, up to `seq`, is on disk. */
	acknowledge(offset: number, seq: number): void {
		this.#context.counts.syncs++
		this.tail.durableOffset = Math.max(this.tail.durableOffset, offset)
		this.#durableSeq = Math.max(this.#durableSeq, seq)
	}

	/**
	 * Closes the file. During a sync, the descriptor is closed later, because its number could become another
	 * file's.
	 */
	close(): void {
		if (this.#closed) return
		this.#closed = true
		if (this.#syncsInFlight === 0) closeQuietly(this.handle.system, this.handle.fd)
	}

	/** Whether a file with this end has everything that was written to it. */
	#isWritten({ end, nextSeq, hole }: ChainEnd): boolean {
		return end === this.#written && nextSeq - 1 === this.#writtenSeq && hole === undefined
	}

	/** Writes some whole entries, so that a disk that is nearly full keeps as many as fit. */
	#writeEntries(): void {
		const { system, fd } = this.handle
		const { counts } = this.#context
		const offset = this.#written
		const { bytes, start, end, lastSeq } = this.tail.entriesBorrow(offset, WRITE_BYTES_MAX)
		try {
			writeFully(system, fd, bytes, offset, start, end)
		} catch (error) {
			counts.writeFailures++
			this.#cutBack(offset)
			throw error
		}
		counts.writes++
		this.#witnesses.add(bytes, end, offset - start)
		this.#written = offset + end - start
		this.#writtenSeq = Math.max(this.#writtenSeq, lastSeq)
	}

	/** Cuts off half-written bytes. If that fails too, they stay, and a reader sees a torn tail. */
	#cutBack(offset: number): void {
		try {
			this.handle.system.ftruncateSync(this.handle.fd, offset)
		} catch {
			this.isUncut = true
		}
	}
}
