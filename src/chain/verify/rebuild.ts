/**
 * Rebuilds a file of a chain. Everything before the first unreadable range or missing seq is copied byte for
 * byte. The rest of the new file contains every entry that verifies, a `$gap` wherever records are missing,
 * and an anchor with the number of unreadable bytes wherever bytes are unreadable. The old file is kept.
 *
 * Invariant: a verification of the new file finds nothing that a repair could fix, so a second repair has
 * nothing to do.
 */
import { randomBytes } from 'node:crypto'
import { dirname } from 'node:path'
import { replaceFile, requireSynced, temporaryPathOf } from '../../platform/atomic-file.ts'
import {
	closeQuietly,
	O_CREAT,
	O_EXCL,
	O_RDWR,
	type OpenFile,
	openOurs,
	removeQuietly,
	syncDirectory,
	writeFully,
} from '../../platform/file-system.ts'
import { copyBytes } from '../files/keep-aside.ts'
import type { Anchor } from '../format/anchor.ts'
import { encodeHeader, HEADER_BYTES } from '../format/header.ts'
import { readChainEnd } from '../scan/chain-end.ts'
import { Continuity, nextSeqAfter } from '../scan/continuity.ts'
import { rowsOf } from '../scan/frame-rows.ts'
import { type ChainIdentity, identityOf } from '../scan/identity.ts'
import { entryStart, type ScanEntry } from '../scan/scan.ts'
import { scanRange } from '../scan/scan-range.ts'
import { EntryCopier } from '../write/copy-entries.ts'
import { type CopyContext, copyContext } from '../write/segment-context.ts'
import { SegmentFile } from '../write/segment-file.ts'

/**
 * Number of bytes to search for the first anchor of a file. The distance between anchors is always smaller.
 */
const FIRST_ANCHOR_BYTES_MAX = 1024 * 1024

/** The end of the previous file. */
export interface Previous {
	readonly end: number
	readonly link: Uint8Array
	readonly levelCounts: readonly number[]
	readonly keptFromSeq: number
}

export interface RebuildSource {
	readonly chainPath: string
	readonly path: string
	readonly file: OpenFile
	readonly identity: ChainIdentity
	/** Offset at which the next file takes over; undefined if the complete file belongs to the chain. */
	readonly end: number | undefined
	readonly isLive: boolean
	/** The end of the previous file, which is needed if the header is unreadable. */
	readonly previous: Previous
	/** Lower bound on the next seq. The file once contained every seq below it. */
	readonly nextSeqMin: number
	/**
	 * Returns whether an unreadable range can be the result of a power loss, given the boot id of the newest
	 * anchor before it.
	 */
	readonly isUnsynced: (offset: number, bootId: Uint8Array | undefined) => boolean
	/**
	 * Called after the new file is on disk and before it replaces the old file. `kept` is the end of the part
	 * that both files share.
	 */
	readonly beforeSwap: (kept: { readonly offset: number; readonly nextSeq: number }) => void
}

export interface Rebuilt {
	/** Path of the old file. */
	readonly keptAt: string
	/** Number of bytes that could not be read. */
	readonly bytes: number
	/** Number of records that new `$gap`s cover. */
	readonly lostRecords: number
	/** Size of the new file, and the expected seq of the next record. */
	readonly offset: number
	readonly nextSeq: number
}

export function rebuildFile(source: RebuildSource): Rebuilt {
	const { system } = source.file
	const temporary = temporaryPathOf(source.chainPath)
	const mode = system.fstatSync(source.file.fd).mode & 0o777
	const fd = openOurs(system, temporary, O_RDWR | O_CREAT | O_EXCL, mode)
	try {
		const rebuild = new Rebuild(source, { system, fd })
		const rebuilt = rebuild.run()
		system.fsyncSync(fd)
		source.beforeSwap(rebuild.kept)
		const keptAt = `${source.path}.before-repair-${randomBytes(4).toString('hex')}`
		system.linkSync(source.path, keptAt)
		syncDirectory(system, dirname(source.path))
		requireSynced(replaceFile(system, temporary, source.path))
		return { ...rebuilt, keptAt }
	} catch (error) {
		removeQuietly(system, temporary)
		throw error
	} finally {
		closeQuietly(system, fd)
	}
}

class Rebuild {
	readonly #source: RebuildSource
	readonly #end: number
	readonly #context: CopyContext
	/** Epoch at the end of the kept part or, if unknown, in the first anchor. */
	readonly #firstEpoch: number
	readonly #file: SegmentFile
	readonly #copier: EntryCopier
	/** End of the part that the new file and the old file share. */
	readonly kept: { readonly offset: number; readonly nextSeq: number }
	/** Boot id in the newest anchor that has been read from the old file. */
	#bootId: Uint8Array | undefined

