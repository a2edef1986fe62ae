/**
 * Writes the file of a chain whose records have their seqs and epochs already, and goes on with it where it ends: a copy that grows. An opening is no
 * new epoch here, as it is for a writer of its own (writer.ts), since epochs are those of the records.
 *
 * Invariants: the name of the file leads to all that was there before, or to more; only whole entries count; whoever holds the lock writes.
 */
import { dirname } from 'node:path'
import { show } from '../../guard/show.ts'
import { MeshChainError, messageOf } from '../../model/errors.ts'
import { gapRecord, isGap, LOG_LEVELS, type LogRecord } from '../../model/record.ts'
import {
	closeQuietly,
	exists,
	type FileSystem,
	nodeFileSystem,
	O_RDWR,
	openOurs,
	syncDirectory,
	systemCode,
} from '../../platform/file-system.ts'
import { shellWord } from '../../text/shell-word.ts'
import { bootId } from '../files/boot-id.ts'
import type { Lock } from '../files/lock.ts'
import {
	keepAside,
	putFirstInPlace,
	removeQuietly,
	removeTemporaries,
	temporaryPathOf,
	unreadable,
	unsyncedName,
	writablePath,
} from '../files/names.ts'
import { identifyFile, listSegments } from '../files/segments.ts'
import { CLOSED_WITHOUT_EXIT } from '../format/anchor.ts'
import { HEADER_BYTES } from '../format/header.ts'
import { type ChainEnd, readChainEnd, scanRange } from '../scan/chain-end.ts'
import { rowsOf } from '../scan/frame-rows.ts'
import { type ChainIdentity, NO_LINK } from '../scan/identity.ts'
import { createSegment } from './create-segment.ts'
import { type SegmentContext, SegmentFile } from './segment-file.ts'
import { startOfFile } from './tail-buffer.ts'
import { releaseQuietly, takeLock } from './writer-lock.ts'

/** What waits in memory before it is written. */
const HELD_BYTES_MAX = 256 * 1024
/** So much is written between two syncs: what a power loss can damage, and what an opening looks through. */
const UNSYNCED_BYTES_MAX = 16 * 1024 * 1024

export interface ReplicaWriterOptions {
	/** In hexadecimal. */
	readonly chainId: string
	/** Permissions of a new file. Default `0o600`. */
	readonly mode?: number
	readonly fs?: FileSystem
}

/** Bytes at the end of the file that are no entries, and go before anything else is written. */
interface Cut {
	readonly offset: number
	readonly bytes: number
	/** Only the beginning of an entry: never whole, never anybody's. */
	readonly isTorn: boolean
}

export class ReplicaWriter {
	readonly path: string
	readonly #system: FileSystem
	readonly #chainId: string
	readonly #mode: number
	readonly #lock: Lock
	readonly #context: SegmentContext
	#file: SegmentFile | undefined
	#epoch = 0
	#cut: Cut | undefined
	/** The last thing in the file is the mark of a clean end. */
	#isClosed = true
	/** This writer's mark stands in the file. */
	#isOpen = false
	/** Where a file is that has not taken the place of the one before yet. */
	#temporary: string | undefined

	/**
	 * A file that is not there is made with the first record.
	 *
	 * @throws {MeshChainError} `CHAIN_MISMATCH` for a file of another chain, or with a writer of its own; `CHAIN_DAMAGED`, `CHAIN_LOCKED`,
	 * `CHAIN_UNREADABLE`, `INVALID_PATH`, and what a file throws that is no chain. It is left as it is.
	 */
	constructor(path: string, { chainId, mode = 0o600, fs = nodeFileSystem }: ReplicaWriterOptions) {
		this.path = writablePath(path, fs)
		this.#system = fs
		this.#chainId = chainId
		this.#mode = mode
		const epoch = () => this.#epoch
		this.#context = {
			system: fs,
			writer: {
				get epoch() {
					return epoch()
				},
				bootId: bootId(fs),
				clock: Date.now,
			},
			counts: { writes: 0, writeFailures: 0, syncs: 0, syncFailures: 0 },
			keepUnsynced: false,
		}
		this.#lock = takeLock(fs, this.path, Date.now(), 0, mode)
		try {
			removeTemporaries(fs, this.path)
			this.#open()
		} catch (error) {
			releaseQuietly(this.#lock)
			throw unreadable(this.path, error)
		}
	}

