/**
 * The one who writes a chain file: puts records into the span, the span's bytes into the file, and the file on disk.
 * Synchronous but for `sync`; knows nothing of turns, timers or policies (file-chain-appender.ts).
 *
 * Invariants: bytes are written at their own offset and in order; what was acknowledged as written is never written again;
 * a failed write is cut back and leaves everything in memory; after a failed fsync nothing is acknowledged as on disk.
 */
import pLimit from 'p-limit'
import { LogAppendError, MeshChainError, messageOf } from '../errors.ts'
import { GAP_KIND, type GapData, gapRecord, type LogRecord, show } from '../record.ts'
import { openForWriting, type TailCut, unreadable } from './create.ts'
import { type FileSystem, writeFully } from './file-system.ts'
import { CLOSED_WITHOUT_EXIT } from './format/anchor.ts'
import { acquireLock, type Lock } from './lock.ts'
import type { ChainIdentity } from './recovery.ts'
import { Span } from './span.ts'
import { readWatermark, WatermarkFile } from './watermark.ts'

/** What one write takes at the most: the part that is cut back and tried again when it fails. */
const WRITE_BYTES_MAX = 256 * 1024

export interface WriterOptions {
	readonly system: FileSystem
	readonly mode: number
	readonly pendingBytesMax: number
	readonly clock: () => number
}

/** What a writer has done since it opened the chain. */
export interface ChainWriterStats {
	/** Records taken over, `$gap` records included. */
	readonly records: number
	readonly frames: number
	readonly anchors: number
	/** Size of the file, pending bytes not included. */
	readonly bytes: number
	readonly writes: number
	readonly syncs: number
	/** Taken over and not yet with the operating system. */
	readonly pendingRecords: number
	readonly pendingBytes: number
	readonly writeFailures: number
	readonly syncFailures: number
	/** Everything up to this seq is with the operating system. */
	readonly writtenSeq: number
	/** Everything up to this seq is on disk. */
	readonly durableSeq: number
	/** What this opening had to cut; undefined after a clean end. */
	readonly tailCut: TailCut | undefined
}

export class ChainWriter {
	readonly path: string
	readonly identity: ChainIdentity
	readonly tailCut: TailCut | undefined
	readonly #options: WriterOptions
	readonly #fd: number
	readonly #lock: Lock
	readonly #span: Span
	readonly #watermark: WatermarkFile
	readonly #oneSync = pLimit(1)
	#queuedSync: Promise<void> | undefined
	#written: number
	#writtenSeq: number
	#durableSeq: number
	#records = 0
	#writes = 0
	#syncs = 0
	#writeFailures = 0
	#syncFailures = 0
	#syncFailure: MeshChainError | undefined
	#closed = false

