/**
 * Waits that can end early. These waits use the global `setTimeout` rather than `node:timers/promises`, so
 * that fake timers work and an aborted wait resolves instead of rejecting.
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

/** A sleep that other code can end. Supports one sleep at a time. */
export class Sleeper {
	#wake: (() => void) | undefined

	/** Resolves after `ms` milliseconds or at the next {@link wake}, whichever comes first. */
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

	/** Ends the current sleep, if any. */
	wake(): void {
		this.#wake?.()
	}
}
