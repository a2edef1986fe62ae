/**
 * Which records of one chain, as spans without a hole: few, however many records, where most of them come in
 * order.
 */

interface SeqRange {
	readonly epoch: number
	from: number
	to: number
}

/** Beyond it the half that lies farthest from the latest record is forgotten. */
const SPANS_MAX = 4096

export class SeqRanges {
	#spans: SeqRange[] = []

	has(epoch: number, seq: number): boolean {
		const span = this.#spans[this.#indexOf(epoch, seq)]
		return span !== undefined && span.epoch === epoch && span.from <= seq
	}

	add(epoch: number, seq: number): void {
		const at = this.#indexOf(epoch, seq)
		const before = this.#spans[at - 1]
		const behind = this.#spans[at]
		if (behind?.epoch === epoch && behind.from <= seq) return
		const endsHere = before?.epoch === epoch && before.to === seq - 1
		const beginsHere = behind?.epoch === epoch && behind.from === seq + 1
		if (endsHere) before.to = beginsHere ? behind.to : seq
		if (endsHere && beginsHere) this.#spans.splice(at, 1)
		else if (beginsHere) behind.from = seq
		else if (!endsHere) this.#insert(at, { epoch, from: seq, to: seq })
	}

	#insert(at: number, span: SeqRange): void {
		this.#spans.splice(at, 0, span)
		if (this.#spans.length <= SPANS_MAX) return
		const half = SPANS_MAX / 2
		this.#spans.splice(at > half ? 0 : half, half)
	}

	/** Of the first span that does not end before it. */
	#indexOf(epoch: number, seq: number): number {
		const spans = this.#spans
		let low = 0
		let high = spans.length
		// Most often it is the one that comes next.
		if (high > 0 && endsBefore(spans[high - 1]!, epoch, seq)) return high
		while (low < high) {
			const middle = (low + high) >> 1
			if (endsBefore(spans[middle]!, epoch, seq)) low = middle + 1
			else high = middle
		}
		return low
	}
}

function endsBefore(span: SeqRange, epoch: number, seq: number): boolean {
	return span.epoch < epoch || (span.epoch === epoch && span.to < seq)
}
