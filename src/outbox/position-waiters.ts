/**
 * Promises that resolve once the appender has taken every position up to some end. Ends only increase, so the
 * oldest promise is always first.
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

	/** Resolves once the appender has taken every position before `end`; rejects at the next failure. */
	wait(end: number): Promise<void> {
		return new Promise((resolve, reject) => {
			this.#waiters.push({ end, resolve, reject })
		})
	}

	/** Resolves the promises for every position before `end`. */
	reached(end: number): void {
		let count = 0
		while (count < this.#waiters.length && this.#waiters[count]!.end <= end) count += 1
		for (const { resolve } of this.#waiters.splice(0, count)) resolve()
	}

	/** Rejects every promise after a failed append, except for those whose end is at most `reached`. */
	failed(error: unknown, reached = 0): void {
		if (reached > 0) this.reached(reached)
		for (const { reject } of this.#waiters.splice(0)) reject(error)
	}
}
