/**
 * Opens a chain for writing, or creates it: looks at how it ends, asks recovery.ts what becomes of that, and does it. The caller holds
 * the lock. Whatever throws leaves no byte of the chain changed, but for a torn tail that was kept aside.
 */
import { randomBytes } from 'node:crypto'
import { dirname } from 'node:path'
import { show } from '../../guard/show.ts'
import { MeshChainError } from '../../model/errors.ts'
import { isEpoch, LOG_LEVELS } from '../../model/record.ts'
import {
	closeQuietly,
	type FileSystem,
	O_RDWR,
	openOurs,
	syncDirectory,
	systemCode,
} from '../../platform/file-system.ts'
import { shellWord } from '../../text/shell-word.ts'
import { bootId, bootSince } from '../files/boot-id.ts'
import type { Provenance } from '../files/lock.ts'
import {
	keepAside,
	moveAside,
	type Placed,
	putFirstInPlace,
	putNextInPlace,
	removeTemporaries,
	unreadable,
} from '../files/names.ts'
import { identifyFile, listSegments, ownerOf } from '../files/segments.ts'
import { readWatermark } from '../files/watermark-file.ts'
import { ANCHOR_BYTES, type AnchorReason } from '../format/anchor.ts'
import { CHAIN_ID_BYTES, HEADER_BYTES } from '../format/header.ts'
import type { Watermark } from '../format/watermark.ts'
import { type ChainEnd, epochMaxOf, linkUpTo, readChainEnd, scanRange } from '../scan/chain-end.ts'
import { seqBehind } from '../scan/continuity.ts'
import { type ChainIdentity, NO_LINK } from '../scan/identity.ts'
import { EntryCopier } from './copy-entries.ts'
import { createSegment, exhausted, type FileStart } from './create-segment.ts'
import {
	type Action,
	actionFor,
	type Evidence,
	markEvidence,
	type RecoveryVerdict,
	verdictOf,
} from './recovery.ts'
import { type SegmentContext, SegmentFile } from './segment-file.ts'
import type { TailStart } from './tail-buffer.ts'

/** What became of the end of a chain that was opened. */
export interface ChainRecovery {
	readonly verdict: RecoveryVerdict
	/** `cut`: the bytes are kept at `keptAt`. `next`, `move`: they stay in the file that is `sealedAs` by now. */
	readonly action: Exclude<Action, 'refuse'>
	/** Where what was found begins. */
	readonly offset: number
	readonly bytes: number
	readonly keptAt: string | undefined
	readonly sealedAs: string | undefined
	/** Records known to have been there and to be gone. */
	readonly lostRecords: number
}

export interface OpenedChain {
	readonly file: SegmentFile
	readonly epoch: number
	readonly watermark: Watermark | undefined
	readonly recovery: ChainRecovery | undefined
}

export interface OpeningOptions {
	readonly system: FileSystem
	readonly path: string
	readonly mode: number
	readonly onDamage: 'rotate' | 'refuse'
	/** What the lock said of the writer before. */
	readonly provenance: Provenance
	/** What the files are to be opened with, once it is known which epoch this is. */
	readonly contextFor: (epoch: number, bootId: Uint8Array) => SegmentContext
}

/**
 * @throws {MeshChainError} `NOT_A_CHAIN`, `HEADER_DAMAGED`, `NEWER_VERSION`, `CHAIN_UNREADABLE`, `CHAIN_DAMAGED`, `CHAIN_SEALED`.
 */
export function openForWriting(options: OpeningOptions): OpenedChain {
	const { system, path } = options
	removeTemporaries(system, path)
	const fd = openExisting(options)
	if (fd === undefined) return createOrContinue(options)
	try {
		refuseSealed(options, fd)
		const opened = new Opening(options, fd).open()
		if (opened.file.fd !== fd) closeQuietly(system, fd)
		return opened
	} catch (error) {
		closeQuietly(system, fd)
		throw unreadable(path, error)
	}
}

