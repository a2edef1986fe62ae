/**
 * Keeps the end of a chain in memory: all bytes since the newest anchor, because the link of the next anchor
 * covers them, and all bytes that are not yet written. Accepts records, and produces frames and anchors. Does
 * no I/O.
 *
 * Invariant: `base <= min(written, spanStart)`, and everything from `base` to `end` is in memory.
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

/** Approximate number of bytes between two anchors. */
const SPAN_BYTES_TARGET = 64 * 1024
/**
 * Number of rows and number of row bytes at which a frame is finished. Only a batch, or the last record of a
 * frame, can exceed these numbers.
 */
const FRAME_ROWS_TARGET = 250
const FRAME_BYTES_TARGET = 16 * 1024

interface BorrowedEntries {
	readonly bytes: Buffer
	readonly start: number
	readonly end: number
	/** Seq of the last record in the bytes. If they contain no record, 0 or the seq of an earlier record. */
	readonly lastSeq: number
}

/** The state in which a buffer starts: at the end of a file, or after the header of a new file. */
export interface TailStart extends Pick<ChainEnd, 'anchor' | 'tail' | 'end' | 'extent' | 'jumpPath'> {
	readonly nextSeq: number
	readonly levelCounts: readonly number[]
	readonly keptFromSeq: number
}

/** Returns the state for a new file that continues after another file. */
export function startOfFile(before: Pick<TailStart, 'nextSeq' | 'levelCounts' | 'keptFromSeq'>): TailStart {
	const { nextSeq, levelCounts, keptFromSeq } = before
	const nothing = { anchor: undefined, tail: Buffer.alloc(0), extent: EMPTY_EXTENT, jumpPath: [] }
	return { ...nothing, end: HEADER_BYTES, nextSeq, levelCounts, keptFromSeq }
}

export class TailBuffer {
	readonly #identity: ChainIdentity
	readonly #writer: RowWriter
	/** Offset below which everything is on disk. The next anchor records this offset. */
	durableOffset: number
	/** First seq that retention keeps. */
	keptFromSeq: number
	/** The open frame. */
	readonly #frame = new FrameInProgress()
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

	/** Expected seq of the next record. */
	get nextSeq(): number {
		return this.#nextSeq
	}

	/** Offset in the file at which the last finished entry ends. */
	get end(): number {
		return this.#end
	}

	/** Number of records in the chain so far, by level, not counting records in the open frame. */
	get levelCounts(): readonly number[] {
		return this.#levelCounts
	}

	/** Link of the newest anchor. */
	get link(): Uint8Array {
		return this.#link
	}

	/** Number of row bytes in the open frame. */
	get openBytes(): number {
		return this.#frame.bytes
	}