	/** Locks, opens or creates, cuts what must be cut, and writes the opening anchor. */
	constructor(path: string, options: WriterOptions) {
		this.path = path
		this.#options = options
		const { system, mode, clock } = options
		this.#lock = lockOrExplain(system, path, clock())
		try {
			const opened = openForWriting(system, path, mode, clock())
			this.identity = opened.identity
			this.tailCut = opened.cut
			this.#fd = opened.fd
			this.#span = new Span(opened.identity, opened.end, clock)
			const mark = readWatermark(system, path, opened.identity.id)
			// What an earlier writer left is on disk as far as it has said; only our own first sync says more.
			this.#span.durableOffset = Math.max(
				this.#span.durableOffset,
				Math.min(mark?.offset ?? 0, opened.end.end),
			)
			const { id } = opened.identity
			this.#watermark = new WatermarkFile(system, { path, id, epoch: this.#span.epoch, mode }, mark)
			this.#written = opened.end.end
			this.#writtenSeq = this.#span.sealedSeq
			this.#durableSeq = 0
		} catch (error) {
			this.#lock.release()
			throw error
		}
		try {
			this.#span.anchor('opened', this.tailCut?.bytes ?? 0)
			this.write()
		} catch (error) {
			this.#release()
			throw error
		}
	}

	get nextSeq(): number {
		return this.#span.nextSeq
	}

	get epoch(): number {
		return this.#span.epoch
	}

	get writtenSeq(): number {
		return this.#writtenSeq
	}

	get durableSeq(): number {
		return this.#durableSeq
	}

	/** Bytes that are not with the operating system yet. */
	get pendingBytes(): number {
		return this.#span.end - this.#written + this.#span.openBytes
	}

	/** Whether another record may be taken over. */
	get hasRoom(): boolean {
		return this.pendingBytes < this.#options.pendingBytesMax
	}

	get pendingRecords(): number {
		return Math.max(0, this.#span.nextSeq - 1 - this.#writtenSeq)
	}

	/** Why nothing more can be acknowledged as on disk. */
	get syncFailure(): MeshChainError | undefined {
		return this.#syncFailure
	}

	/**
	 * Takes one record over.
	 *
	 * @throws {LogAppendError} `PENDING_OVERFLOW` (retryable), `SEQ_NOT_INCREASING`, `APPEND_FAILED`.
	 */
	push(record: LogRecord): void {
		this.#checkRoom(record.seq)
		this.#admit(record)
		if (this.#span.frameIsFull) this.seal()
	}

	/** Takes several records over as one frame: all of them or none. */
	pushBatch(records: readonly LogRecord[]): void {
		const first = records[0]
		if (first === undefined) return
		this.#checkRoom(first.seq)
		this.seal()
		const before = this.#records
		try {
			for (const record of records) this.#admit(record)
		} catch (error) {
			this.#span.discardOpen()
			this.#records = before
			throw error
		}
		this.seal()
	}

	/** Closes the open frame. */
	seal(): void {
		this.#span.seal()
	}

	/**
	 * Gives everything taken over to the operating system.
	 *
	 * @throws {MeshChainError} `WRITE_FAILED`; nothing is lost, and calling again goes on.
	 */
	write(): void {
		this.seal()
		while (this.#written < this.#span.end) this.#writeEntries()
		this.#span.release(this.#written)
	}

	/**
	 * Resolves once everything taken over before this call is on disk. One fdatasync is in flight at a time; calls that come
	 * meanwhile share the next one, and one write before it.
	 *
	 * @throws {MeshChainError} `WRITE_FAILED`; `SYNC_FAILED`, and from then on always: the kernel may have dropped the pages,
	 * so a retry could bless lost bytes.
	 */
	sync(): Promise<void> {
		this.#queuedSync ??= this.#oneSync(() => {
			this.#queuedSync = undefined
			return this.#syncNow()
		})
		return this.#queuedSync
	}

	/** The same at once, for a process that exits. */
	syncOnExit(): void {
		if (this.#syncFailure !== undefined) return
		this.#options.system.fdatasyncSync(this.#fd)
		this.#acknowledge(this.#written, this.#writtenSeq)
	}

	/** Marks the chain as cleanly closed: by `close()`, or by the end of the process with its exit code. */
	markClosed(exitCode: number | undefined): void {
		this.seal()
		this.#span.anchor('closed', exitCode ?? CLOSED_WITHOUT_EXIT)
		this.write()
	}

	/** Lets go of the file and the lock. Nothing works afterwards. */
	close(): void {
		if (!this.#closed) this.#release()
	}

	stats(): ChainWriterStats {
		return {
			records: this.#records,
			frames: this.#span.frames,
			anchors: this.#span.anchors,
			bytes: this.#written,
			writes: this.#writes,
			syncs: this.#syncs,
			pendingRecords: this.pendingRecords,
			pendingBytes: this.pendingBytes,
			writeFailures: this.#writeFailures,
			syncFailures: this.#syncFailures,
			writtenSeq: this.#writtenSeq,
			durableSeq: this.#durableSeq,
			tailCut: this.tailCut,
		}
	}

	#checkRoom(seq: number): void {
		if (this.hasRoom) return
		throw new LogAppendError(
			`${this.pendingRecords} records wait for ${show(this.path)} already, all that pendingBytesMax allows`,
			{ code: 'PENDING_OVERFLOW', retryable: true, path: this.path, seq },
		)
	}

	/** Puts a record into the span, behind a `$gap` for records that this chain was never given. */
	#admit(record: LogRecord): void {
		const expected = this.#span.nextSeq
		if (record.seq < expected) {
			throw new LogAppendError(
				`seq ${record.seq} is not above ${expected - 1}, the last in ${show(this.path)}`,
				{
					code: 'SEQ_NOT_INCREASING',
					retryable: false,
					path: this.path,
					seq: record.seq,
				},
			)
		}
		const firstCovered = firstSeqCovered(record)
		if (firstCovered > expected) this.#push(missingGap(expected, firstCovered - 1, record))
		this.#push(record)
	}

	#push(record: LogRecord): void {
		this.#span.push(record)
		this.#records++
	}

	async #syncNow(): Promise<void> {
		if (this.#syncFailure !== undefined) throw this.#syncFailure
		this.write()
		const offset = this.#written
		const seq = this.#writtenSeq
		if (offset === this.#span.durableOffset && this.#durableSeq === seq) return
		try {
			await this.#options.system.fdatasync(this.#fd)
		} catch (error) {
			this.#syncFailures++
			this.#syncFailure = new MeshChainError(
				'SYNC_FAILED',
				`${show(this.path)} could not be synced: ${messageOf(error)}; records from seq ${this.#durableSeq + 1} on may not survive a power loss: look at the disk, then restart the service`,
				{ path: this.path, seq: this.#durableSeq + 1, cause: error },
			)
			throw this.#syncFailure
		}
		this.#acknowledge(offset, seq)
	}

	#acknowledge(offset: number, seq: number): void {
		this.#syncs++
		this.#span.durableOffset = offset
		this.#durableSeq = seq
		this.#watermark.write(offset, seq)
	}

	/** Writes some whole entries: what a disk that is nearly full takes stays written. */
	#writeEntries(): void {
		const offset = this.#written
		const { bytes, start, end, lastSeq } = this.#span.entriesBorrow(offset, WRITE_BYTES_MAX)
		try {
			writeFully(this.#options.system, this.#fd, bytes, offset, start, end)
		} catch (error) {
			this.#writeFailures++
			this.#cutBack(offset)
			throw this.#writeError(error, offset)
		}
		this.#writes++
		this.#written = offset + end - start
		this.#writtenSeq = Math.max(this.#writtenSeq, lastSeq)
	}

	/** Takes half-written bytes back. Where that fails too they stay, and the next write goes over them. */
	#cutBack(offset: number): void {
		try {
			this.#options.system.ftruncateSync(this.#fd, offset)
		} catch {
			// The same bytes go to the same place with the next write; a reader meanwhile sees a torn tail.
		}
	}

	#writeError(error: unknown, offset: number): MeshChainError {
		const seq = this.#writtenSeq + 1
		const text = `cannot write to ${show(this.path)}: ${messageOf(error)}; ${this.pendingRecords} records wait, from seq ${seq} on`
		return new MeshChainError('WRITE_FAILED', text, { path: this.path, offset, seq, cause: error })
	}

	#release(): void {
		this.#closed = true
		try {
			this.#watermark.close()
			this.#options.system.closeSync(this.#fd)
		} finally {
			this.#lock.release()
		}
	}
}

function lockOrExplain(system: FileSystem, path: string, nowMs: number): Lock {
	try {
		return acquireLock(system, path, nowMs)
	} catch (error) {
		throw unreadable(path, error)
	}
}

/** The first seq that a record speaks for: a `$gap` covers the absent ones before it. */
function firstSeqCovered(record: LogRecord): number {
	if (record.kind !== GAP_KIND || record.origin !== undefined) return record.seq
	const fromSeq = (record.data as GapData | undefined)?.fromSeq
	return typeof fromSeq === 'number' ? Math.min(fromSeq, record.seq) : record.seq
}

function missingGap(fromSeq: number, toSeq: number, next: LogRecord): LogRecord {
	const gap: GapData = { fromSeq, toSeq, count: toSeq - fromSeq + 1, cause: 'appendFailed' }
	return gapRecord(gap, next)
}