/** A time that a clock had before an opening: what the opening has itself begun says no more than the clock does now. */
export function seenBefore({ file, recovery }: OpenedChain): number {
	const isOlder = recovery === undefined || recovery.action === 'append' || recovery.action === 'cut'
	return isOlder ? file.identity.createdMs : Number.NEGATIVE_INFINITY
}

/**
 * The live file, unless there is none or none worth keeping: what is empty or begins a header is copied aside. What is no chain any more,
 * although the mark beside it says that it was one, was destroyed: it is moved aside.
 */
function openExisting(options: OpeningOptions): number | undefined {
	const { system, path, onDamage } = options
	let fd: number
	try {
		fd = openOurs(system, path, O_RDWR)
	} catch (error) {
		if (systemCode(error) === 'ENOENT') return undefined
		throw unreadable(path, error)
	}
	try {
		const stat = system.fstatSync(fd)
		if (!stat.isFile()) throw unreadable(path, new Error('not a regular file'))
		const state = stateOf(options, fd)
		if (state === 'whole') return fd
		if (onDamage === 'refuse') refuseLost(options)
		if (state === 'destroyed') moveAside(system, path)
		else {
			if (stat.size > 0) keepAside(system, path, fd, 0, stat.size)
			system.unlinkSync(path)
		}
	} catch (error) {
		closeQuietly(system, fd)
		throw unreadable(path, error)
	}
	closeQuietly(system, fd)
	return undefined
}

/** @throws {MeshChainError} what `identify` throws, for a file that never was a chain. */
function stateOf(options: OpeningOptions, fd: number): 'whole' | 'unfinished' | 'destroyed' {
	const { system, path } = options
	try {
		identifyFile(system, fd, path)
		return 'whole'
	} catch (error) {
		if (!(error instanceof MeshChainError)) throw error
		if (error.code === 'CHAIN_EMPTY') return 'unfinished'
		const isDestroyed = error.code === 'NOT_A_CHAIN' || error.code === 'HEADER_DAMAGED'
		if (isDestroyed && lostMark(options) !== undefined) return 'destroyed'
		throw error
	}
}

/** There is no live file: a new chain begins, or the one whose sealed files are there goes on. */
function createOrContinue(options: OpeningOptions): OpenedChain {
	const { system, path } = options
	try {
		const last = listSegments(system, path, undefined).at(-1)
		if (last === undefined) {
			const mark = lostMark(options)
			return mark === undefined ? createChain(options) : continueBehindMark(options, mark)
		}
		const fd = openOurs(system, last.path, O_RDWR)
		try {
			return new Opening(options, fd).continueBehind()
		} finally {
			closeQuietly(system, fd)
		}
	} catch (error) {
		throw unreadable(path, error)
	}
}

function createChain(options: OpeningOptions): OpenedChain {
	const first = { segment: 0, firstSeq: 1, previousEnd: 0 }
	const file = beginChain(options, { chainId: randomBytes(CHAIN_ID_BYTES), ...first }, 1)
	return { file, epoch: 1, watermark: undefined, recovery: undefined }
}

/** The only file of a chain that is there: the first one, or the one behind all that is lost. */
function beginChain(
	options: OpeningOptions,
	begin: Pick<FileStart, 'chainId' | 'segment' | 'firstSeq' | 'previousEnd'>,
	epoch: number,
): SegmentFile {
	const { system, path } = options
	const start = {
		...begin,
		previousLink: NO_LINK,
		levelCounts: LOG_LEVELS.map(() => 0),
		keptFromSeq: 1,
	}
	const fill = (file: SegmentFile) => file.span.anchor('opened', 0)
	const putInPlace = (temporary: string) => named(putFirstInPlace(system, temporary, path))
	return createSegment(options.contextFor(epoch, bootId(system)), options, start, fill, putInPlace).file
}

/** The mark of a chain whose records were on disk, and of which no file is left. */
function lostMark({ system, path }: OpeningOptions): Watermark | undefined {
	const mark = readWatermark(system, path, undefined)
	return mark !== undefined && mark.seq > 0 ? mark : undefined
}

