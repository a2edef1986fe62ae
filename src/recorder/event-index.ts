/** Converts between the event indexes and the seqs of a session, independently of a chain. */

/** A range of seqs that do not belong to events, inclusive at both ends. */
interface SeqRange {
	readonly fromSeq: number
	readonly toSeq: number
}

/**
 * The event indexes of one session. Every record is an event, except mesh-chain's own records. After a gap,
 * the number of absent events is derived from the next session record. If there is no such record, all absent
 * records count as events.
 */
export class EventIndex {
	readonly #startSeq: number
	readonly #firstIndex: number
	/** Ranges of seqs that do not belong to events, in ascending order. */
	#own: SeqRange[] = []
	/** For each range, the number of seqs in all earlier ranges. */
	#sums: number[] = []
	/** Gaps since the last session record. */
	#gaps: SeqRange[] = []

	constructor(startSeq: number, firstIndex: number) {
		this.#startSeq = startSeq
		this.#firstIndex = firstIndex
	}

	addGap(fromSeq: number, toSeq: number): void {
		this.#gaps.push({ fromSeq, toSeq })
	}

	/**
	 * Adds a record that is not an event. If it is a session record of this session, `index` is the index of
	 * the next event.
	 */
	addOwn(seq: number, index: number | undefined): void {
		if (index !== undefined) {
			this.#explainGaps(this.indexOf(seq) - index)
			this.#gaps = []
		}
		this.#push({ fromSeq: seq, toSeq: seq })
	}

	/** Returns the number of events in `[fromSeq, toSeq]`. */
	eventsWithin(fromSeq: number, toSeq: number): number {
		return Math.max(0, this.indexOf(toSeq + 1) - this.indexOf(fromSeq))
	}

	indexOf(seq: number): number {
		return this.#firstIndex + seq - this.#startSeq - 1 - this.#ownBelow(seq)
	}

	/** Returns the seq of an event; Infinity for an index of Infinity. */
	seqOf(index: number): number {
		let seq = this.#startSeq + 1 + Math.max(0, index - this.#firstIndex)
		for (const { fromSeq, toSeq } of this.#own) {
			if (fromSeq > seq) break
			seq += toSeq - fromSeq + 1
		}
		return seq
	}

	/**
	 * Marks the newest `count` absent records as non-events. The choice is arbitrary, because it is unknown
	 * which of the absent records were events.
	 */
	#explainGaps(count: number): void {
		let left = count
		const explained: SeqRange[] = []
		for (const { fromSeq, toSeq } of this.#gaps.reverse()) {
			if (left <= 0) break
			const taken = Math.min(left, toSeq - fromSeq + 1)
			explained.push({ fromSeq: toSeq - taken + 1, toSeq })
			left -= taken
		}
		if (explained.length === 0) return
		const all = [...this.#own, ...explained].sort((a, b) => a.fromSeq - b.fromSeq)
		this.#own = []
		this.#sums = []
		for (const range of all) this.#push(range)
	}

	#push(range: SeqRange): void {
		const last = this.#own.at(-1)
		this.#sums.push(last === undefined ? 0 : this.#sums.at(-1)! + last.toSeq - last.fromSeq + 1)
		this.#own.push(range)
	}

	#ownBelow(seq: number): number {
		let low = 0
		let high = this.#own.length
		while (low < high) {
			const middle = (low + high) >> 1
			if (this.#own[middle]!.fromSeq < seq) low = middle + 1
			else high = middle
		}
		if (low === 0) return 0
		const { fromSeq, toSeq } = this.#own[low - 1]!
		return this.#sums[low - 1]! + Math.min(toSeq, seq - 1) - fromSeq + 1
	}
}
