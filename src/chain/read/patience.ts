/**
 * Retries reads while the system lacks a resource, such as file descriptors or memory. The delay grows with
 * each attempt. Emits one warning, and does not limit the number of attempts.
 */
import { show } from '../../guard/show.ts'
import { messageOf } from '../../model/errors.ts'
import { RETRY_MS_MAX, RETRY_MS_MIN } from '../../model/limits.ts'
import { Backoff } from '../../platform/backoff.ts'
import { warn } from '../../platform/diagnostics.ts'
import { isMomentary } from '../../platform/file-system.ts'

/**
 * Waits on behalf of a reader. `sleep` resolves after `ms` milliseconds, or earlier if an event occurs.
 * Waiting ends when `isStopped` returns true.
 */
export interface Waiter {
	readonly isStopped: () => boolean
	readonly sleep: (ms: number) => Promise<void>
}

export class Patience {
	readonly #path: string
	readonly #waiter: Waiter
	readonly #backoff = new Backoff(RETRY_MS_MIN, RETRY_MS_MAX)
	#isFailing = false

	/** @param path the path of the chain that is being read. */
	constructor(path: string, waiter: Waiter) {
		this.#path = path
		this.#waiter = waiter
	}

	/**
	 * Runs `work`, and retries it after temporary failures until it succeeds. Returns undefined if the waiter
	 * is stopped.
	 */
	async patiently<T>(work: () => T | Promise<T>): Promise<T | undefined> {
		while (!this.#waiter.isStopped()) {
			try {
				const result = await work()
				this.worked()
				return result
			} catch (error) {
				await this.waitOut(error)
			}
		}
		return undefined
	}

	/** After a temporary failure, waits until the next attempt is due. Throws any other error. */
	async waitOut(error: unknown): Promise<void> {
		if (!isMomentary(error)) throw error
		if (!this.#isFailing) {
			this.#isFailing = true
			const what = `${show(this.#path)} is temporarily unreadable: ${messageOf(error)}`
			warn('READER_WAITING', `${what}; the reader will keep retrying`)
		}
		const ms = this.#backoff.next()
		const untilMs = performance.now() + ms
		for (let leftMs = ms; leftMs > 0 && !this.#waiter.isStopped(); leftMs = untilMs - performance.now()) {
			await this.#waiter.sleep(leftMs)
		}
	}

	/** Ends the failing state after a success. */
	worked(): void {
		if (!this.#isFailing) return
		this.#isFailing = false
		this.#backoff.reset()
		warn('READER_RECOVERED', `${show(this.#path)} can be read again; nothing was skipped`)
	}
}
