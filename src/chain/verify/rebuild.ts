/**
 * Writes a file of a chain anew: everything before the first place that cannot be read, or where seqs are missing, as it is, byte by byte, and
 * behind it every entry that verifies, with a `$gap` for what is missing and an anchor that says how many bytes could not be read. The old
 * file is kept.
 *
 * Invariant: a verification of the new file finds nothing in it that a repair would make good, so that a second repair has nothing to do.
 */
import { randomBytes } from 'node:crypto'
import { dirname } from 'node:path'
import {
	closeQuietly,
	type FileSystem,
	O_CREAT,
	O_EXCL,
	O_RDWR,
	openOurs,
	readFully,
	syncDirectory,
	writeFully,
} from '../../platform/file-system.ts'
import { bootId } from '../files/boot-id.ts'
import { removeQuietly, temporaryPathOf } from '../files/names.ts'
import type { Anchor } from '../format/anchor.ts'
import { encodeHeader, HEADER_BYTES } from '../format/header.ts'
import { readChainEnd, scanRange } from '../scan/chain-end.ts'
import { Continuity, seqBehind } from '../scan/continuity.ts'
import { rowsOf } from '../scan/frame-rows.ts'
import { type ChainIdentity, identityOf } from '../scan/identity.ts'
import { entryStart, type ScanEntry } from '../scan/scan.ts'
import { EntryCopier } from '../write/copy-entries.ts'
import { SegmentFile } from '../write/segment-file.ts'

const COPY_BYTES = 1024 * 1024

/** How a file ends that another follows. */
export interface Previous {
	readonly end: number
	readonly link: Uint8Array
	readonly levelCounts: readonly number[]
	readonly keptFromSeq: number
}

export interface RebuildSource {
	readonly chainPath: string
	readonly path: string
	readonly fd: number
	readonly identity: ChainIdentity
	/** How far the file counts; undefined for all of it. */
	readonly end: number | undefined
	readonly isLive: boolean
	/** The file before, for a beginning that cannot be read. */
	readonly previous: Previous
	/** The seq that comes next is at least this one: everything up to there was in the file once. */
	readonly nextSeqMin: number
	/** Whether a place that cannot be read is what a power loss has left, given the boot id of the newest anchor before it. */
	readonly isUnsynced: (offset: number, bootId: Uint8Array | undefined) => boolean
	/** Called when the new file is on disk and before it takes the old one's place, with what both have in common. */
	readonly beforeSwap: (kept: { readonly offset: number; readonly nextSeq: number }) => void
}

export interface Rebuilt {
	/** Where the old file is. */
	readonly keptAt: string
	/** Bytes that could not be read. */
	readonly bytes: number
	/** Records that a `$gap` stands for from now on. */
	readonly lostRecords: number
	/** The size of the new file, and the seq that comes next. */
	readonly offset: number
	readonly nextSeq: number
}

export function rebuildFile(system: FileSystem, source: RebuildSource): Rebuilt {
	const temporary = temporaryPathOf(source.chainPath)
	const mode = system.fstatSync(source.fd).mode & 0o777
	const fd = openOurs(system, temporary, O_RDWR | O_CREAT | O_EXCL, mode)
	try {
		const rebuild = new Rebuild(system, source, fd)
		const rebuilt = rebuild.run()
		system.fsyncSync(fd)
		source.beforeSwap(rebuild.kept)
		const keptAt = `${source.path}.before-repair-${randomBytes(4).toString('hex')}`
		system.linkSync(source.path, keptAt)
		syncDirectory(system, dirname(source.path))
		system.renameSync(temporary, source.path)
		syncDirectory(system, dirname(source.path))
		return { ...rebuilt, keptAt }
	} catch (error) {
		removeQuietly(system, temporary)
		throw error
	} finally {
		closeQuietly(system, fd)
	}
}

class Rebuild {
	readonly #system: FileSystem
	readonly #source: RebuildSource
	readonly #end: number
	readonly #file: SegmentFile
	readonly #adoption: EntryCopier
	/** What the new file has in common with the old one. */
	readonly kept: { readonly offset: number; readonly nextSeq: number }
	/** Of the newest anchor of the old file so far. */
	#bootId: Uint8Array | undefined

