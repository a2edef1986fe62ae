/**
 * One file of a chain while it is being appended to: which of its bytes are in memory, with the operating system, and on disk.
 * Knows nothing of other files, locks or policies.
 *
 * Invariants: bytes are written at their own offset and in order; what was acknowledged as written is never written again; a
 * failed write is cut back and leaves everything in memory; memory goes on only where the file can be read up to what was written.
 */
import { messageOf } from '../../model/errors.ts'
import {
	closeQuietly,
	type FileSystem,
	O_CREAT,
	O_EXCL,
	O_RDWR,
	openOurs,
	writeFully,
} from '../../platform/file-system.ts'
import { removeQuietly } from '../files/names.ts'
import { encodeHeader, type Header } from '../format/header.ts'
import { type ChainEnd, readChainEnd } from '../scan/chain-end.ts'
import { type ChainIdentity, identityOf } from '../scan/identity.ts'
import { type RowWriter, TailBuffer, type TailStart } from './tail-buffer.ts'
import { WriteEnds } from './write-ends.ts'

/** What one write takes at the most: the part that is cut back and tried again when it fails. */
const WRITE_BYTES_MAX = 256 * 1024

/** What was done to the files of a chain, by all of them together. */
export interface WriteCounts {
	writes: number
	writeFailures: number
	syncs: number
	syncFailures: number
}

export interface SegmentContext {
	readonly system: FileSystem
	readonly writer: RowWriter
	readonly counts: WriteCounts
	/** Keep in memory what is written and not yet on disk. */
	readonly keepUnsynced: boolean
}

/** The end of a file, taken out of it before it was written. */
export interface Unwritten {
	readonly span: TailBuffer
	/** Of the file that its frames were made for. */
	readonly idChecksum: number
	/** Up to this offset it was written, or has been taken over by another file. */
	from: number
}

export class SegmentFile {
	readonly identity: ChainIdentity
	span: TailBuffer
	readonly fd: number
	/** Records of the chain before this file, by level; undefined where it was there when it was opened. */
	levelCountsBefore: readonly number[] | undefined
	readonly #context: SegmentContext
	#written: number
	#writtenSeq: number
	#durableSeq: number
	#syncsInFlight = 0
	#poison: Error | undefined
	/** Half-written bytes stand behind what is written, and could not be cut. */
	isUncut = false
	#closed = false
	readonly #witnesses = new WriteEnds()

