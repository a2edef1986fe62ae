/**
 * Writes a whole chain at once, from records that have their seqs and epochs already: all of it gets its name, or nothing does.
 * The lock is held meanwhile, as by any writer.
 */
import { randomBytes } from 'node:crypto'
import { show } from '../../guard/show.ts'
import { LogAppendError, MeshChainError } from '../../model/errors.ts'
import { GAP_KIND, gapRecord, isGap, LOG_LEVELS, type LogRecord } from '../../model/record.ts'
import { exists, type FileSystem, nodeFileSystem, systemCode } from '../../platform/file-system.ts'
import { bootId } from '../files/boot-id.ts'
import type { Lock } from '../files/lock.ts'
import {
	putFirstInPlace,
	removeQuietly,
	removeTemporaries,
	temporaryPathOf,
	unreadable,
	unsyncedName,
	writablePath,
} from '../files/names.ts'
import { listSegments } from '../files/segments.ts'
import { CLOSED_WITHOUT_EXIT } from '../format/anchor.ts'
import { CHAIN_ID_BYTES } from '../format/header.ts'
import { NO_LINK } from '../scan/identity.ts'
import { SegmentFile } from './segment-file.ts'
import { firstSeqCovered } from './seq-check.ts'
import { startOfFile } from './tail-buffer.ts'
import { releaseQuietly, takeLock } from './writer-lock.ts'

/** What waits in memory before it is written. */
const HELD_BYTES_MAX = 256 * 1024

export interface ChainBuilderOptions {
	/** Permissions of the file. Default `0o600`. */
	readonly mode?: number
	/** In hexadecimal. Default: one of its own. A copy of records that keep their identity has the id of their chain. */
	readonly chainId?: string
	readonly fs?: FileSystem
}

export class ChainBuilder {
	readonly path: string
	readonly #system: FileSystem
	readonly #lock: Lock
	readonly #temporary: string
	readonly #file: SegmentFile
	#epoch = 0
	#gapRecords = 0
	#records = 0

	/** @throws {MeshChainError} `CHAIN_EXISTS`, `CHAIN_LOCKED`, `CHAIN_UNREADABLE`, `INVALID_PATH`. */
	constructor(path: string, { mode = 0o600, chainId, fs = nodeFileSystem }: ChainBuilderOptions = {}) {
		this.path = writablePath(path, fs)
		this.#system = fs
		this.#lock = takeLock(fs, this.path, Date.now(), 0)
		this.#temporary = temporaryPathOf(this.path)
		try {
			this.#refuseExisting()
			removeTemporaries(fs, this.path)
			this.#file = this.#begin(
				mode,
				chainId === undefined ? randomBytes(CHAIN_ID_BYTES) : Buffer.from(chainId, 'hex'),
			)
		} catch (error) {
			releaseQuietly(this.#lock)
			throw unreadable(this.path, error)
		}
	}

	/** Records so far, gaps not counted. */
	get records(): number {
		return this.#records
	}

	/** Records that were never given, and that a `$gap` stands for. */
	get missing(): number {
		return this.#gapRecords
	}

