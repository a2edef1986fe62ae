/**
 * The bytes of a chain's end in memory: everything since the newest anchor (its hash link needs them) and everything not
 * yet written. Rows go in, frames and anchors come out; no I/O.
 *
 * Invariant: `base <= min(written, spanStart)` and everything from there to `end` is held.
 */
import { RowEncoder } from '../../codec/row-encoder.ts'
import { LogAppendError } from '../../model/errors.ts'
import { isGap, isOwnKind, LOG_LEVELS, type LogRecord, levelIndex } from '../../model/record.ts'
import {
	ANCHOR_BYTES,
	type Anchor,
	type AnchorReason,
	addLevelCounts,
	EMPTY_EXTENT,
	type Extent,
	encodeAnchor,
	joinExtents,
	PRESENCE_GAP,
	PRESENCE_PLAIN,
} from '../format/anchor.ts'
import {
	claimedLength,
	encodeFrame,
	FLAG_ASCII,
	FLAG_CONTROL,
	FRAME_BYTES_MAX,
	FRAME_ROWS_MAX,
	type Frame,
	frameBytesMax,
	looksLikeFrame,
	readFrameHeader,
	relocateFrame,
} from '../format/frame.ts'
import { HEADER_BYTES } from '../format/header.ts'
import { Jumps } from '../format/jumps.ts'
import type { ChainEnd } from '../scan/chain-end.ts'
import { frameSums } from '../scan/frame-rows.ts'
import { type ChainIdentity, headerLink } from '../scan/identity.ts'
import type { RowWriter } from './segment-context.ts'

/** A frame is closed when it holds this much; a larger single record or batch has a larger frame. */
const FRAME_ROWS_TARGET = 250
const FRAME_BYTES_TARGET = 16 * 1024
/** An anchor stands about this often. */
const SPAN_BYTES_TARGET = 64 * 1024

interface BorrowedEntries {
	readonly bytes: Buffer
	readonly start: number
	readonly end: number
	/** The seq of the last record in them; 0 where they hold none. */
	readonly lastSeq: number
}

/** Where a span begins: at the end of a file, or behind the header of a new one. */
export interface TailStart extends Pick<ChainEnd, 'anchor' | 'tail' | 'end' | 'extent' | 'jumpPath'> {
	readonly nextSeq: number
	readonly levelCounts: readonly number[]
	readonly keptFromSeq: number
}

/** The start of a new file, which goes on where another ended. */
export function startOfFile(before: Pick<TailStart, 'nextSeq' | 'levelCounts' | 'keptFromSeq'>): TailStart {
	const { nextSeq, levelCounts, keptFromSeq } = before
	const nothing = { anchor: undefined, tail: Buffer.alloc(0), extent: EMPTY_EXTENT, jumpPath: [] }
	return { ...nothing, end: HEADER_BYTES, nextSeq, levelCounts, keptFromSeq }
}

export class TailBuffer {
	readonly #identity: ChainIdentity
	readonly #writer: RowWriter
	/** Everything below it is on disk, as far as the next anchor can know. */
	durableOffset: number
	/** The first seq that retention has left. */
	keptFromSeq: number
	readonly #rows = new RowEncoder()
	#bytes = Buffer.allocUnsafeSlow(2 * SPAN_BYTES_TARGET)
	#base: number
	#end: number
	#spanStart: number
	#link: Uint8Array
	#lastAnchorOffset: number
	readonly #jumps: Jumps

	#nextSeq: number
	#sealedSeq: number
	#levelCounts: number[]
	#extent: Extent

	#frameSeq = 0
	#frameTsMs = 0
	#frameRows = 0
	#frameFlags = 0
	#frameLevels = new Array<number>(LOG_LEVELS.length).fill(0)
	#framePresence = PRESENCE_PLAIN
	#frameMinTsMs = Number.POSITIVE_INFINITY
	#frameMaxTsMs = Number.NEGATIVE_INFINITY

	frames = 0
	anchors = 0

	constructor(identity: ChainIdentity, start: TailStart, writer: RowWriter) {
		this.#identity = identity
		this.#writer = writer
		this.durableOffset = start.anchor?.durableOffset ?? 0
		this.keptFromSeq = start.keptFromSeq
		this.#spanStart = start.end - start.tail.length
		this.#base = this.#spanStart
		this.#end = this.#base
		this.#append(start.tail)
		this.#link = start.anchor?.link ?? headerLink(identity)
		this.#lastAnchorOffset = start.anchor?.offset ?? 0
		this.#nextSeq = start.nextSeq
		this.#sealedSeq = start.nextSeq - 1
		this.#levelCounts = [...start.levelCounts]
		this.#extent = start.extent
		this.#jumps = new Jumps(start.jumpPath)
	}

