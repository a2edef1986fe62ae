/** Schedules retries of a failed operation. The delay doubles with each failure. */
import { Backoff } from './backoff.ts'

/** A timer with increasing delays. It never keeps the process alive. */
export class RetrySchedule {
	readonly #retry: () => void
	readonly #backoff: Backoff
	#timer: NodeJS.Timeout | undefined

	/** @param retry Called after each delay. Delays range from `minMs` to `maxMs`. */
	constructor(retry: () => void, minMs: number, maxMs: number) {
		this.#retry = retry
		this.#backoff = new Backoff(minMs, maxMs)
	}

	/**
	 * Schedules a retry after the next delay. The delay doubles each time, up to `maxMs`. Does nothing if a
	 * retry is already scheduled.
	 */
	start(): void {
		if (this.#timer !== undefined) return
		this.#timer = setTimeout(() => {
			this.#timer = undefined
			this.#retry()
		}, this.#backoff.next())
		this.#timer.unref()
	}

	/** Cancels a scheduled retry, and resets the delay to its initial value. */
	reset(): void {
		clearTimeout(this.#timer)
		this.#timer = undefined
		this.#backoff.reset()
	}
}