	constructor(system: FileSystem, source: RebuildSource, fd: number) {
		this.#system = system
		this.#source = source
		const { size } = system.fstatSync(source.fd)
		this.#end = Math.min(size, source.end ?? size)
		const keptEnd = this.#firstLoss()
		const identity = this.#copyStart(fd, keptEnd)
		const base = readChainEnd(system, fd, keptEnd, identity)
		const { previous } = source
		const levelCounts = base.anchor === undefined ? previous.levelCounts : base.levelCounts
		const keptFromSeq = base.anchor?.keptFromSeq ?? previous.keptFromSeq
		const context = {
			system,
			writer: this.#writer(base.epoch || (this.#firstAnchor()?.epoch ?? 1)),
			counts: { writes: 0, writeFailures: 0, syncs: 0, syncFailures: 0 },
			keepUnsynced: false,
		}
		this.#file = new SegmentFile(context, fd, identity, { ...base, levelCounts, keptFromSeq })
		this.#adoption = new EntryCopier(this.#file, 'damaged', true)
		this.kept = { offset: keptEnd, nextSeq: base.nextSeq }
		this.#bootId = base.anchor?.bootId
	}

	run(): Omit<Rebuilt, 'keptAt'> {
		const { fd, identity, nextSeqMin, isUnsynced, isLive } = this.#source
		const { span } = this.#file
		if (identity.headerDamaged) span.anchor('repaired', HEADER_BYTES)
		let behindEnd = 0
		scanRange(this.#system, fd, identity.idChecksum, this.kept.offset, this.#end, (entry) => {
			this.#adoption.take(entry)
			if (entry.type === 'anchor') this.#bootId = entry.anchor.bootId
			if (entry.type !== 'bad' || !entry.place.atEnd || !isLive) return
			if (!isUnsynced(entry.place.offset, this.#bootId)) behindEnd = seqBehind(entry.place, span.nextSeq)
		})
		const nextSeq = Math.max(nextSeqMin, behindEnd)
		const isShort = span.nextSeq < nextSeq
		this.#adoption.upTo(nextSeq)
		// A sealed file that ends so counts to its end.
		if (isShort || !isLive) span.anchor('repaired', 0)
		this.#file.write()
		return {
			bytes: this.#adoption.unreadableBytes,
			lostRecords: this.#adoption.lost,
			offset: this.#file.written,
			nextSeq: span.nextSeq,
		}
	}

	/** Anchors between the entries of an epoch are that epoch's. */
	#writer(epoch: number) {
		const adoptedEpoch = () => this.#adoption?.epoch ?? 0
		return {
			get epoch() {
				return Math.max(epoch, adoptedEpoch())
			},
			bootId: bootId(this.#system),
			clock: Date.now,
		}
	}

	/**
	 * The offset of the first entry that does not stay as it is: one that cannot be read, or one before which seqs are missing, by the rule
	 * that a verification follows. The end where there is none.
	 */
	#firstLoss(): number {
		const { fd, identity, isLive } = this.#source
		if (identity.headerDamaged) return HEADER_BYTES
		const continuity = new Continuity(undefined, { firstSeq: identity.firstSeq, isFollowed: !isLive })
		let found = this.#end
		scanRange(this.#system, fd, identity.idChecksum, HEADER_BYTES, this.#end, (entry) => {
			if (entryStart(entry) < found && isLoss(entry, continuity)) found = entryStart(entry)
		})
		return found
	}

	/** Copies what stays as it is; a header that cannot be read is made again. */
	#copyStart(fd: number, keptEnd: number): ChainIdentity {
		const { identity } = this.#source
		if (!identity.headerDamaged) {
			for (let done = 0; done < keptEnd; ) {
				const piece = readFully(this.#system, this.#source.fd, Math.min(COPY_BYTES, keptEnd - done), done)
				if (piece.length === 0) break
				writeFully(this.#system, fd, piece, done)
				done += piece.length
			}
			return identity
		}
		const { id: chainId, segment, firstSeq } = identity
		const { end: previousEnd, link: previousLink } = this.#source.previous
		const createdMs = this.#firstAnchor()?.writtenMs ?? 0
		const header = { chainId, segment, createdMs, firstSeq, previousEnd, previousLink }
		const bytes = encodeHeader(header)
		writeFully(this.#system, fd, bytes, 0)
		return identityOf(header, bytes)
	}

	#firstAnchor(): Anchor | undefined {
		const { fd, identity } = this.#source
		let first: Anchor | undefined
		scanRange(
			this.#system,
			fd,
			identity.idChecksum,
			HEADER_BYTES,
			Math.min(this.#end, COPY_BYTES),
			(entry) => {
				if (entry.type === 'anchor') first ??= entry.anchor
			},
		)
		return first
	}
}

/** Whether an entry cannot be read, or seqs are missing before it; the continuity moves past it. */
function isLoss(entry: ScanEntry, continuity: Continuity): boolean {
	if (entry.type === 'bad') return true
	if (entry.type === 'anchor') return continuity.anchor(entry.anchor) !== undefined
	return continuity.frame(entry.frame) !== undefined || rowsOf(entry.frame) === undefined
}
