/**
 * Writes a replica of a chain: records keep their seqs and epochs. An opening continues at the end of the
 * file and, unlike in writer.ts, does not start a new epoch.
 *
 * Invariants: the file at the path always contains everything that was committed. Only complete entries are
 * committed. Only the holder of the lock writes.
 */
import { show } from '../../guard/show.ts'
import { MeshChainError, messageOf, unsyncedName } from '../../model/errors.ts'
import { clippedGap, isGap, LOG_LEVELS, type LogRecord } from '../../model/record.ts'
import {
	putFirstInPlace,
	removeTemporaries,
	replaceFile,
	requireSynced,
	temporaryPathOf,
} from '../../platform/atomic-file.ts'
import {
	closeQuietly,
	exists,
	type FileSystem,
	nodeFileSystem,
	O_RDWR,
	type OpenFile,
	openOurs,
	removeQuietly,
	systemCode,
} from '../../platform/file-system.ts'
import { shellWord } from '../../text/shell-word.ts'
import { cutAndKeepAside, cutOff } from '../files/keep-aside.ts'
import type { Lock } from '../files/lock.ts'
import { openError, writablePath } from '../files/open-error.ts'
import { identifyFile, listSegments } from '../files/segments.ts'
import { CLOSED_WITHOUT_EXIT } from '../format/anchor.ts'
import { HEADER_BYTES } from '../format/header.ts'
import { type ChainEnd, readChainEnd } from '../scan/chain-end.ts'
import { rowsOf } from '../scan/frame-rows.ts'
import { type ChainIdentity, NO_LINK } from '../scan/identity.ts'
import { scanRange } from '../scan/scan-range.ts'
import { createSegment } from './create-segment.ts'
import { type CopyContext, copyContext } from './segment-context.ts'
import { SegmentFile } from './segment-file.ts'
import { startOfFile } from './tail-buffer.ts'
import { releaseQuietly, takeLock } from './writer-lock.ts'

/** Number of buffered bytes that triggers a write. */
const HELD_BYTES_MAX = 256 * 1024
/**
 * Number of bytes written between two syncs. Limits how much a power loss can damage and how much an opening
 * scans.
 */
const UNSYNCED_BYTES_MAX = 16 * 1024 * 1024

export interface ReplicaWriterOptions {
	/** Id of the chain, in hexadecimal. */
	readonly chainId: string
	/** Permissions of a new file. Default: `0o600`. */
	readonly mode?: number | undefined
	readonly fs?: FileSystem | undefined
}

/** The bytes from the first invalid entry to the end of the file. They are cut before the next write. */
interface Cut {
	readonly offset: number
	readonly bytes: number
	/** Whether the bytes are only the beginning of an entry, which was never committed. */
	readonly isTorn: boolean
}

export class ReplicaWriter {
	readonly path: string
	readonly #system: FileSystem
	readonly #chainId: string
	readonly #mode: number
	readonly #lock: Lock
	readonly #context: CopyContext
	#file: SegmentFile | undefined
	#cut: Cut | undefined
	/** Whether the last entry of the file is a closing anchor. */
	#isClosed = true
	/** Whether this writer's opening anchor is in the file. */
	#isOpen = false
	/** Path of a new file that has not yet replaced the old one. */
	#temporary: string | undefined

	/**
	 * Opens the file. If the file does not exist, the first record creates it.
	 *
	 * @throws {MeshChainError} `CHAIN_DAMAGED`, `CHAIN_LOCKED`, `CHAIN_UNWRITABLE`, `INVALID_PATH`,
	 * `CHAIN_MISMATCH` if the file belongs to another chain or has its own writer, or the same errors as
	 * `identify` if the file is not a chain. In all cases, the file is left unchanged.
	 */
	constructor(path: string, { chainId, mode = 0o600, fs = nodeFileSystem }: ReplicaWriterOptions) {
		this.path = writablePath(path, fs)
		this.#system = fs
		this.#chainId = chainId
		this.#mode = mode
		this.#context = copyContext(fs, 0)
		this.#lock = takeLock(fs, this.path, { nowMs: Date.now(), mode })
		try {
			removeTemporaries(fs, this.path)
			this.#open()
		} catch (error) {
			releaseQuietly(this.#lock)
			throw openError(this.path, error)
		}
	}

	/** Epoch of the last record; 0 before the first record of a new file. */
	get epoch(): number {
		return this.#context.writer.epoch
	}

	/** Expected seq of the next record. */
	get nextSeq(): number {
		return this.#file?.tail.nextSeq ?? 1
	}

	/**
	 * Whether a {@link rewind} has not been committed yet. Until then, the file at the path keeps its records.
	 */
	get isRewound(): boolean {
		return this.#temporary !== undefined
	}

	/**
	 * Appends the next record. The caller ensures that seqs increase and epochs never decrease.
	 *
	 * @throws {LogAppendError} If no chain can contain the record.
	 * @throws {MeshChainError} `CHAIN_UNWRITABLE`
	 */
	push(record: LogRecord): void {
		this.#guarded(() => {
			this.#file ??= this.#create(record.epoch)
			this.#openEpoch(record.epoch)
			const { tail } = this.#file
			tail.push(record)
			if (isGap(record) || tail.frameIsFull) tail.seal()
			if (this.#file.pendingBytes >= HELD_BYTES_MAX) this.#write()
		})
	}

