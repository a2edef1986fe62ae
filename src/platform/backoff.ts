/** How long to wait before the next attempt: doubling from the first wait to the longest. */
export class Backoff {
	readonly #minMs: number
	readonly #maxMs: number
	#nextMs: number

	constructor(minMs: number, maxMs: number = minMs) {
		this.#minMs = minMs
		this.#maxMs = maxMs
		this.#nextMs = minMs
	}

	next(): number {
		const waitMs = this.#nextMs
		this.#nextMs = Math.min(2 * waitMs, this.#maxMs)
		return waitMs
	}

	/** The wait that {@link next} gave last was the longest, and will stay so. */
	isAtMax(waitMs: number): boolean {
		return waitMs >= this.#maxMs
	}

	reset(): void {
		this.#nextMs = this.#minMs
	}
}
