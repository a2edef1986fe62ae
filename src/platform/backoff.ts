/** Delays between attempts. Each delay is twice the previous delay, up to the maximum. */
export class Backoff {
	readonly #minMs: number
	readonly #maxMs: number
	#nextMs: number

	/** @param maxMs Maximum delay. Default: `minMs`, which makes all delays equal. */
	constructor(minMs: number, maxMs: number = minMs) {
		this.#minMs = minMs
		this.#maxMs = maxMs
		this.#nextMs = minMs
	}

	/** Returns the delay before the next attempt, and doubles the delay for the attempt after it. */
	next(): number {
		const waitMs = this.#nextMs
		this.#nextMs = Math.min(2 * waitMs, this.#maxMs)
		return waitMs
	}

	/** Returns whether a delay that {@link next} returned is the maximum. */
	isAtMax(waitMs: number): boolean {
		return waitMs >= this.#maxMs
	}

	/** Resets the delay to its initial value after a success. */
	reset(): void {
		this.#nextMs = this.#minMs
	}
}