	/** The seq that the next record must have. */
	get nextSeq(): number {
		return this.#nextSeq
	}

	/** The file offset behind the last finished entry. */
	get end(): number {
		return this.#end
	}

	/** Records so far in the chain, by level, those of the open frame not counted. */
	get levelCounts(): readonly number[] {
		return this.#levelCounts
	}

	/** The link of the newest anchor. */
	get link(): Uint8Array {
		return this.#link
	}

	/** Bytes of rows that are in no frame yet. */
	get openBytes(): number {
		return this.#rows.length
	}

	/**
	 * Finished entries from the offset of one on: all of them, or as many whole ones as `bytesMax` allows, at the least one. They
	 * are `bytes[start, end)`, valid until the next call of any method.
	 */
	entriesBorrow(from: number, bytesMax: number): BorrowedEntries {
		const bytes = this.#bytes
		const start = from - this.#base
		const end = this.#end - this.#base
		if (end - start <= bytesMax) return { bytes, start, end, lastSeq: this.#sealedSeq }
		let lastSeq = 0
		let pos = start
		do {
			const length = looksLikeFrame(bytes, pos) ? (claimedLength(bytes, pos) ?? 0) : ANCHOR_BYTES
			if (pos > start && pos + length - start > bytesMax) break
			const head = readFrameHeader(bytes, pos, pos + length, 0)
			if (looksLikeFrame(bytes, pos) && head !== undefined) lastSeq = head.baseSeq + head.rows - 1
			pos += length
		} while (pos < end)
		return { bytes, start, end: pos, lastSeq }
	}

	/** From this offset on, bytes are held. */
	get heldFrom(): number {
		return this.#base
	}

	/** Everything finished from an offset on that is held; valid until the next call of any method. */
	heldBorrow(from: number): Buffer {
		return this.#bytes.subarray(from - this.#base, this.#end - this.#base)
	}

	/** Whether the open frame has the size that frames should have. */
	get frameIsFull(): boolean {
		return this.#frameRows >= FRAME_ROWS_TARGET || this.#rows.length >= FRAME_BYTES_TARGET
	}

	/**
	 * Puts one record into the open frame. A `$gap`, whose seq may be ahead, opens a frame of its own.
	 *
	 * @throws {LogAppendError} not retryable; nothing is left behind.
	 */
	push(record: LogRecord): void {
		const isJump = record.seq !== this.#nextSeq || isGap(record)
		if (isJump) this.seal()
		if (this.#frameRows === FRAME_ROWS_MAX) throw tooLarge(record.seq, `${FRAME_ROWS_MAX} records`)
		const first = this.#frameRows === 0
		const baseTsMs = first ? record.tsMs : this.#frameTsMs
		this.#rows.encode(record, baseTsMs)
		if (this.#rows.lengthMax > FRAME_BYTES_MAX - 64) throw tooLarge(record.seq, `${FRAME_BYTES_MAX} bytes`)
		if (first) {
			this.#frameSeq = record.seq
			this.#frameTsMs = baseTsMs
		}
		this.#nextSeq = record.seq + 1
		this.#frameRows++
		this.#count(record)
	}

	/** Finishes the open frame, and an anchor behind it when one is due. */
	seal(): void {
		if (this.#frameRows === 0) return
		const ascii = this.#rows.finish()
		this.#reserve(frameBytesMax(this.#rows.length))
		const frame = {
			flags: this.#frameFlags | (ascii ? FLAG_ASCII : 0),
			epoch: this.#writer.epoch,
			baseSeq: this.#frameSeq,
			baseTsMs: this.#frameTsMs,
			rows: this.#frameRows,
		}
		const pos = this.#end - this.#base
		this.#end += encodeFrame(this.#bytes, pos, frame, this.#rows, this.#end, this.#identity.idChecksum)
		this.frames++
		this.#sealedSeq = this.#nextSeq - 1
		this.#sumUp(this.#frameLevels, {
			minTsMs: this.#frameMinTsMs,
			maxTsMs: this.#frameMaxTsMs,
			presence: this.#framePresence,
		})
		this.#openFrame()
		this.#anchorWhenDue()
	}

	/** Takes over a frame of another file, whose seqs must come next: the same bytes, at their new place. The open frame must be empty. */
	copyFrame(frame: Frame): void {
		this.#reserve(frame.length)
		const pos = this.#end - this.#base
		const start = frame.rowsEnd - frame.length
		frame.bytes.copy(this.#bytes, pos, start, frame.rowsEnd)
		relocateFrame(this.#bytes, pos, frame.length, this.#end, this.#identity.idChecksum)
		this.#end += frame.length
		this.frames++
		this.#nextSeq = frame.baseSeq + frame.rows
		this.#sealedSeq = this.#nextSeq - 1
		const { levelCounts, extent } = frameSums(frame)
		this.#sumUp(levelCounts, extent)
		this.#anchorWhenDue()
	}

	#sumUp(levelCounts: readonly number[], extent: Extent): void {
		addLevelCounts(this.#levelCounts, levelCounts)
		this.#extent = joinExtents(this.#extent, extent)
	}

	#anchorWhenDue(): void {
		if (this.#end - this.#spanStart >= SPAN_BYTES_TARGET) this.anchor('span', 0)
	}

	/** Forgets the open frame, whose records the caller still has: the half of a batch that could not be taken. */
	discardOpen(): void {
		if (this.#frameRows > 0) this.#nextSeq = this.#sealedSeq + 1
		this.#openFrame()
	}

	/** Writes an anchor behind what is finished. The open frame must be empty. `as` repeats one of another file. */
	anchor(reason: AnchorReason, detail: number, as?: Pick<Anchor, 'epoch' | 'bootId' | 'writtenMs'>): void {
		const jumps = reason === 'sealed' ? this.#jumps.seal(this.#end, this.#extent) : undefined
		const anchor: Omit<Anchor, 'link'> = {
			offset: this.#end,
			reason,
			epoch: as?.epoch ?? this.#writer.epoch,
			bootId: as?.bootId ?? this.#writer.bootId,
			writtenMs: as?.writtenMs ?? this.#writer.clock(),
			nextSeq: this.#nextSeq,
			levelCounts: this.#levelCounts,
			span: this.#extent,
			durableOffset: this.durableOffset,
			keptFromSeq: this.keptFromSeq,
			previousOffset: this.#lastAnchorOffset,
			...(jumps ?? this.#jumps.next(this.#end, this.#extent)),
			detail,
		}
		const span = {
			previousLink: this.#link,
			bytes: this.#bytes.subarray(this.#spanStart - this.#base, this.#end - this.#base),
		}
		const bytes = encodeAnchor(this.#identity, anchor, span)
		this.#link = Uint8Array.from(bytes.subarray(ANCHOR_BYTES - 32))
		this.#lastAnchorOffset = this.#end
		this.#append(bytes)
		this.#spanStart = this.#end
		this.#extent = EMPTY_EXTENT
		this.anchors++
	}

	/** Lets go of bytes that are written and linked. */
	release(writtenOffset: number): void {
		const keepFrom = Math.max(this.#base, Math.min(writtenOffset, this.#spanStart))
		if (keepFrom === this.#base) return
		this.#bytes.copyWithin(0, keepFrom - this.#base, this.#end - this.#base)
		this.#base = keepFrom
	}

	#openFrame(): void {
		this.#rows.reset()
		this.#frameRows = 0
		this.#frameFlags = 0
		this.#framePresence = PRESENCE_PLAIN
		this.#frameLevels.fill(0)
		this.#frameMinTsMs = Number.POSITIVE_INFINITY
		this.#frameMaxTsMs = Number.NEGATIVE_INFINITY
	}

	#count(record: LogRecord): void {
		const level = levelIndex(record.level)
		this.#frameFlags |= 1 << level
		if (isOwnKind(record.kind)) {
			this.#frameFlags |= FLAG_CONTROL
			this.#framePresence &= ~PRESENCE_PLAIN
			if (isGap(record)) {
				this.#framePresence |= PRESENCE_GAP
				return
			}
		}
		this.#framePresence |= 1 << level
		this.#frameLevels[level]! += 1
		if (record.tsMs < this.#frameMinTsMs) this.#frameMinTsMs = record.tsMs
		if (record.tsMs > this.#frameMaxTsMs) this.#frameMaxTsMs = record.tsMs
	}

	#append(bytes: Uint8Array): void {
		this.#reserve(bytes.length)
		this.#bytes.set(bytes, this.#end - this.#base)
		this.#end += bytes.length
	}

	#reserve(bytes: number): void {
		const held = this.#end - this.#base
		if (held + bytes <= this.#bytes.length) return
		const grown = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, held + bytes))
		this.#bytes.copy(grown, 0, 0, held)
		this.#bytes = grown
	}
}

function tooLarge(seq: number, bound: string): LogAppendError {
	return new LogAppendError(`a frame holds at most ${bound}`, {
		code: 'BATCH_TOO_LARGE',
		retryable: false,
		seq,
	})
}
