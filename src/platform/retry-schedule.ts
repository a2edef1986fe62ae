/** When a failed operation is tried again: after a wait that doubles with each failure. */
import { Backoff } from './backoff.ts'

/** One timer with a back-off. It never keeps a process alive. */
export class RetrySchedule {
	readonly #retry: () => void
	readonly #backoff: Backoff
	#timer: NodeJS.Timeout | undefined

	/** @param retry called when a wait ends; the waits are from `minMs` to `maxMs` long. */
	constructor(retry: () => void, minMs: number, maxMs: number) {
		this.#retry = retry
		this.#backoff = new Backoff(minMs, maxMs)
	}

	/** Begins a wait, twice as long as the last one. During a wait this does nothing. */
	start(): void {
		if (this.#timer !== undefined) return
		this.#timer = setTimeout(() => {
			this.#timer = undefined
			this.#retry()
		}, this.#backoff.next())
		this.#timer.unref()
	}

	/** Ends the wait without a retry; the next one is the shortest again. */
	reset(): void {
		clearTimeout(this.#timer)
		this.#timer = undefined
		this.#backoff.reset()
	}
}
