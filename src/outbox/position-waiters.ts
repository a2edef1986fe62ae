/**
 * Promises for "the appender has taken everything up to here". Ends only increase, so the oldest is always
 * first.
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

	/** Resolves once the appender has taken every position before `end`, rejects at the next failure. */
	wait(end: number): Promise<void> {
		return new Promise((resolve, reject) => {
			this.#waiters.push({ end, resolve, reject })
		})
	}

	/** The appender has taken every position before `end`. */
	reached(end: number): void {
		let count = 0
		while (count < this.#waiters.length && this.#waiters[count]!.end <= end) count += 1
		for (const { resolve } of this.#waiters.splice(0, count)) resolve()
	}

	/** An append failed: every wait rejects, but for those before `reached`. */
	failed(error: unknown, reached = 0): void {
		if (reached > 0) this.reached(reached)
		for (const { reject } of this.#waiters.splice(0)) reject(error)
	}
}
