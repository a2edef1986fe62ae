/**
 * Gaps that are waiting to be appended, ordered by position, without overlaps. Adjacent gaps with the same
 * cause are joined, so that a long failure produces one gap instead of thousands.
 */
import { type GapCause, isGap, type LogRecord } from '../model/record.ts'

/** A range of the queue: its first and last positions, its first and last seqs, and its number of records. */
export interface QueueRange {
	readonly from: number
	readonly to: number
	readonly fromSeq: number
	readonly toSeq: number
	/** Number of records. A `$gap` record counts as the records that it replaces. */
	readonly count: number
}

/** A lost range with its cause. */
export interface Gap extends QueueRange {
	readonly cause: GapCause
}

/**
 * Returns the range that starts at position `from` and contains these records. There must be at least one
 * record.
 */
export function queueRangeOf(from: number, records: readonly LogRecord[]): QueueRange {
	const first = records[0]!
	const last = records[records.length - 1]!
	let count = 0
	for (const record of records) count += isGap(record) ? (record.data?.count ?? 1) : 1
	const fromSeq = isGap(first) ? (first.data?.fromSeq ?? first.seq) : first.seq
	return { from, to: from + records.length - 1, fromSeq, toSeq: last.seq, count }
}

export class GapList {
	readonly #gaps: Gap[] = []

	get count(): number {
		return this.#gaps.length
	}

	/** First position of the first gap; Infinity if the list is empty. */
	get first(): number {
		return this.#gaps.length === 0 ? Number.POSITIVE_INFINITY : this.#gaps[0]!.from
	}

	/** Number of positions in the waiting gaps. */
	get positions(): number {
		let positions = 0
		for (const gap of this.#gaps) positions += gap.to - gap.from + 1
		return positions
	}

	peek(): Gap | undefined {
		return this.#gaps[0]
	}

	covers(position: number): boolean {
		return this.#gaps.some((gap) => gap.from <= position && position <= gap.to)
	}

	insert(gap: Gap): void {
		let index = this.#gaps.length
		while (index > 0 && this.#gaps[index - 1]!.from > gap.from) index -= 1
		this.#gaps.splice(index, 0, gap)
		this.#join(index)
		this.#join(index - 1)
	}

	/** Removes and returns the first gap. */
	shift(): Gap | undefined {
		return this.#gaps.shift()
	}

	/** Joins the gaps at `index` and `index + 1` if they are adjacent and have the same cause. */
	#join(index: number): void {
		const left = this.#gaps[index]
		const right = this.#gaps[index + 1]
		if (left === undefined || right === undefined) return
		if (left.to + 1 !== right.from || left.cause !== right.cause) return
		const { from, fromSeq, cause } = left
		const { to, toSeq } = right
		this.#gaps.splice(index, 2, { from, to, fromSeq, toSeq, count: left.count + right.count, cause })
	}
}
