/**
 * Writes a complete chain from records that already have seqs and epochs. The chain appears at its path only
 * after all of it is on disk. Like any writer, the builder holds the lock until it finishes.
 */
import { randomBytes } from 'node:crypto'
import { show } from '../../guard/show.ts'
import { LogAppendError, MeshChainError, unsyncedName } from '../../model/errors.ts'
import { GAP_KIND, gapRecord, isGap, LOG_LEVELS, type LogRecord } from '../../model/record.ts'
import { putFirstInPlace, removeTemporaries, temporaryPathOf } from '../../platform/atomic-file.ts'
import {
	exists,
	type FileSystem,
	nodeFileSystem,
	removeQuietly,
	systemCode,
} from '../../platform/file-system.ts'
import type { Lock } from '../files/lock.ts'
import { openError, writablePath } from '../files/open-error.ts'
import { listSegments } from '../files/segments.ts'
import { CLOSED_WITHOUT_EXIT } from '../format/anchor.ts'
import { CHAIN_ID_BYTES } from '../format/header.ts'
import { NO_LINK } from '../scan/identity.ts'
import { firstSeqCovered } from './gap-before.ts'
import { type CopyContext, copyContext } from './segment-context.ts'
import { SegmentFile } from './segment-file.ts'
import { startOfFile } from './tail-buffer.ts'
import { releaseQuietly, takeLock } from './writer-lock.ts'

/** Number of buffered bytes that triggers a write. */
const HELD_BYTES_MAX = 256 * 1024

export interface ChainBuilderOptions {
	/** Permissions of the file. Default: `0o600`. */
	readonly mode?: number | undefined
	/**
	 * Id of the chain, in hexadecimal. Default: a new id. A copy in which records keep their identity must have
	 * the same id as the copied chain.
	 */
	readonly chainId?: string | undefined
	readonly fs?: FileSystem | undefined
}

export class ChainBuilder {
	readonly path: string
	readonly #system: FileSystem
	readonly #lock: Lock
	readonly #temporary: string
	readonly #file: SegmentFile
	readonly #context: CopyContext
	#gapRecords = 0
	#records = 0

	/**
	 * Locks the chain and creates a temporary file.
	 *
	 * @throws {MeshChainError} `CHAIN_EXISTS`, `CHAIN_LOCKED`, `CHAIN_UNWRITABLE`, `INVALID_PATH`.
	 */
	constructor(path: string, { mode = 0o600, chainId, fs = nodeFileSystem }: ChainBuilderOptions = {}) {
		this.path = writablePath(path, fs)
		this.#system = fs
		this.#lock = takeLock(fs, this.path, { nowMs: Date.now() })
		this.#temporary = temporaryPathOf(this.path)
		this.#context = copyContext(fs, 0)
		try {
			this.#refuseExisting()
			removeTemporaries(fs, this.path)
			this.#file = this.#begin(
				mode,
				chainId === undefined ? randomBytes(CHAIN_ID_BYTES) : Buffer.from(chainId, 'hex'),
			)
		} catch (error) {
			releaseQuietly(this.#lock)
			throw openError(this.path, error)
		}
	}

	/** Number of records so far, not counting gaps. */
	get records(): number {
		return this.#records
	}

	/** Number of missing records for which the builder added `$gap`s. */
	get missing(): number {
		return this.#gapRecords
	}

	/**
	 * Appends the next record with its own seq and epoch. If seqs are missing before it, a `$gap` covers
	 * them.
	 *
	 * @throws {LogAppendError} `SEQ_NOT_INCREASING` if the seq does not increase or the epoch decreases, or
	 * `APPEND_FAILED` or `BATCH_TOO_LARGE` if no chain can contain the record. The error is not retryable, and
	 * the record is not in the chain.
	 * @throws {MeshChainError} `CHAIN_UNWRITABLE` if the record cannot be written.
	 */
	push(record: LogRecord): void {
		const { tail } = this.#file
		const from = firstSeqCovered(record, this.path)
		if (from < tail.nextSeq || record.epoch < this.#context.writer.epoch) throw this.#outOfOrder(record, from)
		if (record.epoch > this.#context.writer.epoch) this.#open(record.epoch)
		if (from > tail.nextSeq) this.#missing(record, from)
		tail.push(record)
		if (isGap(record)) tail.seal()
		else this.#records++
		if (tail.frameIsFull) tail.seal()
		if (this.#file.pendingBytes >= HELD_BYTES_MAX) this.#write()
	}

	/**
	 * Syncs everything, and moves the chain to its path.
	 *
	 * @throws {MeshChainError} `CHAIN_EXISTS` if another program has created a file at the path, or
	 * `CHAIN_UNWRITABLE` if a file operation fails. No file is left behind, unless the message states
	 * otherwise.
	 */
	finish(): void {
		try {
			if (this.#context.writer.epoch === 0) this.#open(1)
			// The closing anchor records how much is on disk, so everything before it must be on disk first.
			this.#file.write()
			this.#file.syncNow()
			this.#file.tail.anchor('closed', CLOSED_WITHOUT_EXIT)
			this.#file.write()
			this.#file.syncNow()
			const { unsynced } = putFirstInPlace(this.#system, this.#temporary, this.path)
			if (unsynced !== undefined) throw unsyncedName('CHAIN_UNWRITABLE', this.path, unsynced)
		} catch (error) {
			if (systemCode(error) === 'EEXIST') throw existing(this.path)
			throw openError(this.path, error)
		} finally {
			this.discard()
		}
	}

	/** Removes everything that was written, and releases the lock. Does nothing after {@link finish}. */
	discard(): void {
		this.#file.close()
		removeQuietly(this.#system, this.#temporary)
		try {
			// The chain is either complete or absent, so no unclosed chain is left.
			this.#lock.release('closed')
		} catch {
			// A leftover lock file that no process holds is harmless.
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
		return SegmentFile.create(this.#context, { path: this.#temporary, mode }, header, start)
	}

	/**
	 * Starts an epoch. Every epoch has an opening anchor and a closing anchor, as if a writer had opened the
	 * chain for that epoch.
	 */
	#open(epoch: number): void {
		const { tail } = this.#file
		tail.seal()
		if (this.#context.writer.epoch > 0) tail.anchor('closed', CLOSED_WITHOUT_EXIT)
		this.#context.writer.epoch = epoch
		tail.anchor('opened', 0)
	}

	#missing(record: LogRecord, from: number): void {
		const { tail } = this.#file
		const count = from - tail.nextSeq
		this.#gapRecords += count
		tail.push(gapRecord({ fromSeq: tail.nextSeq, toSeq: from - 1, count, cause: 'notImported' }, record))
		tail.seal()
	}

	#write(): void {
		try {
			this.#file.write()
		} catch (error) {
			throw openError(this.path, error)
		}
	}

	#refuseExisting(): void {
		const isThere = exists(this.#system, this.path) || exists(this.#system, `${this.path}.durable`)
		if (isThere || listSegments(this.#system, this.path, undefined).length > 0) throw existing(this.path)
	}

	#outOfOrder(record: LogRecord, from: number): LogAppendError {
		const { nextSeq } = this.#file.tail
		const text =
			record.epoch < this.#context.writer.epoch
				? `seq ${record.seq} is in epoch ${record.epoch}, but follows epoch ${this.#context.writer.epoch}`
				: `${record.kind === GAP_KIND ? `a gap that starts at seq ${from}` : `seq ${from}`} is not ` +
					`above ${nextSeq - 1}, the last seq in ${show(this.path)}`
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
		`${show(path)} already exists, or other files of a chain are beside it: choose another path`,
		{ path },
	)
}