/** The same chain goes on behind what is lost: only so anybody will know that there was something. */
function continueBehindMark(options: OpeningOptions, mark: Watermark): OpenedChain {
	if (options.onDamage === 'refuse') refuseLost(options)
	const { chainId, segment, seq, offset, epoch } = mark
	const begin = { chainId, segment: segment + 1, firstSeq: seq + 1, previousEnd: offset }
	const nextEpoch = epochBehind(epoch, options.path)
	const file = beginChain(options, begin, nextEpoch)
	const nothing = { offset: 0, bytes: 0, keptAt: undefined, sealedAs: undefined }
	const recovery: ChainRecovery = { verdict: 'truncated', action: 'next', ...nothing, lostRecords: seq }
	return { file, epoch: nextEpoch, watermark: mark, recovery }
}

/** @throws {MeshChainError} `CHAIN_EXHAUSTED` when no reader would take the epoch. */
function epochBehind(epoch: number, path: string): number {
	if (isEpoch(epoch + 1)) return epoch + 1
	throw exhausted(path, 'epoch')
}

/** @throws {MeshChainError} `CHAIN_DAMAGED` where a mark says that records were on disk, which are gone with their file. */
function refuseLost(options: OpeningOptions): void {
	const { path } = options
	const mark = lostMark(options)
	if (mark === undefined) return
	throw new MeshChainError(
		'CHAIN_DAMAGED',
		`${show(path)} is gone or was destroyed, and ${show(`${path}.durable`)} says that records up to seq ${mark.seq} were on disk; onDamage is 'refuse': nothing was changed; put the file back, or remove ${show(`${path}.durable`)} to begin a new chain`,
		{ path, offset: 0, seq: 1 },
	)
}

/** @throws {MeshChainError} `CHAIN_SEALED` for a sealed file of a chain: what was written into it would be no part of the chain. */
function refuseSealed({ system, path }: OpeningOptions, fd: number): void {
	const owner = ownerOf(system, path, identifyFile(system, fd, path))
	if (owner === undefined) return
	const text = `${show(path)} is a sealed file of ${show(owner)}: open that one`
	throw new MeshChainError('CHAIN_SEALED', text, { path })
}

/** Nobody waits for a chain that is only being opened: what may not be on disk is an error. */
function named<P extends Placed>(placed: P): P {
	if (placed.unsynced !== undefined) throw placed.unsynced
	return placed
}

class Opening {
	readonly #options: OpeningOptions
	readonly #fd: number
	readonly #size: number
	readonly #identity: ChainIdentity
	readonly #end: ChainEnd
	/** The first place that cannot be read although valid entries stand behind it, as far back as one is looked for. */
	readonly #hole: number | undefined
	readonly #mark: Watermark | undefined
	readonly #bootId: Uint8Array
	readonly #epoch: number
	readonly #context: SegmentContext

	constructor(options: OpeningOptions, fd: number) {
		const { system, path } = options
		this.#options = options
		this.#fd = fd
		this.#size = system.fstatSync(fd).size
		this.#identity = identifyFile(system, fd, path)
		this.#end = readChainEnd(system, fd, this.#size, this.#identity)
		this.#mark = readWatermark(system, path, this.#identity.id)
		this.#bootId = bootId(system)
		this.#hole = this.#firstHole()
		// An epoch may have been lost with its records. What it was called, the mark knows, or else how many there can have been.
		const known = this.#mark?.epoch ?? epochMaxOf(this.#end)
		this.#epoch = epochBehind(Math.max(this.#end.epoch, known), path)
		this.#context = options.contextFor(this.#epoch, this.#bootId)
	}

