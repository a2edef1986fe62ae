/** Schedules the retries of a failed operation. The wait doubles with each failure. */
import { Backoff } from './backoff.ts'

/** One timer with a back-off. It never keeps a process alive. */
export class RetrySchedule {
	readonly #retry: () => void
	readonly #backoff: Backoff
	#timer: NodeJS.Timeout | undefined

	/** @param retry Called when a wait ends. Waits last from `minMs` to `maxMs`. */
	constructor(retry: () => void, minMs: number, maxMs: number) {
		this.#retry = retry
		this.#backoff = new Backoff(minMs, maxMs)
	}

	/** Begins a wait, twice as long as the previous one. Does nothing during a wait. */
	start(): void {
		if (this.#timer !== undefined) return
		this.#timer = setTimeout(() => {
			this.#timer = undefined
			this.#retry()
		}, this.#backoff.next())
		this.#timer.unref()
	}

	/** Ends the wait without a retry. The next wait is the shortest again. */
	reset(): void {
		clearTimeout(this.#timer)
		this.#timer = undefined
		this.#backoff.reset()
	}
}
