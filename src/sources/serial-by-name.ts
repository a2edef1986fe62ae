/** Runs operations on the same name one after another. Operations on different names run concurrently. */
import pLimit, { type LimitFunction } from 'p-limit'

export class SerialByName {
	readonly #limits = new Map<string, LimitFunction>()

	/** Runs an operation after all earlier operations on the same name. Rejects if the operation rejects. */
	async run(name: string, operation: () => Promise<void>): Promise<void> {
		const limit = this.#limits.get(name) ?? pLimit(1)
		this.#limits.set(name, limit)
		try {
			await limit(operation)
		} finally {
			if (limit.activeCount + limit.pendingCount === 0) this.#limits.delete(name)
		}
	}
}
