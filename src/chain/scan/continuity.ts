/**
 * Follows the seqs of a chain, and returns a gap for each range of missing seqs. A seq is not missing if a
 * `$gap` record in the file covers it.
 */
import { SEQ_MAX } from '../../model/limits.ts'
import { type GapData, gapRecord, type LogRecord } from '../../model/record.ts'
import { asUnexplained } from '../answer.ts'
import type { Anchor } from '../format/anchor.ts'
import type { Frame } from '../format/frame.ts'
import { firstCovered } from './frame-rows.ts'
import type { ScanEntry, UnreadableRange } from './scan.ts'

/** The properties of a file that are needed to find missing records. */
export interface WalkedFile {
	readonly firstSeq: number
	/**
	 * Returns whether a power loss explains the unreadable bytes at `offset`, given the boot id in the newest
	 * anchor before them. Called only for the last file, because the writer handled the end of an earlier file
	 * when it started the next one.
	 */
	readonly isUnsynced?: (offset: number, bootId: Uint8Array | undefined) => boolean
	/**
	 * Whether another file follows. The first seq of that file shows which records are missing at the end of
	 * this one.
	 */
	readonly isFollowed?: boolean
}

/** The state of a walk between two entries. */
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
	/**
	 * Time of the last entry. A gap has the time of the entry after it, so that its time does not depend on
	 * where the walk started.
	 */
	#tsMs = 0
	/** Boot id in the newest anchor. */
	#bootId: Uint8Array | undefined
	readonly #isUnsynced: NonNullable<WalkedFile['isUnsynced']>
	readonly #isFollowed: boolean
	/** Cause of the gap if records are missing before the next entry. */
	#cause: GapData['cause'] = 'damaged'

	/** @param anchor Anchor at which the walk starts; undefined for the beginning of the file. */
	constructor(anchor: Anchor | undefined, { firstSeq, isUnsynced, isFollowed = false }: WalkedFile) {
		this.#isFollowed = isFollowed
		this.#isUnsynced = isUnsynced ?? (() => false)
		this.nextSeq = anchor?.nextSeq ?? firstSeq
		this.epoch = anchor?.epoch ?? 1
		this.#bootId = anchor?.bootId
		this.#tsMs = anchor?.writtenMs ?? 0
	}

	/**
	 * Moves past an entry or an unreadable range. Returns the gap before the entry, the gap for the range, or
	 * undefined.
	 */
	entry(entry: ScanEntry): LogRecord<'$gap', GapData> | undefined {
		if (entry.type === 'frame') return this.frame(entry.frame)
		return entry.type === 'anchor' ? this.anchor(entry.anchor) : this.bad(entry.place)
	}

	/** Moves past a frame. Returns the gap before the frame if seqs are missing that no `$gap` covers. */
	frame(frame: Frame): LogRecord<'$gap', GapData> | undefined {
		const covered = frame.baseSeq > this.nextSeq ? firstCovered(frame) : frame.baseSeq
		this.#tsMs = frame.baseTsMs
		const gap = covered > this.nextSeq ? this.#gap(covered - 1) : undefined
		this.nextSeq = Math.max(this.nextSeq, frame.baseSeq + frame.rows)
		this.epoch = frame.epoch
		this.#cause = 'damaged'
		return gap
	}

	/** Moves past an anchor. Returns the gap before the anchor if records are missing. */
	anchor(anchor: Anchor): LogRecord<'$gap', GapData> | undefined {
		this.#tsMs = anchor.writtenMs
		const gap = anchor.nextSeq > this.nextSeq ? this.#gap(anchor.nextSeq - 1) : undefined
		this.nextSeq = Math.max(this.nextSeq, anchor.nextSeq)
		this.epoch = anchor.epoch
		this.#bootId = anchor.bootId
		this.#cause = 'damaged'
		return gap
	}

	/** Moves to an anchor, past entries that were not read. No record may be missing among them. */
	skipTo({ nextSeq }: Anchor): void {
		this.nextSeq = nextSeq
	}

	/**
	 * Moves past an unreadable range. At the end of the last file, returns a gap based on the range's remains,
	 * unless a power loss explains the range. A range without records does not become a gap: a torn entry was
	 * never committed, and an anchor contains no records.
	 */
	bad(place: UnreadableRange): LogRecord<'$gap', GapData> | undefined {
		const isUnsynced = this.isUnsynced(place)
		if (!place.atEnd) this.#cause = isUnsynced ? 'unsynced' : 'damaged'
		if (!place.atEnd || this.#isFollowed) return undefined
		if (isUnsynced) return undefined
		return this.upTo(nextSeqAfter(place, this.nextSeq))
	}

	/** Returns whether a power loss explains an unreadable range. The range must follow the last entry. */
	isUnsynced({ offset }: UnreadableRange): boolean {
		return !this.#isFollowed && this.#isUnsynced(offset, this.#bootId)
	}

	/** Returns the gap before `nextSeq`, for example the first seq of the next file. */
	upTo(nextSeq: number, cause?: GapData['cause']): LogRecord<'$gap', GapData> | undefined {
		if (nextSeq <= this.nextSeq) return undefined
		if (cause !== undefined) this.#cause = cause
		return this.#gap(nextSeq - 1)
	}

	/** Returns the complete state. A walk that resumes from this state finds the same gaps. */
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
 * Returns the next seq after an unreadable end that no power loss explains. If the end may have contained
 * committed records, at least one seq is skipped. Writers, readers and repairs all use this function, so they
 * skip the same seqs.
 */
export function nextSeqAfter({ remains }: UnreadableRange, nextSeq: number): number {
	if (!remains.mayHoldRecords) return nextSeq
	let next = nextSeq
	for (const frame of remains.frames) {
		// If the frame does not continue at `next`, its base seq may be damaged, so only its row count is used.
		const jump = firstCovered(frame) === next ? frame.baseSeq - next : 0
		next += jump + frame.rows
	}
	// No header can contain a higher first seq.
	return Math.min(Math.max(next, nextSeq + 1), SEQ_MAX + 1)
}

/**
 * Returns the gap for a frame that verifies but contains rows that are not records. Another program must have
 * written such a frame.
 */
export function unreadableRows(frame: Frame): LogRecord<'$gap', GapData> {
	const { baseSeq: fromSeq, rows: count, epoch, baseTsMs: tsMs } = frame
	const data = { fromSeq, toSeq: fromSeq + count - 1, count, cause: 'damaged' } as const
	return asUnexplained(gapRecord(data, { epoch, tsMs }))
}