	constructor(source: RebuildSource, target: OpenFile) {
		this.#source = source
		const { size } = target.system.fstatSync(source.file.fd)
		this.#end = Math.min(size, source.end ?? size)
		const keptEnd = this.#firstLoss()
		const identity = this.#copyStart(target, keptEnd)
		const base = readChainEnd(target, keptEnd, identity)
		const { previous } = source
		const levelCounts = base.anchor === undefined ? previous.levelCounts : base.levelCounts
		const keptFromSeq = base.anchor?.keptFromSeq ?? previous.keptFromSeq
		this.#firstEpoch = Math.max(1, base.epoch || (this.#firstAnchor()?.epoch ?? 1))
		this.#context = copyContext(target.system, this.#firstEpoch)
		this.#file = new SegmentFile(this.#context, target, identity, { ...base, levelCounts, keptFromSeq })
		this.#copier = new EntryCopier(this.#file, 'damaged', true)
		this.kept = { offset: keptEnd, nextSeq: base.nextSeq }
		this.#bootId = base.anchor?.bootId
	}

	run(): Omit<Rebuilt, 'keptAt'> {
		const { file, identity, nextSeqMin, isUnsynced, isLive } = this.#source
		const { tail } = this.#file
		if (identity.headerDamaged) tail.anchor('repaired', HEADER_BYTES)
		let nextSeqAtEnd = 0
		scanRange(file, identity.idChecksum, { from: this.kept.offset, to: this.#end }, (entry) => {
			// Anchors and gaps written between the entries of an epoch belong to that epoch.
			this.#context.writer.epoch = Math.max(this.#firstEpoch, epochOf(entry) ?? this.#copier.epoch)
			this.#copier.take(entry)
			if (entry.type === 'anchor') this.#bootId = entry.anchor.bootId
			if (entry.type !== 'bad' || !entry.place.atEnd || !isLive) return
			if (!isUnsynced(entry.place.offset, this.#bootId))
				nextSeqAtEnd = nextSeqAfter(entry.place, tail.nextSeq)
		})
		const nextSeq = Math.max(nextSeqMin, nextSeqAtEnd)
		const isShort = tail.nextSeq < nextSeq
		this.#copier.upTo(nextSeq)
		// If a sealed file ends with this anchor, the entire file belongs to the chain.
		if (isShort || !isLive) tail.anchor('repaired', 0)
		this.#file.write()
		return {
			bytes: this.#copier.unreadableBytes,
			lostRecords: this.#copier.lost,
			offset: this.#file.written,
			nextSeq: tail.nextSeq,
		}
	}

	/**
	 * Returns the offset of the first entry that the repair changes: an unreadable entry, or an entry that
	 * follows missing seqs. Returns the end of the file if the repair does not change any entry.
	 */
	#firstLoss(): number {
		const { file, identity, isLive } = this.#source
		if (identity.headerDamaged) return HEADER_BYTES
		const continuity = new Continuity(undefined, { firstSeq: identity.firstSeq, isFollowed: !isLive })
		let found = this.#end
		scanRange(file, identity.idChecksum, { from: HEADER_BYTES, to: this.#end }, (entry) => {
			if (entryStart(entry) < found && isLoss(entry, continuity)) found = entryStart(entry)
		})
		return found
	}

	/** Copies the unchanged part. Replaces an unreadable header with a new one. */
	#copyStart(target: OpenFile, keptEnd: number): ChainIdentity {
		const { file, identity } = this.#source
		if (!identity.headerDamaged) {
			copyBytes(file, { offset: 0, bytes: keptEnd }, target.fd)
			return identity
		}
		const { id: chainId, segment, firstSeq } = identity
		const { end: previousEnd, link: previousLink } = this.#source.previous
		const createdMs = this.#firstAnchor()?.writtenMs ?? 0
		const header = { chainId, segment, createdMs, firstSeq, previousEnd, previousLink }
		const bytes = encodeHeader(header)
		writeFully(target.system, target.fd, bytes, 0)
		return identityOf(header, bytes)
	}

	#firstAnchor(): Anchor | undefined {
		const { file, identity } = this.#source
		let first: Anchor | undefined
		const range = { from: HEADER_BYTES, to: Math.min(this.#end, FIRST_ANCHOR_BYTES_MAX) }
		scanRange(file, identity.idChecksum, range, (entry) => {
			if (entry.type === 'anchor') first ??= entry.anchor
		})
		return first
	}
}

/** Returns the epoch of an entry; undefined for an unreadable one. */
function epochOf(entry: ScanEntry): number | undefined {
	if (entry.type === 'bad') return undefined
	return entry.type === 'frame' ? entry.frame.epoch : entry.anchor.epoch
}

/** Returns whether an entry is unreadable or follows missing seqs. Advances `continuity` past the entry. */
function isLoss(entry: ScanEntry, continuity: Continuity): boolean {
	if (entry.type === 'bad') return true
	if (entry.type === 'anchor') return continuity.anchor(entry.anchor) !== undefined
	return continuity.frame(entry.frame) !== undefined || rowsOf(entry.frame) === undefined
}
