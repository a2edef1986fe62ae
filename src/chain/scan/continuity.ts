/**
 * Follows the seqs of a chain and finds what is missing: makes a gap with a range of seqs of each range that
 * cannot be read. A `$gap` record in the file explains itself and gives no other gap.
 */

import { SEQ_MAX } from '../../model/limits.ts'
import { type GapData, gapRecord, type LogRecord } from '../../model/record.ts'
import { asUnexplained } from '../answer.ts'
import type { Anchor } from '../format/anchor.ts'
import type { Frame } from '../format/frame.ts'
import { firstCovered } from './frame-rows.ts'
import type { ScanEntry, UnreadableRange } from './scan.ts'

/** What must be known of a file to tell what is missing in it. */
export interface WalkedFile {
	readonly firstSeq: number
	/**
	 * Whether a power loss explains that the bytes at this offset cannot be read, given the boot id in the
	 * newest anchor before them. Only used for the last file: what a crash left in another file was handled
	 * when the next file was begun.
	 */
	readonly isUnsynced?: (offset: number, bootId: Uint8Array | undefined) => boolean
	/** Another file follows, whose first seq shows what is missing at the end of this one. */
	readonly isFollowed?: boolean
}

/** What a walk knows between two entries. */
export interface ContinuityState {
	readonly nextSeq: number
	readonly epoch: number
	readonly tsMs: number
	readonly cause: GapData['cause']
	readonly bootId: Uint8Array | undefined
}

export class Continuity {
	/** Seq of the next record if none is missing. */
	nextSeq: number
	epoch: number
	/** Time of the last entry. A gap has the time of the entry that follows it, wherever the walk began. */
	#tsMs = 0
	/** Boot id in the newest anchor. */
	#bootId: Uint8Array | undefined
	readonly #isUnsynced: NonNullable<WalkedFile['isUnsynced']>
	readonly #isFollowed: boolean
	/** Why records that are missing before the next entry are absent. */
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

	/** Moves past an entry; returns the gap before it, or in its place. */
	entry(entry: ScanEntry): LogRecord<'$gap', GapData> | undefined {
		if (entry.type === 'frame') return this.frame(entry.frame)
		return entry.type === 'anchor' ? this.anchor(entry.anchor) : this.bad(entry.place)
	}

	/** Moves past a frame; returns the gap before it where records are missing without an explanation. */
	frame(frame: Frame): LogRecord<'$gap', GapData> | undefined {
		const covered = frame.baseSeq > this.nextSeq ? firstCovered(frame) : frame.baseSeq
		this.#tsMs = frame.baseTsMs
		const gap = covered > this.nextSeq ? this.#gap(covered - 1) : undefined
		this.nextSeq = Math.max(this.nextSeq, frame.baseSeq + frame.rows)
		this.epoch = frame.epoch
		this.#cause = 'damaged'
		return gap
	}

	/** Moves past an anchor; returns the gap before it where records are missing. */
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
	 * Moves past an unreadable range; returns the gap that it stands for where nothing valid follows. Only the
	 * range itself says what it held. One that held no records gives no gap: a torn entry was never committed,
	 * and an anchor has none.
	 */
	bad(place: UnreadableRange): LogRecord<'$gap', GapData> | undefined {
		const isUnsynced = this.isUnsynced(place)
		if (!place.atEnd) this.#cause = isUnsynced ? 'unsynced' : 'damaged'
		if (!place.atEnd || this.#isFollowed) return undefined
		if (isUnsynced) return undefined
		return this.upTo(nextSeqAfter(place, this.nextSeq))
	}

	/** Whether a power loss explains an unreadable range that comes next. */
	isUnsynced({ offset }: UnreadableRange): boolean {
		return !this.#isFollowed && this.#isUnsynced(offset, this.#bootId)
	}

	/** The gap before `nextSeq`, the seq with which the next file begins. */
	upTo(nextSeq: number, cause?: GapData['cause']): LogRecord<'$gap', GapData> | undefined {
		if (nextSeq <= this.nextSeq) return undefined
		if (cause !== undefined) this.#cause = cause
		return this.#gap(nextSeq - 1)
	}

	/** Everything it knows: a walk that resumes from this state finds the same gaps. */
	state(): ContinuityState {
		const { nextSeq, epoch } = this
		return { nextSeq, epoch, tsMs: this.#tsMs, cause: this.#cause, bootId: this.#bootId }
	}

	resumeAt({ nextSeq, epoch, tsMs, cause, bootId }: ContinuityState): void {
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
 * The next seq after an unreadable end that no power loss explains. Records may have been committed there, so
 * at least one seq is skipped. Writers, readers and repairs all use this function, so that they skip the same
 * seqs.
 */
export function nextSeqAfter({ remains }: UnreadableRange, nextSeq: number): number {
	if (!remains.mayHoldRecords) return nextSeq
	let next = nextSeq
	for (const frame of remains.frames) {
		// Where the base seq is damaged, only the number of rows counts.
		const jump = firstCovered(frame) === next ? frame.baseSeq - next : 0
		next += jump + frame.rows
	}
	// No header can hold a higher first seq.
	return Math.min(Math.max(next, nextSeq + 1), SEQ_MAX + 1)
}

/** The gap for a frame that verifies and whose rows are not records: another program wrote it. */
export function unreadableRows(frame: Frame): LogRecord<'$gap', GapData> {
	const { baseSeq: fromSeq, rows: count, epoch, baseTsMs: tsMs } = frame
	const data = { fromSeq, toSeq: fromSeq + count - 1, count, cause: 'damaged' } as const
	return asUnexplained(gapRecord(data, { epoch, tsMs }))
}
