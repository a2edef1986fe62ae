/** Which event of a session stands at which seq. Pure; knows no chain. */

/** Seqs that are no events, both ends inclusive. */
interface Stretch {
	readonly fromSeq: number
	readonly toSeq: number
}

/**
 * Every record but mesh-chain's own is an event. Of absent records the next mark tells how many were events; where none comes, all of them
 * count as events.
 */
export class EventIndex {
	readonly #startSeq: number
	readonly #firstIndex: number
	/** Rising. */
	#own: Stretch[] = []
	/** How many seqs there are in all stretches before each. */
	#sums: number[] = []
	/** Those since the last mark. */
	#gaps: Stretch[] = []

	constructor(startSeq: number, firstIndex: number) {
		this.#startSeq = startSeq
		this.#firstIndex = firstIndex
	}

	addGap(fromSeq: number, toSeq: number): void {
		this.#gaps.push({ fromSeq, toSeq })
	}

	/** A record that is no event, and for a mark of the session the index of the event behind it. */
	addOwn(seq: number, index: number | undefined): void {
		if (index !== undefined) {
			this.#explainGaps(this.indexOf(seq) - index)
			this.#gaps = []
		}
		this.#push({ fromSeq: seq, toSeq: seq })
	}

	/** How many of `[fromSeq, toSeq]` are events. */
	eventsWithin(fromSeq: number, toSeq: number): number {
		return Math.max(0, this.indexOf(toSeq + 1) - this.indexOf(fromSeq))
	}

	indexOf(seq: number): number {
		return this.#firstIndex + seq - this.#startSeq - 1 - this.#ownBelow(seq)
	}

	/** The seq of an event; Infinity for index Infinity. */
	seqOf(index: number): number {
		let seq = this.#startSeq + 1 + Math.max(0, index - this.#firstIndex)
		for (const { fromSeq, toSeq } of this.#own) {
			if (fromSeq > seq) break
			seq += toSeq - fromSeq + 1
		}
		return seq
	}

	/** So many of the absent records were no events: the newest of them, for want of better knowledge. */
	#explainGaps(count: number): void {
		let left = count
		const explained: Stretch[] = []
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
		for (const stretch of all) this.#push(stretch)
	}

	#push(stretch: Stretch): void {
		const last = this.#own.at(-1)
		this.#sums.push(last === undefined ? 0 : this.#sums.at(-1)! + last.toSeq - last.fromSeq + 1)
		this.#own.push(stretch)
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