	/**
	 * Returns finished entries, starting with the one at `from`: as many complete entries as `bytesMax` allows,
	 * but at least one. They are in `bytes[start, end)`, and are valid until the next call to any method.
	 */
	entriesBorrow(from: number, bytesMax: number): BorrowedEntries {
		const bytes = this.#bytes
		const start = from - this.#base
		const end = this.#end - this.#base
		if (end - start <= bytesMax) return { bytes, start, end, lastSeq: this.#sealedSeq }
		let lastSeq = 0
		let pos = start
		do {
			const length = looksLikeFrame(bytes, pos) ? (claimedLength(bytes, pos) ?? end - pos) : ANCHOR_BYTES
			if (pos > start && pos + length - start > bytesMax) break
			const head = readFrameHeader(bytes, pos, pos + length, 0)
			if (looksLikeFrame(bytes, pos) && head !== undefined) lastSeq = head.baseSeq + head.rows - 1
			pos += length
		} while (pos < end)
		return { bytes, start, end: pos, lastSeq }
	}

	/** Offset of the first byte that is in memory. */
	get heldFrom(): number {
		return this.#base
	}

	/**
	 * Returns all finished entries from offset `from` on. The byte at that offset must be in memory. The result
	 * is valid until the next call to any method.
	 */
	heldBorrow(from: number): Buffer {
		return this.#bytes.subarray(from - this.#base, this.#end - this.#base)
	}

	/** Whether the open frame has reached its target size. */
	get frameIsFull(): boolean {
		return this.#frame.isFull
	}

	/**
	 * Adds one record to the open frame. A `$gap` starts a new frame, and its seq may be higher than the next
	 * seq.
	 *
	 * @throws {LogAppendError} If the record cannot be added. The error is not retryable, and the record is not
	 * in the frame.
	 */
	push(record: LogRecord): void {
		if (record.seq !== this.#nextSeq || isGap(record)) this.seal()
		this.#frame.push(record)
		this.#nextSeq = record.seq + 1
	}

	/** Finishes the open frame, and adds an anchor after it if one is due. */
	seal(): void {
		const frame = this.#frame
		if (frame.isEmpty) return
		this.#reserve(frame.finish())
		const pos = this.#end - this.#base
		this.#end += frame.encode(this.#bytes, pos, this.#writer.epoch, this.#end, this.#identity.idChecksum)
		this.frames++
		this.#sealedSeq = this.#nextSeq - 1
		this.#sumUp(frame.levelCounts, frame.extent)
		frame.clear()
		this.#anchorWhenDue()
	}

	/**
	 * Copies a frame from another file. The bytes stay the same, except for the checksum. The frame must follow
	 * the last one without missing seqs, and the open frame must be empty.
	 */
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

	/**
	 * Discards the open frame. Called if a record of a batch is refused after earlier records of the batch were
	 * added to the frame.
	 */
	discardOpen(): void {
		if (!this.#frame.isEmpty) this.#nextSeq = this.#sealedSeq + 1
		this.#frame.clear()
	}

	/**
	 * Adds an anchor after the last finished entry. The open frame must be empty. `as` supplies the epoch, boot
	 * id and time of an anchor that is copied from another file.
	 */
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

	/** Frees bytes that have been written and are covered by the link of an anchor. */
	release(writtenOffset: number): void {
		const keepFrom = Math.max(this.#base, Math.min(writtenOffset, this.#spanStart))
		if (keepFrom === this.#base) return
		this.#bytes.copyWithin(0, keepFrom - this.#base, this.#end - this.#base)
		this.#base = keepFrom
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

/** The open frame: the rows of its records, and their summary for the frame's header and the next anchor. */
class FrameInProgress {
	readonly #rows = new RowEncoder()
	#count = 0
	#baseSeq = 0
	#baseTsMs = 0
	#flags = 0
	#isAscii = false
	readonly #levels = new Array<number>(LOG_LEVELS.length).fill(0)
	#presence = PRESENCE_PLAIN
	#minTsMs = Number.POSITIVE_INFINITY
	#maxTsMs = Number.NEGATIVE_INFINITY

	get isEmpty(): boolean {
		return this.#count === 0
	}

	/** Size of the rows, in bytes. */
	get bytes(): number {
		return this.#rows.length
	}

	/** Whether the frame has reached its target size. */
	get isFull(): boolean {
		return this.#count >= FRAME_ROWS_TARGET || this.#rows.length >= FRAME_BYTES_TARGET
	}

	/** Number of records in the frame by level, not counting gaps. Valid until {@link clear} is called. */
	get levelCounts(): readonly number[] {
		return this.#levels
	}

	get extent(): Extent {
		return { minTsMs: this.#minTsMs, maxTsMs: this.#maxTsMs, presence: this.#presence }
	}

	/**
	 * Adds a record.
	 *
	 * @throws {LogAppendError} `BATCH_TOO_LARGE` if the frame would become too large. The error is not
	 * retryable, and the record is not in the frame.
	 */
	push(record: LogRecord): void {
		if (this.#count === FRAME_ROWS_MAX) throw tooLarge(record.seq, `${FRAME_ROWS_MAX} records`)
		const isFirst = this.#count === 0
		const baseTsMs = isFirst ? record.tsMs : this.#baseTsMs
		const fits = this.#rows.encode(record, baseTsMs, FRAME_BYTES_MAX - 64)
		if (!fits) throw tooLarge(record.seq, `${FRAME_BYTES_MAX} bytes`)
		if (isFirst) {
			this.#baseSeq = record.seq
			this.#baseTsMs = baseTsMs
		}
		this.#count++
		this.#addUp(record)
	}

	/** Finishes the rows. Returns the maximum size of the encoded frame, in bytes. */
	finish(): number {
		this.#isAscii = this.#rows.finish()
		return frameBytesMax(this.#rows.length)
	}

	/**
	 * Writes the finished frame to `target`, starting at `pos`. Returns the length of the frame.
	 *
	 * @param offset Offset of the frame in its file.
	 */
	encode(target: Buffer, pos: number, epoch: number, offset: number, idChecksum: number): number {
		const header = {
			flags: this.#flags | (this.#isAscii ? FLAG_ASCII : 0),
			epoch,
			baseSeq: this.#baseSeq,
			baseTsMs: this.#baseTsMs,
			rows: this.#count,
		}
		return encodeFrame(target, pos, header, this.#rows, offset, idChecksum)
	}

	/** Removes all rows. */
	clear(): void {
		this.#rows.reset()
		this.#count = 0
		this.#flags = 0
		this.#presence = PRESENCE_PLAIN
		// A loop, because `fill` would cost more than the rest of a small frame's summary.
		for (let level = 0; level < this.#levels.length; level++) this.#levels[level] = 0
		this.#minTsMs = Number.POSITIVE_INFINITY
		this.#maxTsMs = Number.NEGATIVE_INFINITY
	}

	#addUp(record: LogRecord): void {
		const level = levelIndex(record.level)
		this.#flags |= 1 << level
		if (isOwnKind(record.kind)) {
			this.#flags |= FLAG_CONTROL
			this.#presence &= ~PRESENCE_PLAIN
			if (isGap(record)) {
				this.#presence |= PRESENCE_GAP
				return
			}
		}
		this.#presence |= 1 << level
		this.#levels[level]! += 1
		if (record.tsMs < this.#minTsMs) this.#minTsMs = record.tsMs
		if (record.tsMs > this.#maxTsMs) this.#maxTsMs = record.tsMs
	}
}

function tooLarge(seq: number, bound: string): LogAppendError {
	return new LogAppendError(`a frame can contain at most ${bound}`, {
		code: 'BATCH_TOO_LARGE',
		retryable: false,
		seq,
	})
}
