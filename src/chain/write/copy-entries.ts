/**
 * Copies entries from one file to the end of another file. Frames stay unchanged except for their checksums.
 * Anchors are copied unless they are `span` or `sealed` anchors. A `$gap` replaces records that cannot be
 * read.
 */
import { type GapCause, gapRecord } from '../../model/record.ts'
import type { OpenFile } from '../../platform/file-system.ts'
import type { Anchor } from '../format/anchor.ts'
import type { Frame } from '../format/frame.ts'
import { firstCovered, rowsOf } from '../scan/frame-rows.ts'
import { type ScanEntry, Scanner } from '../scan/scan.ts'
import { type ByteRange, scanRange } from '../scan/scan-range.ts'
import type { SegmentFile } from './segment-file.ts'

/** Number of buffered bytes that triggers a write. */
const HELD_BYTES_MAX = 1024 * 1024

export class EntryCopier {
	readonly #target: SegmentFile
	readonly #cause: GapCause
	readonly #anchorsUnreadable: boolean
	/** Epoch and time of the last entry. */
	#at = { epoch: 1, tsMs: 0 }
	records = 0
	/** Number of records covered by new `$gap`s. */
	lost = 0
	/** Seq of the last lost record. */
	lostUpTo = 0
	/** Number of bytes that could not be read. */
	unreadableBytes = 0

	/**
	 * @param anchorsUnreadable Whether to write a `repaired` anchor where bytes, or the rows of a frame, cannot
	 * be read.
	 */
	constructor(target: SegmentFile, cause: GapCause, anchorsUnreadable = false) {
		this.#target = target
		this.#cause = cause
		this.#anchorsUnreadable = anchorsUnreadable
	}

	/** Epoch of the last entry. */
	get epoch(): number {
		return this.#at.epoch
	}

	/** Copies the entries in a range of a file. */
	fromFile(source: OpenFile, idChecksum: number, range: ByteRange): void {
		scanRange(source, idChecksum, range, (entry) => this.take(entry))
	}

	/** Copies the entries in `bytes`, which start at `offset` in their file. */
	fromMemory(bytes: Buffer, idChecksum: number, offset: number): void {
		const scanner = new Scanner(idChecksum, offset)
		scanner.push(bytes)
		scanner.end()
		for (let step = scanner.next(); step.type !== 'end'; step = scanner.next()) {
			if (step.type !== 'more') this.take(step)
		}
	}

	take(entry: ScanEntry): void {
		if (entry.type === 'frame') this.#frame(entry.frame)
		else if (entry.type === 'anchor') this.#anchor(entry.anchor)
		else this.#unreadable(entry.place.bytes)
		if (this.#target.pendingBytes >= HELD_BYTES_MAX) this.#target.write()
	}

	/** Writes a `$gap` for the records missing before `nextSeq`. */
	upTo(nextSeq: number): void {
		const { tail } = this.#target
		if (nextSeq <= tail.nextSeq) return
		const gap = {
			fromSeq: tail.nextSeq,
			toSeq: nextSeq - 1,
			count: nextSeq - tail.nextSeq,
			cause: this.#cause,
		}
		this.lost += gap.count
		this.lostUpTo = gap.toSeq
		tail.push(gapRecord(gap, this.#at))
		tail.seal()
	}

	#frame(frame: Frame): void {
		const { tail } = this.#target
		this.#at = { epoch: frame.epoch, tsMs: frame.baseTsMs }
		// A file contains each seq once, so a frame with a lower seq is a duplicate.
		if (frame.baseSeq < tail.nextSeq) return
		this.upTo(firstCovered(frame))
		if (this.#anchorsUnreadable && rowsOf(frame) === undefined) {
			this.#unreadable(frame.length)
			this.upTo(frame.baseSeq + frame.rows)
			return
		}
		tail.copyFrame(frame)
		this.records += frame.rows
	}

	#unreadable(bytes: number): void {
		this.unreadableBytes += bytes
		if (this.#anchorsUnreadable) this.#target.tail.anchor('repaired', bytes)
	}

	#anchor(anchor: Anchor): void {
		this.#at = { epoch: anchor.epoch, tsMs: anchor.writtenMs }
		this.upTo(anchor.nextSeq)
		const { reason, detail } = anchor
		if (reason !== 'span' && reason !== 'sealed') this.#target.tail.anchor(reason, detail, anchor)
	}
}
