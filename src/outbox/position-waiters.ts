/**
 * Promises that each resolve when the appender has processed every position before an end position. End
 * positions never decrease, so the oldest promise always resolves first.
 */

interface Waiter {
	readonly end: number
	readonly resolve: () => void
	readonly reject: (error: unknown) => void
}

export class PositionWaiters {
	#waiters: Waiter[] = []

	get count(): number {
		return this.#waiters.length
	}

	/** Resolves when the appender has processed every position before `end`. Rejects at the next failure. */
	wait(end: number): Promise<void> {
		return new Promise((resolve, reject) => {
			this.#waiters.push({ end, resolve, reject })
		})
	}

	/** Resolves all promises whose end is at most `end`. */
	reached(end: number): void {
		let count = 0
		while (count < this.#waiters.length && this.#waiters[count]!.end <= end) count += 1
		for (const { resolve } of this.#waiters.splice(0, count)) resolve()
	}

	/** After a failed append, resolves the promises whose end is at most `reached`, and rejects all others. */
	failed(error: unknown, reached = 0): void {
		if (reached > 0) this.reached(reached)
		for (const { reject } of this.#waiters.splice(0)) reject(error)
	}
}
