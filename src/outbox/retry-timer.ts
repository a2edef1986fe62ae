/** The back-off of a failing appender: from `RETRY_MS_MIN`, doubling, to `RETRY_MS_MAX`. Never keeps a process alive. */
import { RETRY_MS_MAX, RETRY_MS_MIN } from '../model/limits.ts'

export class RetryTimer {
	readonly #retry: () => void
	#timer: NodeJS.Timeout | undefined
	#delayMs = RETRY_MS_MIN

	constructor(retry: () => void) {
		this.#retry = retry
	}

	/** Waits longer than last time; does nothing while it waits already. */
	start(): void {
		if (this.#timer !== undefined) return
		this.#timer = setTimeout(() => this.#fire(), this.#delayMs)
		this.#timer.unref()
		this.#delayMs = Math.min(2 * this.#delayMs, RETRY_MS_MAX)
	}

	/** Stops waiting; the next wait is the shortest again. */
	reset(): void {
		clearTimeout(this.#timer)
		this.#timer = undefined
		this.#delayMs = RETRY_MS_MIN
	}

	#fire(): void {
		this.#timer = undefined
		this.#retry()
	}
}
