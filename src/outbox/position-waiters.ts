/** Promises for "everything up to here was handed over". Ends only go up, so the oldest is always first in line. */

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

	/** Resolves once every position before `end` was handed over, rejects at the next failure. */
	wait(end: number): Promise<void> {
		return new Promise((resolve, reject) => {
			this.#waiters.push({ end, resolve, reject })
		})
	}

	/** Every position before `end` was handed over. */
	handedOver(end: number): void {
		let count = 0
		while (count < this.#waiters.length && this.#waiters[count]!.end <= end) count += 1
		for (const { resolve } of this.#waiters.splice(0, count)) resolve()
	}

	failed(error: unknown): void {
		for (const { reject } of this.#waiters.splice(0)) reject(error)
	}
}
