/**
 * Waits that end early. They use the global `setTimeout`, not `node:timers/promises`: an aborted wait
 * resolves instead of rejecting, and fake timers apply to it.
 */

/** Resolves after `ms` milliseconds, or as soon as the signal aborts. */
export function wait(ms: number, signal?: AbortSignal): Promise<void> {
	return new Promise((resolve) => {
		if (signal?.aborted) return resolve()
		const end = () => {
			clearTimeout(timer)
			signal?.removeEventListener('abort', end)
			resolve()
		}
		const timer = setTimeout(end, ms)
		signal?.addEventListener('abort', end)
	})
}

/** Resolves as soon as the signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
	return new Promise((resolve) => {
		if (signal.aborted) resolve()
		else signal.addEventListener('abort', () => resolve(), { once: true })
	})
}

/** A sleep that others can end. One at a time. */
export class Sleeper {
	#wake: (() => void) | undefined

	/** Resolves after `ms` milliseconds, or with the next {@link wake}. */
	async sleep(ms: number): Promise<void> {
		await new Promise<void>((resolve) => {
			const timer = setTimeout(resolve, ms)
			this.#wake = () => {
				clearTimeout(timer)
				resolve()
			}
		})
		this.#wake = undefined
	}

	/** Ends the sleep in progress, if there is one. */
	wake(): void {
		this.#wake?.()
	}
}
