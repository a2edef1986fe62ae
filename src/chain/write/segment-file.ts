/**
 * One file of a chain while it is being appended to: which of its bytes are in memory, with the operating
 * system, and on disk. Knows nothing of other files, locks or policies.
 *
 * Invariants: bytes are written at their own offset and in order; what was acknowledged as written is never
 * written again; a failed write is cut back and leaves everything in memory; records leave memory only where
 * the file can be read up to what was written.
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

/** The most that one write takes: the part that is cut back and retried when it fails. */
const WRITE_BYTES_MAX = 256 * 1024

/** The end of a file, taken out of it before it was written. */
export interface Unwritten {
	readonly tail: TailBuffer
	/** The id checksum of the file that its frames were made for. */
	readonly idChecksum: number
	/** Everything below this offset was written, or copied to another file. */
	from: number
}

export class SegmentFile {
	readonly identity: ChainIdentity
	tail: TailBuffer
	readonly handle: OpenFile
	/** Records of the chain before this file, by level; undefined for a file that this writer did not make. */
	levelCountsBefore: readonly number[] | undefined
	readonly #context: SegmentContext
	#written: number
	#writtenSeq: number
	#durableSeq: number
	#syncsInFlight = 0
	#poison: Error | undefined
	/** Half-written bytes follow what is written, and could not be cut. */
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

	/** A new file with nothing but a header, under a name that must not exist; no file where that fails. */
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

	/** The end of what the operating system has. */
	get written(): number {
		return this.#written
	}

	/** Everything in this file up to this seq is with the operating system. */
	get writtenSeq(): number {
		return this.#writtenSeq
	}

	/** Everything in this file below this offset is on disk. */
	get durableOffset(): number {
		return this.tail.durableOffset
	}

	/** The last seq below {@link durableOffset}. */
	get durableSeq(): number {
		return this.#durableSeq
	}

	/** Bytes that are not with the operating system yet. */
	get pendingBytes(): number {
		return this.tail.end - this.#written + this.tail.openBytes
	}

	/** Bytes that memory must hold until they are written, or on disk where that is what they wait for. */
	get heldBytes(): number {
		const { keepUnsynced } = this.#context
		return this.pendingBytes + (keepUnsynced ? Math.max(0, this.#written - this.durableOffset) : 0)
	}

	/** Records in this file. */
	get records(): number {
		return this.tail.nextSeq - this.identity.firstSeq
	}

	/** Enough was written since the last check to check again. */
	get isLookDue(): boolean {
		return this.#witnesses.isLookDue
	}

	/**
	 * Whether what was written is still there, in a file that has this size now. Only this writer may cut it,
	 * and it never writes below its end, so the bytes before the end of each write since the last check tell.
	 */
	isWhole(size: number): boolean {
		return size >= this.#written && this.#witnesses.areIn(this.handle)
	}

	/** Writes everything that is finished; a write that fails half-way is cut back. */
	write(): void {
		// Its descriptor may belong to another file now.
		if (this.#closed) throw Object.assign(new Error('the file is closed'), { code: 'EBADF' })
		const { tail } = this
		tail.seal()
		while (this.#written < tail.end) this.#writeEntries()
		tail.release(this.#context.keepUnsynced ? Math.min(this.#written, this.durableOffset) : this.#written)
	}

	/**
	 * Takes the records out that are not written, and puts the rest on disk. Returns undefined where there are
	 * none, and `unreadable`, with nothing changed, where the file was changed and cannot be read back: memory
	 * then holds what a new file needs. Not while {@link isSyncing}.
	 */
	part(): Unwritten | 'unreadable' | undefined {
		const { tail, identity } = this
		tail.seal()
		if (tail.nextSeq - 1 === this.#writtenSeq) return undefined
		const { writer } = this.#context
		const end = readChainEnd(this.handle, this.#written, identity)
		if (!this.#isWritten(end)) return 'unreadable'
		// What memory holds of it goes with the tail, and is not needed for what is on disk.
		this.syncNow()
		this.tail = new TailBuffer(identity, { ...end, keptFromSeq: tail.keptFromSeq }, writer)
		this.tail.durableOffset = tail.durableOffset
		this.tail.frames = tail.frames
		this.tail.anchors = tail.anchors
		// Retention relies on an anchor that says it.
		if (end.anchor?.keptFromSeq !== tail.keptFromSeq) this.tail.anchor('span', 0)
		return { tail, idChecksum: identity.idChecksum, from: this.#written }
	}

	/**
	 * Why a sync has failed: the kernel may have dropped what it could not write, so this file is never synced
	 * again.
	 */
	get poison(): Error | undefined {
		return this.#poison
	}

	get isSyncing(): boolean {
		return this.#syncsInFlight > 0
	}

	/** Puts what is written on disk; resolves to the end of it. */
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

	/** The same at once, in a file whose name is on disk. */
	syncNow(): void {
		this.putOnDisk()
		this.acknowledgeWritten()
	}

	/**
	 * Puts what is written on disk, and acknowledges nothing of it: the name of a new file is not there yet.
	 */
	putOnDisk(): void {
		if (this.#poison !== undefined) throw this.#poison
		try {
			this.#context.system.fdatasyncSync(this.handle.fd)
		} catch (error) {
			throw this.poisonBy(error)
		}
	}

	/** Everything written is on disk, and the name of the file is. */
	acknowledgeWritten(): void {
		this.acknowledge(this.#written, this.#writtenSeq)
	}

	poisonBy(error: unknown): Error {
		this.#context.counts.syncFailures++
		this.#poison ??= error instanceof Error ? error : new Error(messageOf(error))
		return this.#poison
	}

	/** Everything below `offset`, up to `seq`, is on disk. */
	acknowledge(offset: number, seq: number): void {
		this.#context.counts.syncs++
		this.tail.durableOffset = Math.max(this.tail.durableOffset, offset)
		this.#durableSeq = Math.max(this.#durableSeq, seq)
	}

	/**
	 * Closes the file. A descriptor that is being synced is closed afterwards, because its number could become
	 * another file's.
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

	/** Writes some whole entries: what fits on a disk that is nearly full stays written. */
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

	/** Cuts half-written bytes off. Where that fails too they stay, and a reader sees a torn tail. */
	#cutBack(offset: number): void {
		try {
			this.handle.system.ftruncateSync(this.handle.fd, offset)
		} catch {
			this.isUncut = true
		}
	}
}
