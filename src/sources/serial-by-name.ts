/** Runs the operations on one name one by one; operations on different names run concurrently. */
import pLimit, { type LimitFunction } from 'p-limit'

export class SerialByName {
	readonly #limits = new Map<string, LimitFunction>()

	/** Runs an operation after all earlier ones on that name. Rejects if the operation does. */
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
