/**
 * Holds the end of a chain in memory: everything since the newest anchor, whose hash link needs it, and
 * everything that is not yet written. Takes records, and produces frames and anchors; no I/O.
 *
 * Invariant: `base <= min(written, spanStart)`, and everything from `base` to `end` is held.
 */
import { isGap, type LogRecord } from '../../model/record.ts'
import {
	ANCHOR_BYTES,
	type Anchor,
	type AnchorReason,
	addLevelCounts,
	EMPTY_EXTENT,
	type Extent,
	encodeAnchor,
	joinExtents,
} from '../format/anchor.ts'
import { claimedLength, type Frame, looksLikeFrame, readFrameHeader, relocateFrame } from '../format/frame.ts'
import { HEADER_BYTES } from '../format/header.ts'
import { Jumps } from '../format/jumps.ts'
import type { ChainEnd } from '../scan/chain-end.ts'
import { frameSums } from '../scan/frame-rows.ts'
import { type ChainIdentity, headerLink } from '../scan/identity.ts'
import { FrameInProgress } from './frame-in-progress.ts'
import type { RowWriter } from './segment-context.ts'

/** Approximate number of bytes between two anchors. */
const SPAN_BYTES_TARGET = 64 * 1024

interface BorrowedEntries {
	readonly bytes: Buffer
	readonly start: number
	readonly end: number
	/** Seq of the last record in the bytes; 0 if they hold none. */
	readonly lastSeq: number
}

/** The start of a tail: at the end of a file, or after the header of a new one. */
export interface TailStart extends Pick<ChainEnd, 'anchor' | 'tail' | 'end' | 'extent' | 'jumpPath'> {
	readonly nextSeq: number
	readonly levelCounts: readonly number[]
	readonly keptFromSeq: number
}

/** Returns the start of a new file that continues where another ended. */
export function startOfFile(before: Pick<TailStart, 'nextSeq' | 'levelCounts' | 'keptFromSeq'>): TailStart {
	const { nextSeq, levelCounts, keptFromSeq } = before
	const nothing = { anchor: undefined, tail: Buffer.alloc(0), extent: EMPTY_EXTENT, jumpPath: [] }
	return { ...nothing, end: HEADER_BYTES, nextSeq, levelCounts, keptFromSeq }
}

export class TailBuffer {
	readonly #identity: ChainIdentity
	readonly #writer: RowWriter
	/** Offset below which everything is on disk, for the next anchor. */
	durableOffset: number
	/** First seq that retention has left. */
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

	/** Seq that the next record must have. */
	get nextSeq(): number {
		return this.#nextSeq
	}

	/** End of the last finished entry, as an offset in the file. */
	get end(): number {
		return this.#end
	}

	/** Number of records in the chain so far, by level, without those of the open frame. */
	get levelCounts(): readonly number[] {
		return this.#levelCounts
	}

	/** Link of the newest anchor. */
	get link(): Uint8Array {
		return this.#link
	}

	/** Bytes of rows in the open frame. */
	get openBytes(): number {
		return this.#frame.bytes
	}

	/**
	 * Returns finished entries from the offset of one: all of them, or as many whole ones as `bytesMax`
	 * allows, but at least one. They are `bytes[start, end)`, valid until the next call of any method.
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

	/** Offset of the first byte that is held. */
	get heldFrom(): number {
		return this.#base
	}

	/**
	 * Returns everything finished from an offset on, which must be held; valid until the next call of any
	 * method.
	 */
	heldBorrow(from: number): Buffer {
		return this.#bytes.subarray(from - this.#base, this.#end - this.#base)
	}

	/** Whether the open frame has reached its target size. */
	get frameIsFull(): boolean {
		return this.#frame.isFull
	}

	/**
	 * Adds one record to the open frame. A `$gap`, whose seq may be ahead, opens a frame of its own.
	 *
	 * @throws {LogAppendError} not retryable; the record is not in the frame.
	 */
	push(record: LogRecord): void {
		if (record.seq !== this.#nextSeq || isGap(record)) this.seal()
		this.#frame.push(record)
		this.#nextSeq = record.seq + 1
	}

	/** Finishes the open frame, and writes an anchor after it when one is due. */
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
	 * Copies a frame of another file, whose seqs must come next: the same bytes with a new checksum. The open
	 * frame must be empty.
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

	/** Discards the open frame, when a record of a batch was refused after others were accepted. */
	discardOpen(): void {
		if (!this.#frame.isEmpty) this.#nextSeq = this.#sealedSeq + 1
		this.#frame.clear()
	}

	/**
	 * Writes an anchor after the last finished entry. The open frame must be empty. `as` repeats an anchor of
	 * another file.
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

	/** Frees bytes that are both written and linked. */
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
