/**
 * Follows the seqs of a chain and says what is missing: turns places that cannot be read into gaps with a range. Explicit `$gap`
 * records in the file explain themselves and are passed over here.
 */

import { SEQ_MAX } from '../../model/limits.ts'
import { type GapData, gapRecord, type LogRecord } from '../../model/record.ts'
import { asUnexplained } from '../answer.ts'
import type { Anchor } from '../format/anchor.ts'
import type { Frame } from '../format/frame.ts'
import { firstCovered } from './frame-rows.ts'
import type { UnreadableRange } from './scan.ts'

/** What must be known of a file to say what is missing in it. */
export interface WalkedFile {
	readonly firstSeq: number
	/**
	 * Whether a power loss explains that what stands at this offset cannot be read, given the boot id of the newest anchor before it. Asked of
	 * the last file alone: what a crash left in any other one was dealt with when the next one was begun.
	 */
	readonly isUnsynced?: (offset: number, bootId: Uint8Array | undefined) => boolean
	/** Another file follows: what is missing at the end of this one shows by its first seq. */
	readonly isFollowed?: boolean
}

/** Where a walk is between two entries. */
export interface ContinuityMark {
	readonly nextSeq: number
	readonly epoch: number
	readonly tsMs: number
	readonly cause: GapData['cause']
	readonly bootId: Uint8Array | undefined
}

export class Continuity {
	/** The seq that comes next if nothing is missing. */
	nextSeq: number
	epoch: number
	/** Of the entry that was met last: a gap has the time of what stands behind it, wherever the walk began. */
	#tsMs = 0
	/** Of the newest anchor. */
	#bootId: Uint8Array | undefined
	readonly #isUnsynced: NonNullable<WalkedFile['isUnsynced']>
	readonly #isFollowed: boolean
	/** Why the records are absent that are missing before the next entry. */
	#cause: GapData['cause'] = 'damaged'

	/** @param anchor where the walk begins; undefined for the beginning of the file. */
	constructor(anchor: Anchor | undefined, { firstSeq, isUnsynced, isFollowed = false }: WalkedFile) {
		this.#isFollowed = isFollowed
		this.#isUnsynced = isUnsynced ?? (() => false)
		this.nextSeq = anchor?.nextSeq ?? firstSeq
		this.epoch = anchor?.epoch ?? 1
		this.#bootId = anchor?.bootId
		this.#tsMs = anchor?.writtenMs ?? 0
	}

	/** The gap before a frame, if one is missing and unexplained; moves past the frame. */
	frame(frame: Frame): LogRecord<'$gap', GapData> | undefined {
		const covered = frame.baseSeq > this.nextSeq ? firstCovered(frame) : frame.baseSeq
		this.#tsMs = frame.baseTsMs
		const gap = covered > this.nextSeq ? this.#gap(covered - 1) : undefined
		this.nextSeq = Math.max(this.nextSeq, frame.baseSeq + frame.rows)
		this.epoch = frame.epoch
		this.#cause = 'damaged'
		return gap
	}

	/** The gap before an anchor, if records are missing there; moves past the anchor. */
	anchor(anchor: Anchor): LogRecord<'$gap', GapData> | undefined {
		this.#tsMs = anchor.writtenMs
		const gap = anchor.nextSeq > this.nextSeq ? this.#gap(anchor.nextSeq - 1) : undefined
		this.nextSeq = Math.max(this.nextSeq, anchor.nextSeq)
		this.epoch = anchor.epoch
		this.#bootId = anchor.bootId
		this.#cause = 'damaged'
		return gap
	}

	/**
	 * The gap that a bad place with nothing behind it stands for. What it held is known only from its own word, if at all; a
	 * place that held no records (a torn entry was never committed, an anchor has none) gives none.
	 */
	bad(place: UnreadableRange): LogRecord<'$gap', GapData> | undefined {
		const isUnsynced = this.isUnsynced(place)
		if (!place.atEnd) this.#cause = isUnsynced ? 'unsynced' : 'damaged'
		if (!place.atEnd || this.#isFollowed) return undefined
		if (isUnsynced) return undefined
		return this.upTo(seqBehind(place, this.nextSeq))
	}

	/** Whether a power loss explains a bad place that comes next. */
	isUnsynced({ offset }: UnreadableRange): boolean {
		return !this.#isFollowed && this.#isUnsynced(offset, this.#bootId)
	}

	/** The gap before the seq that is known to come next, from the file behind this one. */
	upTo(nextSeq: number, cause?: GapData['cause']): LogRecord<'$gap', GapData> | undefined {
		if (nextSeq <= this.nextSeq) return undefined
		if (cause !== undefined) this.#cause = cause
		return this.#gap(nextSeq - 1)
	}

	/** Everything it knows: a walk of the same file that goes on here has the same gaps. */
	mark(): ContinuityMark {
		const { nextSeq, epoch } = this
		return { nextSeq, epoch, tsMs: this.#tsMs, cause: this.#cause, bootId: this.#bootId }
	}

	goOnAt({ nextSeq, epoch, tsMs, cause, bootId }: ContinuityMark): void {
		this.nextSeq = nextSeq
		this.epoch = epoch
		this.#tsMs = tsMs
		this.#cause = cause
		this.#bootId = bootId
	}

	#gap(toSeq: number): LogRecord<'$gap', GapData> {
		const { nextSeq: fromSeq, epoch } = this
		const gap: GapData = { fromSeq, toSeq, count: toSeq - fromSeq + 1, cause: this.#cause }
		this.nextSeq = toSeq + 1
		this.#cause = 'damaged'
		const found = gapRecord(gap, { epoch, tsMs: this.#tsMs })
		return gap.cause === 'damaged' ? asUnexplained(found) : found
	}
}

/**
 * The seq that comes next behind an unreadable end, which is no unsynced one: what may have been committed there is lost, so that it is
 * at least one more. Writers, readers and repairs ask here, so that all of them skip the same seqs.
 */
export function seqBehind({ remains }: UnreadableRange, nextSeq: number): number {
	if (!remains.mayHoldRecords) return nextSeq
	let next = nextSeq
	for (const frame of remains.frames) {
		// Where its base seq was damaged, the rows alone count.
		const jump = firstCovered(frame) === next ? frame.baseSeq - next : 0
		next += jump + frame.rows
	}
	// A header of a higher first seq would be none.
	return Math.min(Math.max(next, nextSeq + 1), SEQ_MAX + 1)
}

/** What stands for a frame whose checksum holds and whose rows are no records: something else than mesh-chain wrote it. */
export function unreadableRows(frame: Frame): LogRecord<'$gap', GapData> {
	const { baseSeq: fromSeq, rows: count, epoch, baseTsMs: tsMs } = frame
	const data = { fromSeq, toSeq: fromSeq + count - 1, count, cause: 'damaged' } as const
	return asUnexplained(gapRecord(data, { epoch, tsMs }))
}