	constructor(context: SegmentContext, fd: number, identity: ChainIdentity, start: TailStart) {
		this.#context = context
		this.fd = fd
		this.identity = identity
		this.span = new TailBuffer(identity, start, context.writer)
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
			const created = new SegmentFile(context, fd, identityOf(header, bytes), start)
			created.levelCountsBefore = start.levelCounts
			return created
		} catch (error) {
			closeQuietly(system, fd)
			removeQuietly(system, file.path)
			throw error
		}
	}

	/** The offset behind what is with the operating system. */
	get written(): number {
		return this.#written
	}

	/** Everything in this file up to this seq is with the operating system. */
	get writtenSeq(): number {
		return this.#writtenSeq
	}

	/** Everything in this file below this offset is on disk. */
	get durableOffset(): number {
		return this.span.durableOffset
	}

	/** The last seq below {@link durableOffset}. */
	get durableSeq(): number {
		return this.#durableSeq
	}

	/** Bytes that are not with the operating system yet. */
	get pendingBytes(): number {
		return this.span.end - this.#written + this.span.openBytes
	}

	/** Bytes that memory must hold until they are written, or on disk where that is what they wait for. */
	get heldBytes(): number {
		const { keepUnsynced } = this.#context
		return this.pendingBytes + (keepUnsynced ? Math.max(0, this.#written - this.durableOffset) : 0)
	}

	/** Records in this file. */
	get records(): number {
		return this.span.nextSeq - this.identity.firstSeq
	}

	/** Enough was written since the last look to look again. */
	get isLookDue(): boolean {
		return this.#witnesses.isLookDue
	}

	/**
	 * Whether what was written is still there, in a file that has this size now. Nobody but this writer may cut it, and it never writes below
	 * its end: so the end of what stood there before each write since the last look tells.
	 */
	isWhole(size: number): boolean {
		return size >= this.#written && this.#witnesses.areIn(this.#context.system, this.fd)
	}

	/** Gives everything finished to the operating system; what failed half-way is taken back. */
	write(): void {
		// Its descriptor may be another file's by now.
		if (this.#closed) throw Object.assign(new Error('the file is closed'), { code: 'EBADF' })
		const { span } = this
		span.seal()
		while (this.#written < span.end) this.#writeEntries()
		span.release(this.#context.keepUnsynced ? Math.min(this.#written, this.durableOffset) : this.#written)
	}

	/**
	 * Ends the file, on disk, where it is written, and takes the records out of it that are not; undefined where there are none, and
	 * `unreadable`, with nothing changed, where somebody changed what was written and not all of it can be read back: memory holds what
	 * is needed to go on elsewhere. Not while {@link isSyncing}.
	 */
	part(): Unwritten | 'unreadable' | undefined {
		const { span, identity } = this
		span.seal()
		if (span.nextSeq - 1 === this.#writtenSeq) return undefined
		const { system, writer } = this.#context
		const end = readChainEnd(system, this.fd, this.#written, identity)
		if (!this.#isWritten(end)) return 'unreadable'
		// What memory holds of it goes with the span, and is not needed for what is on disk.
		this.syncNow()
		this.span = new TailBuffer(identity, { ...end, keptFromSeq: span.keptFromSeq }, writer)
		this.span.durableOffset = span.durableOffset
		this.span.frames = span.frames
		this.span.anchors = span.anchors
		// Whoever sets it relies on an anchor that says it.
		if (end.anchor?.keptFromSeq !== span.keptFromSeq) this.span.anchor('span', 0)
		return { span, idChecksum: identity.idChecksum, from: this.#written }
	}

	/** A sync has failed, and the kernel may have dropped what it could not write: this file is never asked again. */
	get poison(): Error | undefined {
		return this.#poison
	}

	get isSyncing(): boolean {
		return this.#syncsInFlight > 0
	}

	/** Puts what is written on disk; resolves to where that ends. */
	async sync(): Promise<{ readonly offset: number; readonly seq: number }> {
		if (this.#poison !== undefined) throw this.#poison
		const reached = { offset: this.#written, seq: this.#writtenSeq }
		this.#syncsInFlight++
		try {
			await this.#context.system.fdatasync(this.fd)
		} catch (error) {
			throw this.poisonBy(error)
		} finally {
			this.#syncsInFlight--
			if (this.#closed && this.#syncsInFlight === 0) closeQuietly(this.#context.system, this.fd)
		}
		return reached
	}

	/** The same at once, in a file whose name is on disk. */
	syncNow(): void {
		this.putOnDisk()
		this.acknowledgeWritten()
	}

	/** Puts what is written on disk, and acknowledges nothing of it: the name of a new file is not there yet. */
	putOnDisk(): void {
		if (this.#poison !== undefined) throw this.#poison
		try {
			this.#context.system.fdatasyncSync(this.fd)
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
		this.span.durableOffset = Math.max(this.span.durableOffset, offset)
		this.#durableSeq = Math.max(this.#durableSeq, seq)
	}

	/** Lets go of the file; a descriptor that is being synced is closed afterwards, lest its number be another file's by then. */
	close(): void {
		if (this.#closed) return
		this.#closed = true
		if (this.#syncsInFlight === 0) closeQuietly(this.#context.system, this.fd)
	}

	/** Whether a file that ends so has all that was written to it. */
	#isWritten({ end, nextSeq, hole }: ChainEnd): boolean {
		return end === this.#written && nextSeq - 1 === this.#writtenSeq && hole === undefined
	}

	/** Writes some whole entries: what a disk that is nearly full takes stays written. */
	#writeEntries(): void {
		const { system, counts } = this.#context
		const offset = this.#written
		const { bytes, start, end, lastSeq } = this.span.entriesBorrow(offset, WRITE_BYTES_MAX)
		try {
			writeFully(system, this.fd, bytes, offset, start, end)
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

	/** Takes half-written bytes back. Where that fails too they stay: a reader sees a torn tail. */
	#cutBack(offset: number): void {
		try {
			this.#context.system.ftruncateSync(this.fd, offset)
		} catch {
			this.isUncut = true
		}
	}
}
