/** A set of seqs, stored as ranges. If most seqs are added in order, the set has few ranges. */

interface SeqRange {
	readonly epoch: number
	from: number
	to: number
}

/** Maximum number of ranges. Beyond this number, the half that is farthest from the latest seq is dropped. */
const RANGES_MAX = 4096

/** A bounded set of `(epoch, seq)` pairs, stored as ranges. */
export class SeqRanges {
	#ranges: SeqRange[] = []

	has(epoch: number, seq: number): boolean {
		const range = this.#ranges[this.#indexOf(epoch, seq)]
		return range !== undefined && range.epoch === epoch && range.from <= seq
	}

	add(epoch: number, seq: number): void {
		const at = this.#indexOf(epoch, seq)
		const before = this.#ranges[at - 1]
		const after = this.#ranges[at]
		if (after?.epoch === epoch && after.from <= seq) return
		const endsHere = before?.epoch === epoch && before.to === seq - 1
		const beginsHere = after?.epoch === epoch && after.from === seq + 1
		if (endsHere) before.to = beginsHere ? after.to : seq
		if (endsHere && beginsHere) this.#ranges.splice(at, 1)
		else if (beginsHere) after.from = seq
		else if (!endsHere) this.#insert(at, { epoch, from: seq, to: seq })
	}

	#insert(at: number, range: SeqRange): void {
		this.#ranges.splice(at, 0, range)
		if (this.#ranges.length <= RANGES_MAX) return
		const half = RANGES_MAX / 2
		this.#ranges.splice(at > half ? 0 : half, half)
	}

	/** Returns the index of the first range that does not end before the seq. */
	#indexOf(epoch: number, seq: number): number {
		const ranges = this.#ranges
		let low = 0
		let high = ranges.length
		// Usually the seq follows the last range.
		if (high > 0 && endsBefore(ranges[high - 1]!, epoch, seq)) return high
		while (low < high) {
			const middle = (low + high) >> 1
			if (endsBefore(ranges[middle]!, epoch, seq)) low = middle + 1
			else high = middle
		}
		return low
	}
}

function endsBefore(range: SeqRange, epoch: number, seq: number): boolean {
	return range.epoch < epoch || (range.epoch === epoch && range.to < seq)
}
