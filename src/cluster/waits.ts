/** Waits with an end. */

/** @param begun is given what ends it at once. */
export function sleep(ms: number, begun: (cutShort: () => void) => void): Promise<void> {
	return new Promise((resolve) => {
		const timer = setTimeout(resolve, ms)
		begun(() => {
			clearTimeout(timer)
			resolve()
		})
	})
}

/** Until the time is over or the signal aborts. */
export function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
	return new Promise((resolve) => {
		const done = () => {
			clearTimeout(timer)
			signal?.removeEventListener('abort', done)
			resolve()
		}
		const timer = setTimeout(done, ms)
		signal?.addEventListener('abort', done)
		if (signal?.aborted) done()
	})
}

/** Waits for a promise that never rejects, but not for longer. */
export async function within(ms: number, promise: Promise<void>): Promise<void> {
	let timer: NodeJS.Timeout | undefined
	const tooLong = new Promise<void>((resolve) => {
		timer = setTimeout(resolve, ms)
	})
	await Promise.race([promise, tooLong])
	clearTimeout(timer)
}
