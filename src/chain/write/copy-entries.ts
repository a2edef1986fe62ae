/**
 * Copies the entries of one file to the end of another: frames as they are but for their checksums, and the
 * anchors of openings and ends. A `$gap` stands for records between them that cannot be read.
 */
import { type GapCause, gapRecord } from '../../model/record.ts'
import type { OpenFile } from '../../platform/file-system.ts'
import type { Anchor } from '../format/anchor.ts'
import type { Frame } from '../format/frame.ts'
import { firstCovered, rowsOf } from '../scan/frame-rows.ts'
import { type ScanEntry, Scanner } from '../scan/scan.ts'
import { type ByteRange, scanRange } from '../scan/scan-range.ts'
import type { SegmentFile } from './segment-file.ts'

/** Copied bytes wait in memory up to this many, then they are written. */
const HELD_BYTES_MAX = 1024 * 1024

export class EntryCopier {
	readonly #target: SegmentFile
	readonly #cause: GapCause
	readonly #anchorsUnreadable: boolean
	/** Epoch and time of the last entry. */
	#at = { epoch: 1, tsMs: 0 }
	records = 0
	/** Records that `$gap`s stand for. */
	lost = 0
	/** The last of them. */
	lostUpTo = 0
	/** Bytes that could not be read. */
	unreadableBytes = 0

	/**
	 * @param anchorsUnreadable whether an anchor `repaired` is written where bytes, or the rows of a frame,
	 * cannot be read.
	 */
	constructor(target: SegmentFile, cause: GapCause, anchorsUnreadable = false) {
		this.#target = target
		this.#cause = cause
		this.#anchorsUnreadable = anchorsUnreadable
	}

	/** The epoch of the last entry. */
	get epoch(): number {
		return this.#at.epoch
	}

	/** Copies the entries in a part of a file. */
	fromFile(source: OpenFile, idChecksum: number, range: ByteRange): void {
		scanRange(source, idChecksum, range, (entry) => this.take(entry))
	}

	/** Copies the entries in bytes whose place in their file is `offset`. */
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

	/** Writes a `$gap` for the records that are missing before `nextSeq`. */
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
		// A file holds each seq once; a frame that steps back is older than what is there already.
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