	/** Of the last record, or 0. */
	get epoch(): number {
		return this.#epoch
	}

	/** The seq that comes next if nothing is missing. */
	get nextSeq(): number {
		return this.#file?.span.nextSeq ?? 1
	}

	/** Since a {@link rewind} nothing was committed: the file is what it was before. */
	get isRewound(): boolean {
		return this.#temporary !== undefined
	}

	/**
	 * Takes the record that comes next, in its seq and its epoch: whoever calls has seen to that.
	 *
	 * @throws {LogAppendError} where no chain can hold it. @throws {MeshChainError} `CHAIN_UNREADABLE`
	 */
	push(record: LogRecord): void {
		this.#guarded(() => {
			this.#file ??= this.#create(record.epoch)
			this.#openEpoch(record.epoch)
			const { span } = this.#file
			span.push(record)
			if (isGap(record) || span.frameIsFull) span.seal()
			if (this.#file.pendingBytes >= HELD_BYTES_MAX) this.#write()
		})
	}

	/** Gives everything to the operating system, and its name to a file that was made anew. @throws {MeshChainError} `CHAIN_UNREADABLE` */
	commit(): void {
		this.#guarded(() => {
			if (this.#file === undefined || !this.#isOpen) return
			this.#write()
			if (this.#temporary === undefined) return
			this.#file.syncNow()
			this.#system.renameSync(this.#temporary, this.path)
			this.#temporary = undefined
			syncDirectory(this.#system, dirname(this.path))
		})
	}

	/**
	 * Goes back to where only what is before a seq is in the chain. The file is made anew beside the one that is there, and takes its place, whole,
	 * with the next {@link commit}.
	 *
	 * @param gone is given each record that is not in the new file, in order.
	 * @throws {MeshChainError} `CHAIN_DAMAGED` where not all of the file can be read; `CHAIN_UNREADABLE`. The file is left as it is.
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
				this.#header(old.identity.createdMs),
				newFileStart(),
			)
			this.#epoch = 0
			this.#isOpen = false
			this.#isClosed = true
			try {
				this.#copy(old, written, seq, gone)
			} finally {
				old.close()
			}
		})
	}

	/** Puts everything on disk, with the mark of a clean end. Does nothing where nothing has changed. @throws {MeshChainError} `CHAIN_UNREADABLE` */
	finish(): void {
		this.#guarded(() => {
			if (this.#file === undefined || (!this.#isOpen && this.#isClosed && this.#cut === undefined)) return
			this.#openEpoch(this.#epoch)
			this.#write()
			// What the mark says of the disk must be true by then.
			this.#file.syncNow()
			this.#file.span.anchor('closed', CLOSED_WITHOUT_EXIT)
			this.commit()
			this.#file.syncNow()
			this.#isOpen = false
			this.#isClosed = true
		})
	}

	/** Lets go of the file; what is not committed is not in it. */
	release(): void {
		this.#file?.close()
		if (this.#temporary !== undefined) removeQuietly(this.#system, this.#temporary)
		this.#temporary = undefined
		try {
			this.#lock.release(!this.#isClosed)
		} catch {
			// The file of a lock that nobody holds is untidy, not wrong.
		}
	}

	#open(): void {
		const fd = this.#openExisting()
		if (fd === undefined) return
		try {
			const identity = identifyFile(this.#system, fd, this.path)
			this.#refuseForeign(identity)
			const end = this.#endOf(fd, identity)
			const { anchor, tail } = end
			this.#isClosed = anchor?.reason === 'closed' && tail.length === 0 && this.#cut === undefined
			this.#epoch = Math.max(1, end.epoch)
			const start = { ...end, keptFromSeq: anchor?.keptFromSeq ?? 1 }
			this.#file = new SegmentFile(this.#context, fd, identity, start)
		} catch (error) {
			closeQuietly(this.#system, fd)
			throw error
		}
	}

	#openExisting(): number | undefined {
		try {
			return openOurs(this.#system, this.path, O_RDWR)
		} catch (error) {
			if (systemCode(error) === 'ENOENT') return undefined
			throw error
		}
	}

	/** Where what can be trusted ends: what is behind the last sync, a kill may have torn, and a power loss may have left holes in. */
	#endOf(fd: number, identity: ChainIdentity): ChainEnd {
		const { size } = this.#system.fstatSync(fd)
		const end = readChainEnd(this.#system, fd, size, identity)
		const from = Math.max(HEADER_BYTES, end.anchor?.durableOffset ?? 0)
		if (end.hole !== undefined && end.hole < from) throw this.#damaged(end.hole)
		let cut: Cut | undefined
		scanRange(this.#system, fd, identity.idChecksum, from, size, (entry) => {
			if (entry.type !== 'bad') return
			cut ??= { offset: entry.place.offset, bytes: size - entry.place.offset, isTorn: entry.place.torn }
		})
		this.#cut = cut
		return cut === undefined ? end : readChainEnd(this.#system, fd, cut.offset, identity)
	}

	#refuseForeign(identity: ChainIdentity): void {
		const refused = (why: string) =>
			new MeshChainError('CHAIN_MISMATCH', `${show(this.path)} ${why}: it is left as it is`, {
				path: this.path,
			})
		if (identity.idHex !== this.#chainId)
			throw refused(`is of the chain ${identity.idHex}, and not of ${this.#chainId}`)
		if (identity.headerDamaged) throw this.#damaged(0)
		const isWritten =
			identity.segment > 0 ||
			exists(this.#system, `${this.path}.durable`) ||
			listSegments(this.#system, this.path, identity.id).length > 0
		if (isWritten) throw refused('has a writer of its own')
	}

	#damaged(offset: number): MeshChainError {
		const text = `${show(this.path)} is damaged at offset ${offset}, and left as it is; next: mesh-chain verify ${shellWord(this.path)}`
		return new MeshChainError('CHAIN_DAMAGED', text, { path: this.path, offset })
	}

	#create(epoch: number): SegmentFile {
		this.#epoch = epoch
		const { file } = createSegment(
			this.#context,
			{ path: this.path, mode: this.#mode },
			{ ...this.#header(0), ...newFileStart() },
			({ span }) => span.anchor('opened', 0),
			(temporary) => {
				const placed = putFirstInPlace(this.#system, temporary, this.path)
				if (placed.unsynced !== undefined) throw unsyncedName('CHAIN_UNREADABLE', this.path, placed.unsynced)
				return placed
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

	/** Every epoch has its opening and its end; an epoch that goes on in another process is opened once more. */
	#openEpoch(epoch: number): void {
		if (this.#isOpen && epoch === this.#epoch) return
		const { span } = this.#file!
		const cutBytes = this.#takeCut()
		span.seal()
		if (epoch !== this.#epoch && !this.#isClosed) span.anchor('closed', CLOSED_WITHOUT_EXIT)
		this.#epoch = epoch
		span.anchor('opened', cutBytes)
		this.#isOpen = true
		this.#isClosed = false
	}

	#takeCut(): number {
		if (this.#cut === undefined) return 0
		const { offset, bytes, isTorn } = this.#cut
		const { fd } = this.#file!
		if (!isTorn) keepAside(this.#system, this.path, fd, offset, bytes)
		this.#system.ftruncateSync(fd, offset)
		this.#system.fsyncSync(fd)
		this.#cut = undefined
		return bytes
	}

	#copy(old: SegmentFile, end: number, seq: number, gone: (record: LogRecord) => void): void {
		const { idChecksum } = old.identity
		scanRange(this.#system, old.fd, idChecksum, HEADER_BYTES, end, (entry) => {
			if (entry.type === 'anchor') return
			const rows = entry.type === 'frame' ? rowsOf(entry.frame) : undefined
			if (rows === undefined)
				throw this.#damaged(entry.type === 'frame' ? entry.frame.offset : entry.place.offset)
			for (const record of rows) {
				if (record.seq < seq) this.push(record)
				else if (isGap(record) && record.data!.fromSeq < seq) this.push(shortened(record, seq - 1))
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
			const text = `cannot write to ${show(this.path)}: ${messageOf(error)}; what came before is in it`
			throw new MeshChainError('CHAIN_UNREADABLE', text, { path: this.path, cause: error })
		}
	}
}

function newFileStart() {
	return startOfFile({ nextSeq: 1, levelCounts: LOG_LEVELS.map(() => 0), keptFromSeq: 1 })
}

/** A gap of what is absent up to a seq. */
function shortened(gap: LogRecord, toSeq: number): LogRecord {
	const { fromSeq, count, cause } = gap.data as Parameters<typeof gapRecord>[0]
	return gapRecord({ fromSeq, toSeq, count: Math.min(count, toSeq - fromSeq + 1), cause }, gap)
}
