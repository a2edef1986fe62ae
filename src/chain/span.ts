/**
 * The bytes of a chain's end in memory: everything since the newest anchor (its hash link needs them) and everything not
 * yet written. Rows go in, frames and anchors come out; no I/O.
 *
 * Invariant: `base <= min(written, spanStart)` and everything from there to `end` is held.
 */
import { createHash } from 'node:crypto'
import { RowEncoder } from '../codec/row-encoder.ts'
import { LogAppendError } from '../errors.ts'
import { isGap, LOG_LEVELS, type LogRecord, levelIndex } from '../record.ts'
import {
	ANCHOR_BYTES,
	type Anchor,
	type AnchorReason,
	EMPTY_EXTENT,
	type Extent,
	encodeAnchor,
	joinExtents,
	PRESENCE_GAP,
} from './format/anchor.ts'
import {
	claimedLength,
	encodeFrame,
	FLAG_ASCII,
	FLAG_CONTROL,
	FRAME_BYTES_MAX,
	frameBytesMax,
	looksLikeFrame,
	readFrameHead,
} from './format/frame.ts'
import { Jumps } from './jumps.ts'
import type { ChainEnd, ChainIdentity } from './recovery.ts'

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

export class Span {
	readonly #identity: ChainIdentity
	readonly #clock: () => number
	/** Everything below it is on disk, as far as the next anchor can know. */
	durableOffset: number
	readonly #rows = new RowEncoder()
	readonly epoch: number
	#bytes = Buffer.allocUnsafeSlow(2 * SPAN_BYTES_TARGET)
	#base: number
	#end: number
	#spanStart: number
	#link: Uint8Array
	#lastAnchorOffset: number
	readonly #jumps: Jumps

	#nextSeq: number
	#sealedSeq: number
	#sealedRecords = 0
	#levelCounts: number[]
	#extent: Extent

	#frameSeq = 0
	#frameTsMs = 0
	#frameRows = 0
	#frameFlags = 0
	#frameLevels = new Array<number>(LOG_LEVELS.length).fill(0)
	#framePresence = 0
	#frameMinTsMs = Number.POSITIVE_INFINITY
	#frameMaxTsMs = Number.NEGATIVE_INFINITY

	frames = 0
	anchors = 0

	constructor(identity: ChainIdentity, end: ChainEnd, clock: () => number) {
		this.#identity = identity
		this.#clock = clock
		this.durableOffset = end.anchor?.durableOffset ?? 0
		this.epoch = end.epoch + 1
		this.#spanStart = end.end - end.tail.length
		this.#base = this.#spanStart
		this.#end = this.#base
		this.#append(end.tail)
		this.#link = end.anchor?.link ?? createHash('sha256').update(identity.headerBytes).digest()
		this.#lastAnchorOffset = end.anchor?.offset ?? 0
		this.#nextSeq = end.nextSeq
		this.#sealedSeq = end.nextSeq - 1
		this.#levelCounts = end.levelCounts
		this.#extent = end.extent
		this.#jumps = new Jumps(end.jumpPath)
	}

	/** The seq that the next record must have. */
	get nextSeq(): number {
		return this.#nextSeq
	}

	/** The last seq that stands in a finished frame. */
	get sealedSeq(): number {
		return this.#sealedSeq
	}

	/** The file offset behind the last finished entry. */
	get end(): number {
		return this.#end
	}

	/** Bytes of rows that are in no frame yet. */
	get openBytes(): number {
		return this.#rows.length
	}

	/** Records that are in no frame yet. */
	get openRecords(): number {
		return this.#frameRows
	}

	/** Records in finished frames since this opening. */
	get sealedRecords(): number {
		return this.#sealedRecords
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
			const head = readFrameHead(bytes, pos, pos + length, 0)
			if (looksLikeFrame(bytes, pos) && head !== undefined) lastSeq = head.baseSeq + head.rows - 1
			pos += length
		} while (pos < end)
		return { bytes, start, end: pos, lastSeq }
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
		const first = this.#frameRows === 0
		const baseTsMs = first ? record.tsMs : this.#frameTsMs
		this.#rows.encode(record, baseTsMs)
		if (this.#rows.lengthMax > FRAME_BYTES_MAX - 64) {
			throw this.#tooLarge(record.seq)
		}
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
			epoch: this.epoch,
			baseSeq: this.#frameSeq,
			baseTsMs: this.#frameTsMs,
			rows: this.#frameRows,
		}
		const pos = this.#end - this.#base
		this.#end += encodeFrame(this.#bytes, pos, frame, this.#rows, this.#end, this.#identity.idChecksum)
		this.frames++
		this.#sealedRecords += this.#frameRows
		this.#sealedSeq = this.#nextSeq - 1
		for (let index = 0; index < LOG_LEVELS.length; index++) {
			this.#levelCounts[index]! += this.#frameLevels[index]!
		}
		this.#extent = joinExtents(this.#extent, {
			minTsMs: this.#frameMinTsMs,
			maxTsMs: this.#frameMaxTsMs,
			presence: this.#framePresence,
		})
		this.#openFrame()
		if (this.#end - this.#spanStart >= SPAN_BYTES_TARGET) this.anchor('span', 0)
	}

	/** Forgets the open frame, whose records the caller still has: the half of a batch that could not be taken. */
	discardOpen(): void {
		if (this.#frameRows > 0) this.#nextSeq = this.#sealedSeq + 1
		this.#openFrame()
	}

	/** Writes an anchor behind what is finished. The open frame must be empty. */
	anchor(reason: AnchorReason, detail: number): void {
		const anchor: Omit<Anchor, 'link'> = {
			offset: this.#end,
			reason,
			epoch: this.epoch,
			writtenMs: this.#clock(),
			nextSeq: this.#nextSeq,
			levelCounts: this.#levelCounts,
			span: this.#extent,
			durableOffset: this.durableOffset,
			previousOffset: this.#lastAnchorOffset,
			...this.#jumps.next(this.#end, this.#extent),
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
		const keepFrom = Math.min(writtenOffset, this.#spanStart)
		if (keepFrom === this.#base) return
		this.#bytes.copyWithin(0, keepFrom - this.#base, this.#end - this.#base)
		this.#base = keepFrom
	}

	#openFrame(): void {
		this.#rows.reset()
		this.#frameRows = 0
		this.#frameFlags = 0
		this.#framePresence = 0
		this.#frameLevels.fill(0)
		this.#frameMinTsMs = Number.POSITIVE_INFINITY
		this.#frameMaxTsMs = Number.NEGATIVE_INFINITY
	}

	#count(record: LogRecord): void {
		const level = levelIndex(record.level)
		this.#frameFlags |= 1 << level
		if (record.kind.charCodeAt(0) === 36 /* $ */) {
			this.#frameFlags |= FLAG_CONTROL
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

	#tooLarge(seq: number): LogAppendError {
		return new LogAppendError(`a frame holds at most ${FRAME_BYTES_MAX} bytes`, {
			code: 'BATCH_TOO_LARGE',
			retryable: false,
			seq,
		})
	}
}
