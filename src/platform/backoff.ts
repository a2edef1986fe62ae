/** Waits between attempts, which double from the first wait to the longest. */
export class Backoff {
	readonly #minMs: number
	readonly #maxMs: number
	#nextMs: number

	/** @param maxMs Longest wait. Default: `minMs`, so that every wait has the same length. */
	constructor(minMs: number, maxMs: number = minMs) {
		this.#minMs = minMs
		this.#maxMs = maxMs
		this.#nextMs = minMs
	}

	/** Returns the wait before the next attempt, and doubles the one after it. */
	next(): number {
		const waitMs = this.#nextMs
		this.#nextMs = Math.min(2 * waitMs, this.#maxMs)
		return waitMs
	}

	/** Returns whether a wait that {@link next} returned is the longest one. */
	isAtMax(waitMs: number): boolean {
		return waitMs >= this.#maxMs
	}

	/** Begins with the first wait again, after a success. */
	reset(): void {
		this.#nextMs = this.#minMs
	}
}
