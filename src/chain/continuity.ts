/**
 * Follows the seqs of a chain and says what is missing: turns places that cannot be read into gaps with a range. Explicit `$gap`
 * records in the file explain themselves and are passed over here.
 */

import { decodeRows } from '../codec/row-decoder.ts'
import { GAP_KIND, type GapData, gapRecord, type LogRecord } from '../record.ts'
import type { Anchor } from './format/anchor.ts'
import { FLAG_CONTROL, type Frame } from './format/frame.ts'
import { rowBlockOf } from './recovery.ts'
import type { BadPlace } from './scan.ts'

export class Continuity {
	/** The seq that comes next if nothing is missing. */
	nextSeq: number
	epoch: number
	/** Of the entry that was met last: a gap has the time of what stands behind it, wherever the walk began. */
	#tsMs = 0

	constructor(anchor: Anchor | undefined) {
		this.nextSeq = anchor?.nextSeq ?? 1
		this.epoch = anchor?.epoch ?? 1
		this.#tsMs = anchor?.writtenMs ?? 0
	}

	/** The gap before a frame, if one is missing and unexplained; moves past the frame. */
	frame(frame: Frame): LogRecord<'$gap', GapData> | undefined {
		const covered = frame.baseSeq > this.nextSeq ? firstCovered(frame) : frame.baseSeq
		this.#tsMs = frame.baseTsMs
		const gap = covered > this.nextSeq ? this.#gap(covered - 1) : undefined
		this.nextSeq = Math.max(this.nextSeq, frame.baseSeq + frame.rows)
		this.epoch = frame.epoch
		return gap
	}

	/** The gap before an anchor, if records are missing there; moves past the anchor. */
	anchor(anchor: Anchor): LogRecord<'$gap', GapData> | undefined {
		this.#tsMs = anchor.writtenMs
		const gap = anchor.nextSeq > this.nextSeq ? this.#gap(anchor.nextSeq - 1) : undefined
		this.nextSeq = Math.max(this.nextSeq, anchor.nextSeq)
		this.epoch = anchor.epoch
		return gap
	}

	/**
	 * The gap that a bad place with nothing behind it stands for. What it held is known only from its own word, if at all; a
	 * place that held no records (a torn entry was never committed, an anchor has none) gives none.
	 */
	badEnd(place: BadPlace): LogRecord<'$gap', GapData> | undefined {
		if (!place.atEnd || place.torn || place.maybeAnchor) return undefined
		const { claims } = place
		const claimed = claims !== undefined && claims.baseSeq === this.nextSeq ? claims.rows : 1
		return this.#gap(this.nextSeq + claimed - 1)
	}

	#gap(toSeq: number): LogRecord<'$gap', GapData> {
		const gap: GapData = { fromSeq: this.nextSeq, toSeq, count: toSeq - this.nextSeq + 1, cause: 'damaged' }
		this.nextSeq = toSeq + 1
		return gapRecord(gap, { epoch: this.epoch, tsMs: this.#tsMs })
	}
}

/** The rows of a frame, at or above a level where asked; undefined when its checksum holds and its rows make no sense. */
export function rowsOf(frame: Frame, levelIndexMin = 0): LogRecord[] | undefined {
	try {
		return decodeRows(rowBlockOf(frame), levelIndexMin)
	} catch {
		return undefined
	}
}

/** The first seq a frame speaks for: a `$gap` at its head covers the absent ones before it. */
function firstCovered(frame: Frame): number {
	if ((frame.flags & FLAG_CONTROL) === 0) return frame.baseSeq
	const first = rowsOf(frame)?.[0]
	if (first === undefined || first.kind !== GAP_KIND || first.origin !== undefined) return frame.baseSeq
	return (first.data as GapData).fromSeq
}
