/**
 * Takes the entries of one file over into another: the frames as they are, at their new place; the marks of openings and ends with
 * them. Records that should stand between them and cannot be read leave a `$gap`.
 */

import { type GapCause, gapRecord } from '../../model/record.ts'
import type { FileSystem } from '../../platform/file-system.ts'
import type { Anchor } from '../format/anchor.ts'
import type { Frame } from '../format/frame.ts'
import { scanRange } from '../scan/chain-end.ts'
import { firstCovered, rowsOf } from '../scan/frame-rows.ts'
import { type ScanEntry, Scanner } from '../scan/scan.ts'
import type { SegmentFile } from './segment-file.ts'

/** What is taken over stays in memory up to here, then it is written. */
const HELD_BYTES_MAX = 1024 * 1024

export class EntryCopier {
	readonly #target: SegmentFile
	readonly #cause: GapCause
	readonly #marksUnreadable: boolean
	/** Of the entry met last. */
	#at = { epoch: 1, tsMs: 0 }
	records = 0
	/** Records that `$gap`s stand for. */
	lost = 0
	/** The last of them. */
	lostUpTo = 0
	/** Bytes that could not be read. */
	unreadableBytes = 0

	/** @param marksUnreadable whether an anchor stands where bytes, or the rows of a frame, could not be read, and says so. */
	constructor(target: SegmentFile, cause: GapCause, marksUnreadable = false) {
		this.#target = target
		this.#cause = cause
		this.#marksUnreadable = marksUnreadable
	}

	/** Of the entry met last. */
	get epoch(): number {
		return this.#at.epoch
	}

	/** The entries in `[from, to)` of a file. */
	fromFile(
		system: FileSystem,
		source: { readonly fd: number; readonly idChecksum: number },
		from: number,
		to: number,
	): void {
		scanRange(system, source.fd, source.idChecksum, from, to, (entry) => this.take(entry))
	}

	/** The entries in bytes that stand, or will stand, at `offset` of a file. */
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

	/** Whatever is missing up to there is a gap. */
	upTo(nextSeq: number): void {
		const { span } = this.#target
		if (nextSeq <= span.nextSeq) return
		const gap = {
			fromSeq: span.nextSeq,
			toSeq: nextSeq - 1,
			count: nextSeq - span.nextSeq,
			cause: this.#cause,
		}
		this.lost += gap.count
		this.lostUpTo = gap.toSeq
		span.push(gapRecord(gap, this.#at))
		span.seal()
	}

	#frame(frame: Frame): void {
		const { span } = this.#target
		this.#at = { epoch: frame.epoch, tsMs: frame.baseTsMs }
		// A file holds each seq once; what steps back is older than what stands there already.
		if (frame.baseSeq < span.nextSeq) return
		this.upTo(firstCovered(frame))
		if (this.#marksUnreadable && rowsOf(frame) === undefined) {
			this.#unreadable(frame.length)
			this.upTo(frame.baseSeq + frame.rows)
			return
		}
		span.adopt(frame)
		this.records += frame.rows
	}

	#unreadable(bytes: number): void {
		this.unreadableBytes += bytes
		if (this.#marksUnreadable) this.#target.span.anchor('repaired', bytes)
	}

	#anchor(anchor: Anchor): void {
		this.#at = { epoch: anchor.epoch, tsMs: anchor.writtenMs }
		this.upTo(anchor.nextSeq)
		const { reason, detail } = anchor
		if (reason !== 'span' && reason !== 'sealed') this.#target.span.anchor(reason, detail, anchor)
	}
}