	/**
	 * Writes everything that is pending. After a {@link rewind}, also replaces the old file with the new one.
	 *
	 * @throws {MeshChainError} `CHAIN_UNWRITABLE`
	 */
	commit(): void {
		this.#guarded(() => {
			if (this.#file === undefined || !this.#isOpen) return
			this.#write()
			if (this.#temporary === undefined) return
			this.#file.syncNow()
			const placed = replaceFile(this.#system, this.#temporary, this.path)
			this.#temporary = undefined
			requireSynced(placed)
		})
	}

	/**
	 * Creates a new file that contains only the records before a seq. The next {@link commit} replaces the old
	 * file with the new one.
	 *
	 * @param gone Called, in order, with each record that the new file does not contain.
	 * @throws {MeshChainError} `CHAIN_UNWRITABLE`, or `CHAIN_DAMAGED` if part of the file cannot be read. In
	 * both cases, the file at the path keeps its records.
	 */
	rewind(seq: number, gone: (record: LogRecord) => void): void {
		this.commit()
		this.#guarded(() => {
			const old = this.#file!
			const { written } = old
			this.#takeCut()
			this.#temporary = temporaryPathOf(this.path)
			const place = { path: this.#temporary, mode: this.#mode }
			this.#file = SegmentFile.create(
				this.#context,
				place,
				this.#header(old.identity.createdMs ?? 0),
				newFileStart(),
			)
			this.#context.writer.epoch = 0
			this.#isOpen = false
			this.#isClosed = true
			try {
				this.#copy(old, written, seq, gone)
			} finally {
				old.close()
			}
		})
	}

	/**
	 * Writes everything and a closing anchor, and syncs the file. Does nothing if there is no file, or if the
	 * file already ends with a closing anchor.
	 *
	 * @throws {MeshChainError} `CHAIN_UNWRITABLE`
	 */
	finish(): void {
		this.#guarded(() => {
			if (this.#file === undefined || (!this.#isOpen && this.#isClosed && this.#cut === undefined)) return
			this.#openEpoch(this.epoch)
			this.#write()
			// The closing anchor records how much is on disk, so everything before it must be on disk first.
			this.#file.syncNow()
			this.#file.tail.anchor('closed', CLOSED_WITHOUT_EXIT)
			this.commit()
			this.#file.syncNow()
			this.#isOpen = false
			this.#isClosed = true
		})
	}

	/** Closes the file and releases the lock. Uncommitted records are discarded. */
	release(): void {
		this.#file?.close()
		if (this.#temporary !== undefined) removeQuietly(this.#system, this.#temporary)
		this.#temporary = undefined
		try {
			this.#lock.release(this.#isClosed ? 'closed' : 'unclosed')
		} catch {
			// A leftover lock file that no process holds is harmless.
		}
	}

	#open(): void {
		const file = this.#openExisting()
		if (file === undefined) return
		try {
			const identity = identifyFile(file, this.path)
			this.#refuseForeign(identity)
			const end = this.#endOf(file, identity)
			const { anchor, tail } = end
			this.#isClosed = anchor?.reason === 'closed' && tail.length === 0 && this.#cut === undefined
			this.#context.writer.epoch = Math.max(1, end.epoch)
			const start = { ...end, keptFromSeq: anchor?.keptFromSeq ?? 1 }
			this.#file = new SegmentFile(this.#context, file, identity, start)
		} catch (error) {
			closeQuietly(file.system, file.fd)
			throw error
		}
	}

	#openExisting(): OpenFile | undefined {
		const system = this.#system
		try {
			return { system, fd: openOurs(system, this.path, O_RDWR) }
		} catch (error) {
			if (systemCode(error) === 'ENOENT') return undefined
			throw error
		}
	}

	/**
	 * Returns the end of the valid part of the file. The bytes after it are cut before the next write. After
	 * the offset of the last sync, a killed process may have left a torn entry, and a power loss may have left
	 * holes.
	 */
	#endOf(file: OpenFile, identity: ChainIdentity): ChainEnd {
		const { size } = file.system.fstatSync(file.fd)
		const end = readChainEnd(file, size, identity)
		const from = Math.max(HEADER_BYTES, end.anchor?.durableOffset ?? 0)
		if (end.hole !== undefined && end.hole < from) throw this.#damaged(end.hole)
		let cut: Cut | undefined
		scanRange(file, identity.idChecksum, { from, to: size }, (entry) => {
			if (entry.type !== 'bad') return
			cut ??= { offset: entry.place.offset, bytes: size - entry.place.offset, isTorn: entry.place.torn }
		})
		this.#cut = cut
		return cut === undefined ? end : readChainEnd(file, cut.offset, identity)
	}

	#refuseForeign(identity: ChainIdentity): void {
		const refused = (why: string) =>
			new MeshChainError('CHAIN_MISMATCH', `${show(this.path)} ${why}: the file was not changed`, {
				path: this.path,
			})
		if (identity.idHex !== this.#chainId)
			throw refused(`belongs to the chain ${identity.idHex}, not to ${this.#chainId}`)
		if (identity.headerDamaged) throw this.#damaged(0)
		const isWritten =
			identity.segment > 0 ||
			exists(this.#system, `${this.path}.durable`) ||
			listSegments(this.#system, this.path, identity.id).length > 0
		if (isWritten) throw refused('has its own writer')
	}

	#damaged(offset: number): MeshChainError {
		const text =
			`${show(this.path)} is damaged at offset ${offset} and was not changed; next: ` +
			`mesh-chain verify ${shellWord(this.path)}`
		return new MeshChainError('CHAIN_DAMAGED', text, { path: this.path, offset })
	}

	#create(epoch: number): SegmentFile {
		this.#context.writer.epoch = epoch
		const { file } = createSegment(
			this.#context,
			{ path: this.path, mode: this.#mode },
			{ ...this.#header(0), ...newFileStart() },
			{
				fill: ({ tail }) => tail.anchor('opened', 0),
				putInPlace: (temporary) => {
					const placed = putFirstInPlace(this.#system, temporary, this.path)
					if (placed.unsynced !== undefined)
						throw unsyncedName('CHAIN_UNWRITABLE', this.path, placed.unsynced)
					return placed
				},
			},
		)
		this.#isOpen = true
		this.#isClosed = false
		return file
	}

	#header(createdMs: number) {
		return {
			chainId: Buffer.from(this.#chainId, 'hex'),
			segment: 0,
			firstSeq: 1,
			previousEnd: 0,
			previousLink: NO_LINK,
			createdMs,
		}
	}

	/**
	 * Starts an epoch unless it is already open. Every epoch has an opening anchor and a closing anchor. An
	 * epoch that another process continues gets a further opening anchor.
	 */
	#openEpoch(epoch: number): void {
		if (this.#isOpen && epoch === this.epoch) return
		const { tail } = this.#file!
		const cutBytes = this.#takeCut()
		tail.seal()
		if (epoch !== this.epoch && !this.#isClosed) tail.anchor('closed', CLOSED_WITHOUT_EXIT)
		this.#context.writer.epoch = epoch
		tail.anchor('opened', cutBytes)
		this.#isOpen = true
		this.#isClosed = false
	}

	#takeCut(): number {
		if (this.#cut === undefined) return 0
		const { offset, bytes, isTorn } = this.#cut
		const { handle } = this.#file!
		if (isTorn) cutOff(handle, offset)
		else cutAndKeepAside(this.path, handle, offset, bytes)
		this.#cut = undefined
		return bytes
	}

	#copy(old: SegmentFile, end: number, seq: number, gone: (record: LogRecord) => void): void {
		const { idChecksum } = old.identity
		scanRange(old.handle, idChecksum, { from: HEADER_BYTES, to: end }, (entry) => {
			if (entry.type === 'anchor') return
			const rows = entry.type === 'frame' ? rowsOf(entry.frame) : undefined
			if (rows === undefined)
				throw this.#damaged(entry.type === 'frame' ? entry.frame.offset : entry.place.offset)
			for (const record of rows) {
				if (record.seq < seq) this.push(record)
				else if (isGap(record) && record.data!.fromSeq < seq)
					this.push(clippedGap(record, { toSeq: seq - 1 }))
				else gone(record)
			}
		})
	}

	#write(): void {
		const file = this.#file!
		file.write()
		if (file.written - file.durableOffset >= UNSYNCED_BYTES_MAX) file.syncNow()
	}

	#guarded(work: () => void): void {
		try {
			work()
		} catch (error) {
			if (error instanceof MeshChainError) throw error
			const text = `cannot write to ${show(this.path)}: ${messageOf(error)}; earlier writes are in the file`
			throw new MeshChainError('CHAIN_UNWRITABLE', text, { path: this.path, cause: error })
		}
	}
}

function newFileStart() {
	return startOfFile({ nextSeq: 1, levelCounts: LOG_LEVELS.map(() => 0), keptFromSeq: 1 })
}
