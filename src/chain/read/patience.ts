/**
 * Waits while the system lacks a resource (descriptors, memory): longer each time, with one warning, and
 * without giving up.
 */

import { show } from '../../guard/show.ts'
import { messageOf } from '../../model/errors.ts'
import { RETRY_MS_MAX, RETRY_MS_MIN } from '../../model/limits.ts'
import { Backoff } from '../../platform/backoff.ts'
import { warn } from '../../platform/diagnostics.ts'
import { isMomentary } from '../../platform/file-system.ts'

/** What waits: for so long, or until something happens; and whether it still wants to. */
export interface Waiter {
	readonly isStopped: () => boolean
	readonly sleep: (ms: number) => Promise<void>
}

export class Patience {
	readonly #path: string
	readonly #waiter: Waiter
	readonly #backoff = new Backoff(RETRY_MS_MIN, RETRY_MS_MAX)
	#isFailing = false

	/** @param path of the chain that cannot be read. */
	constructor(path: string, waiter: Waiter) {
		this.#path = path
		this.#waiter = waiter
	}

	/** Does what fails for a moment again until it works; undefined once it is stopped. */
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

	/** Waits until it is time to try again after a failure that passes; throws any other one. */
	async waitOut(error: unknown): Promise<void> {
		if (!isMomentary(error)) throw error
		if (!this.#isFailing) {
			this.#isFailing = true
			const text = `${show(this.#path)} cannot be read for the moment: ${messageOf(error)}; its reader waits and tries again`
			warn('READER_WAITING', text)
		}
		const ms = this.#backoff.next()
		const untilMs = performance.now() + ms
		for (let leftMs = ms; leftMs > 0 && !this.#waiter.isStopped(); leftMs = untilMs - performance.now()) {
			await this.#waiter.sleep(leftMs)
		}
	}

	/** Nothing has failed this time. */
	worked(): void {
		if (!this.#isFailing) return
		this.#isFailing = false
		this.#backoff.reset()
		warn('READER_RECOVERED', `${show(this.#path)} can be read again; nothing was passed over`)
	}
}
