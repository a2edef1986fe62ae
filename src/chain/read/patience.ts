/**
 * Retries reads while the system lacks a resource (descriptors, memory). The delay grows with each attempt;
 * there is one warning, and no limit on attempts.
 */

import { show } from '../../guard/show.ts'
import { messageOf } from '../../model/errors.ts'
import { RETRY_MS_MAX, RETRY_MS_MIN } from '../../model/limits.ts'
import { Backoff } from '../../platform/backoff.ts'
import { warn } from '../../platform/diagnostics.ts'
import { isMomentary } from '../../platform/file-system.ts'

/**
 * The reader that waits. `sleep` ends after `ms` milliseconds or on an earlier event; `isStopped` ends all
 * waiting.
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

	/** @param path the chain that cannot be read. */
	constructor(path: string, waiter: Waiter) {
		this.#path = path
		this.#waiter = waiter
	}

	/**
	 * Runs `work` and retries temporary failures until it succeeds. Returns undefined once the waiter is
	 * stopped.
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

	/** Waits until the next attempt is due after a temporary failure; throws any other error. */
	async waitOut(error: unknown): Promise<void> {
		if (!isMomentary(error)) throw error
		if (!this.#isFailing) {
			this.#isFailing = true
			const text = `${show(this.#path)} cannot be read for now: ${messageOf(error)}; its reader waits and retries`
			warn('READER_WAITING', text)
		}
		const ms = this.#backoff.next()
		const untilMs = performance.now() + ms
		for (let leftMs = ms; leftMs > 0 && !this.#waiter.isStopped(); leftMs = untilMs - performance.now()) {
			await this.#waiter.sleep(leftMs)
		}
	}

	/** Notes a success, which ends the failing state. */
	worked(): void {
		if (!this.#isFailing) return
		this.#isFailing = false
		this.#backoff.reset()
		warn('READER_RECOVERED', `${show(this.#path)} can be read again; nothing was skipped`)
	}
}
