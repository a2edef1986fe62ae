/**
 * Appends to one file of a chain, and tracks which bytes are in memory, which have reached the operating
 * system, and which are on disk. Does not depend on locks, policies or other files.
 *
 * Invariants: entries are written in order, each at the offset for which it was encoded. Bytes acknowledged
 * as written are never written again. After a failed write, the part that was written is cut off, and all
 * bytes of the write stay in memory. Unwritten records are detached from a file only if everything written to
 * the file can be read back.
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

/**
 * Maximum number of bytes in one write, unless a single entry is larger. A failed write is retried in full.
 */
const WRITE_BYTES_MAX = 256 * 1024

/** The unwritten end of a file, detached from the file. */
export interface Unwritten {
	readonly tail: TailBuffer
	/** Id checksum of the file for which the frames were encoded. */
	readonly idChecksum: number
	/** Offset below which everything was written, or copied to another file. */
	from: number
}

export class SegmentFile {
	readonly identity: ChainIdentity
	tail: TailBuffer
	readonly handle: OpenFile
	/**
	 * Number of records that precede this file in the chain, by level; undefined for a file that this writer
	 * did not create.
	 */
	levelCountsBefore: readonly number[] | undefined
	readonly #context: SegmentContext
	#written: number
	#writtenSeq: number
	#durableSeq: number
	#syncsInFlight = 0
	#poison: Error | undefined
	/** Whether half-written bytes could not be cut off and still follow the complete entries. */
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
	 * Creates a new file that contains only a header. No file may exist at the path. On failure, removes the
	 * file.
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

	/** Offset below which all bytes have reached the operating system. */
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

	/** Last seq below {@link durableOffset}. */
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

	/** Whether a check is due because of the number of writes since the last check. */
	get isLookDue(): boolean {
		return this.#witnesses.isLookDue
	}

	/**
	 * Returns whether the file, which now has this size, still contains everything that was written. If another
	 * program cuts the file, the end of the last write before the cut is lost. Therefore, it is sufficient to
	 * check the last bytes of each write since the last check.
	 */
	isWhole(size: number): boolean {
		return size >= this.#written && this.#witnesses.areIn(this.handle)
	}

	/**
	 * Finishes the open frame and writes all entries. If a write fails halfway, the bytes that it wrote are cut
	 * off.
	 */
	write(): void {
		// The descriptor may now belong to another file.
		if (this.#closed) throw Object.assign(new Error('the file is closed'), { code: 'EBADF' })
		const { tail } = this
		tail.seal()
		while (this.#written < tail.end) this.#writeEntries()
		tail.release(this.#context.keepUnsynced ? Math.min(this.#written, this.durableOffset) : this.#written)
	}

	/**
	 * Detaches the unwritten records, and syncs everything else. Returns undefined if there are no unwritten
	 * records. Returns `unreadable`, without detaching anything, if the written part of the file cannot be read
	 * back. Must not be called while {@link isSyncing}.
	 */
	part(): Unwritten | 'unreadable' | undefined {
		const { tail, identity } = this
		tail.seal()
		if (tail.nextSeq - 1 === this.#writtenSeq) return undefined
		const { writer } = this.#context
		const end = readChainEnd(this.handle, this.#written, identity)
		if (!this.#isWritten(end)) return 'unreadable'
		// The detached tail includes written bytes. Once they are on disk, they need not stay in memory.
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
	 * Error from a failed sync. The kernel may have dropped the pages that it could not write, so this file
	 * is never synced again.
	 */
	get poison(): Error | undefined {
		return this.#poison
	}

	get isSyncing(): boolean {
		return this.#syncsInFlight > 0
	}

	/**
	 * Syncs everything that was written. Resolves to the offset and the seq up to which the file is on disk.
	 */
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
	 * Blocks until everything that was written is synced, and acknowledges it as on disk. The file's directory
	 * entry must already be synced.
	 */
	syncNow(): void {
		this.putOnDisk()
		this.acknowledgeWritten()
	}

	/**
	 * Blocks until everything that was written is synced, but does not acknowledge it, because the directory
	 * entry of a new file may not be synced yet.
	 */
	putOnDisk(): void {
		if (this.#poison !== undefined) throw this.#poison
		try {
			this.#context.system.fdatasyncSync(this.handle.fd)
		} catch (error) {
			throw this.poisonBy(error)
		}
	}

	/**
	 * Acknowledges that everything that was written is on disk. The file's directory entry must already be
	 * synced.
	 */
	acknowledgeWritten(): void {
		this.acknowledge(this.#written, this.#writtenSeq)
	}

	poisonBy(error: unknown): Error {
		this.#context.counts.syncFailures++
		this.#poison ??= error instanceof Error ? error : new Error(messageOf(error))
		return this.#poison
	}

	/** Acknowledges that everything below `offset`, up to `seq`, is on disk. */
	acknowledge(offset: number, seq: number): void {
		this.#context.counts.syncs++
		this.tail.durableOffset = Math.max(this.tail.durableOffset, offset)
		this.#durableSeq = Math.max(this.#durableSeq, seq)
	}

	/**
	 * Closes the file. If a sync is in flight, the descriptor stays open until the sync ends, because another
	 * file could otherwise get the same descriptor.
	 */
	close(): void {
		if (this.#closed) return
		this.#closed = true
		if (this.#syncsInFlight === 0) closeQuietly(this.handle.system, this.handle.fd)
	}

	/** Returns whether a file with this end contains everything that was written to it. */
	#isWritten({ end, nextSeq, hole }: ChainEnd): boolean {
		return end === this.#written && nextSeq - 1 === this.#writtenSeq && hole === undefined
	}

	/** Writes a limited number of complete entries, so that a nearly full disk stores as many as fit. */
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

	/** Cuts off half-written bytes. If the cut fails, the bytes remain, and readers find a torn tail. */
	#cutBack(offset: number): void {
		try {
			this.handle.system.ftruncateSync(this.handle.fd, offset)
		} catch {
			this.isUncut = true
		}
	}
}