	/** A power loss leaves holes anywhere behind the mark, before the newest anchor too; anything else is looked for behind it only. */
	#firstHole(): number | undefined {
		const { anchor, hole } = this.#end
		if (this.#boot !== 'changed' || this.#mark === undefined || anchor === undefined) return hole
		const { segment, idChecksum } = this.#identity
		const from = this.#mark.segment === segment ? this.#mark.offset : HEADER_BYTES
		if (this.#mark.segment > segment || from >= anchor.offset) return hole
		let first = hole
		scanRange(this.#options.system, this.#fd, idChecksum, from, anchor.offset + ANCHOR_BYTES, (entry) => {
			if (entry.type === 'bad') first = Math.min(first ?? Number.POSITIVE_INFINITY, entry.place.offset)
		})
		return first
	}

	open(): OpenedChain {
		const { onDamage } = this.#options
		const verdict = verdictOf(this.#evidence)
		const action = actionFor({ verdict, writer: this.#writer, onDamage })
		if (action === 'refuse') throw this.#refused(verdict)
		if (action === 'append') return this.#goOn(undefined)
		if (action === 'cut') return this.#goOn(this.#cut(verdict))
		return this.#goOnElsewhere(verdict, action, this.#options.path)
	}

	/** Only sealed files are there: their last one is left as it is, whatever its end. */
	continueBehind(): OpenedChain {
		const verdict = verdictOf(this.#evidence)
		const { onDamage } = this.#options
		if (actionFor({ verdict, writer: 'sole', onDamage }) === 'refuse') throw this.#refused(verdict)
		return this.#goOnElsewhere(verdict, 'next', undefined)
	}

	get #evidence(): Evidence {
		const { end } = this.#end
		const hole = this.#hole
		const { headerDamaged } = this.#identity
		return {
			end: this.#endEvidence,
			hole: headerDamaged || hole !== undefined,
			mark: markEvidence(this.#mark, this.#identity, headerDamaged ? 0 : (hole ?? end), this.#end.nextSeq),
			boot: this.#boot,
		}
	}

	get #endEvidence(): Evidence['end'] {
		const { suffix } = this.#end
		if (suffix !== undefined) return suffix.torn ? 'fragment' : 'invalid'
		return this.#endsIn('sealed') ? 'sealed' : 'whole'
	}

	#endsIn(reason: AnchorReason): boolean {
		const { anchor, tail, suffix } = this.#end
		return anchor?.reason === reason && tail.length === 0 && suffix === undefined
	}

	/** Whether the writer before may still be there, not having been told by the kernel that it is gone. */
	get #writer(): 'sole' | 'takenOver' {
		const { provenance } = this.#options
		if (provenance === 'kernel') return 'sole'
		// No writer of this machine outlives its boot.
		const isOver = this.#endsIn('closed') || this.#endsIn('sealed') || this.#boot === 'changed'
		return provenance === 'none' && isOver ? 'sole' : 'takenOver'
	}

	get #boot(): Evidence['boot'] {
		return bootSince(this.#end.anchor?.bootId, this.#bootId)
	}

	#cut(verdict: RecoveryVerdict): ChainRecovery {
		const { system, path } = this.#options
		const { offset, bytes } = this.#end.suffix!
		const keptAt = keepAside(system, path, this.#fd, offset, bytes)
		system.ftruncateSync(this.#fd, offset)
		system.fsyncSync(this.#fd)
		return { verdict, action: 'cut', offset, bytes, keptAt, sealedAs: undefined, lostRecords: 0 }
	}

	/** The opening mark is on disk before anything else is: from here on this epoch's number is never given again. */
	#goOn(recovery: ChainRecovery | undefined): OpenedChain {
		const start: TailStart = { ...this.#end, keptFromSeq: this.#keptFromSeq }
		const file = new SegmentFile(this.#context, this.#fd, this.#identity, start)
		file.span.anchor('opened', recovery?.bytes ?? 0)
		file.write()
		// A writer that was killed while it made this file may not have put its name on disk.
		syncDirectory(this.#options.system, dirname(this.#options.path))
		file.syncNow()
		return { file, epoch: this.#epoch, watermark: this.#mark, recovery }
	}

	get #keptFromSeq(): number {
		return this.#end.anchor?.keptFromSeq ?? 1
	}

	/** @param livePath where the file before stands; undefined when it has its sealed name already. */
	#goOnElsewhere(
		verdict: RecoveryVerdict,
		action: 'next' | 'move',
		livePath: string | undefined,
	): OpenedChain {
		const { system } = this.#options
		const cutAt = action === 'move' ? this.#hole! : this.#size
		// What stands before the hole is as if the file ended there.
		const base = action === 'move' ? readChainEnd(system, this.#fd, cutAt, this.#identity) : this.#end
		const known = Math.max(this.#seqBehindEnd(verdict), this.#seqBehindMark)
		const nextSeq = Math.max(base.nextSeq, action === 'move' ? 1 : known)
		const start = {
			chainId: this.#identity.id,
			segment: this.#identity.segment + 1,
			firstSeq: nextSeq,
			previousEnd: cutAt,
			previousLink: linkUpTo(system, this.#fd, cutAt, this.#identity, base.anchor),
			levelCounts: base.levelCounts,
			keptFromSeq: this.#keptFromSeq,
		}
		let lostRecords = Math.max(0, nextSeq - base.nextSeq)
		const fill = (file: SegmentFile) => {
			if (action === 'move') lostRecords = this.#adoptFrom(cutAt, base, known, file)
			file.span.anchor('opened', 0)
		}
		const putInPlace = (temporary: string) => this.#putInPlace(temporary, livePath)
		const { file, placed } = createSegment(this.#context, this.#options, start, fill, putInPlace)
		const bytes = this.#size - (this.#hole ?? this.#end.end)
		const offset = this.#size - bytes
		const { sealedAs } = placed
		const recovery: ChainRecovery = {
			verdict,
			action,
			offset,
			bytes,
			keptAt: undefined,
			sealedAs,
			lostRecords,
		}
		return { file, epoch: this.#epoch, watermark: this.#mark, recovery }
	}

	get #seqBehindMark(): number {
		return this.#mark !== undefined && this.#mark.segment >= this.#identity.segment ? this.#mark.seq + 1 : 1
	}

	/** A torn or unsynced end takes nothing with it that was committed. */
	#seqBehindEnd(verdict: RecoveryVerdict): number {
		const { suffix, nextSeq } = this.#end
		const isLost = suffix !== undefined && ['damaged', 'ambiguous'].includes(verdict)
		return isLost ? seqBehind(suffix, nextSeq) : nextSeq
	}

	/** Takes over what verifies from an offset on; returns how many records are missing. */
	#adoptFrom(offset: number, base: ChainEnd, nextSeqMin: number, file: SegmentFile): number {
		file.span.anchor('span', 0, base.anchor)
		const adoption = new EntryCopier(file, 'unsynced')
		const source = { fd: this.#fd, idChecksum: this.#identity.idChecksum }
		adoption.fromFile(this.#options.system, source, offset, this.#size)
		adoption.upTo(nextSeqMin)
		return adoption.lost
	}

	#putInPlace(
		temporary: string,
		livePath: string | undefined,
	): Placed & { readonly sealedAs: string | undefined } {
		const { system, path } = this.#options
		if (livePath === undefined) {
			return { ...named(putFirstInPlace(system, temporary, path)), sealedAs: undefined }
		}
		const placed = named(putNextInPlace(system, temporary, livePath, this.#identity.firstSeq))
		return { ...placed, sealedAs: placed.sealedPath }
	}

	#refused(verdict: RecoveryVerdict): MeshChainError {
		const { path } = this.#options
		const offset = this.#hole ?? this.#end.end
		return new MeshChainError(
			'CHAIN_DAMAGED',
			`${show(path)} is ${verdict} from offset ${offset} on, and onDamage is 'refuse': nothing was changed; next: mesh-chain verify ${shellWord(path)}`,
			{ path, offset, seq: this.#end.nextSeq },
		)
	}
}