	/**
	 * Takes the record that comes next, with the seq and epoch that it has. Where seqs are missing before it, a `$gap` says so.
	 *
	 * @throws {LogAppendError} not retryable, and the record is not in the chain: `SEQ_NOT_INCREASING` when its seq, or its epoch, is not
	 * behind those before; `APPEND_FAILED`, `BATCH_TOO_LARGE` when no chain can hold it.
	 * @throws {MeshChainError} `CHAIN_UNREADABLE` when it cannot be written.
	 */
	push(record: LogRecord): void {
		const { span } = this.#file
		const from = firstSeqCovered(record, this.path)
		if (from < span.nextSeq || record.epoch < this.#epoch) throw this.#outOfOrder(record, from)
		if (record.epoch > this.#epoch) this.#open(record.epoch)
		if (from > span.nextSeq) this.#missing(record, from)
		span.push(record)
		if (isGap(record)) span.seal()
		else this.#records++
		if (span.frameIsFull) span.seal()
		if (this.#file.pendingBytes >= HELD_BYTES_MAX) this.#write()
	}

	/**
	 * Puts everything on disk and gives it its name.
	 *
	 * @throws {MeshChainError} `CHAIN_EXISTS` when somebody made a file of that name meanwhile; `CHAIN_UNREADABLE`: nothing is there then,
	 * unless the message says that the chain is.
	 */
	finish(): void {
		try {
			if (this.#epoch === 0) this.#open(1)
			// The mark of the end says how much is on disk: what it says must be true by then.
			this.#file.write()
			this.#file.syncNow()
			this.#file.span.anchor('closed', CLOSED_WITHOUT_EXIT)
			this.#file.write()
			this.#file.syncNow()
			const { unsynced } = putFirstInPlace(this.#system, this.#temporary, this.path)
			if (unsynced !== undefined) throw unsyncedName('CHAIN_UNREADABLE', this.path, unsynced)
		} catch (error) {
			if (systemCode(error) === 'EEXIST') throw existing(this.path)
			throw unreadable(this.path, error)
		} finally {
			this.discard()
		}
	}

	/** Leaves nothing behind. Does nothing after {@link finish}. */
	discard(): void {
		this.#file.close()
		removeQuietly(this.#system, this.#temporary)
		try {
			// Whole or not there: no chain is left unclosed.
			this.#lock.release(false)
		} catch {
			// The file of a lock that nobody holds is untidy, not wrong.
		}
	}

	#begin(mode: number, chainId: Uint8Array): SegmentFile {
		const header = {
			chainId,
			segment: 0,
			firstSeq: 1,
			previousEnd: 0,
			previousLink: NO_LINK,
			createdMs: Date.now(),
		}
		const levelCounts = LOG_LEVELS.map(() => 0)
		const start = startOfFile({ nextSeq: 1, levelCounts, keptFromSeq: 1 })
		const epoch = () => this.#epoch
		const context = {
			system: this.#system,
			writer: {
				get epoch() {
					return epoch()
				},
				bootId: bootId(this.#system),
				clock: Date.now,
			},
			counts: { writes: 0, writeFailures: 0, syncs: 0, syncFailures: 0 },
			keepUnsynced: false,
		}
		return SegmentFile.create(context, { path: this.#temporary, mode }, header, start)
	}

	/** Every epoch has its opening and its end, as if this writer had opened the chain so often. */
	#open(epoch: number): void {
		const { span } = this.#file
		span.seal()
		if (this.#epoch > 0) span.anchor('closed', CLOSED_WITHOUT_EXIT)
		this.#epoch = epoch
		span.anchor('opened', 0)
	}

	#missing(record: LogRecord, from: number): void {
		const { span } = this.#file
		const count = from - span.nextSeq
		this.#gapRecords += count
		span.push(gapRecord({ fromSeq: span.nextSeq, toSeq: from - 1, count, cause: 'notImported' }, record))
		span.seal()
	}

	#write(): void {
		try {
			this.#file.write()
		} catch (error) {
			throw unreadable(this.path, error)
		}
	}

	#refuseExisting(): void {
		const isThere = exists(this.#system, this.path) || exists(this.#system, `${this.path}.durable`)
		if (isThere || listSegments(this.#system, this.path, undefined).length > 0) throw existing(this.path)
	}

	#outOfOrder(record: LogRecord, from: number): LogAppendError {
		const { nextSeq } = this.#file.span
		const text =
			record.epoch < this.#epoch
				? `seq ${record.seq} is of epoch ${record.epoch}, behind epoch ${this.#epoch}`
				: `${record.kind === GAP_KIND ? `a gap from seq ${from} on` : `seq ${from}`} is not above ${nextSeq - 1}, the last in ${show(this.path)}`
		return new LogAppendError(text, {
			code: 'SEQ_NOT_INCREASING',
			retryable: false,
			path: this.path,
			seq: record.seq,
		})
	}
}

function existing(path: string): MeshChainError {
	return new MeshChainError(
		'CHAIN_EXISTS',
		`${show(path)} is a chain already, or parts of one lie beside it: name a new file`,
		{ path },
	)
}
