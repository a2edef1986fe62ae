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

/** Waits for a promise that never rejects, but not for longer. */
export async function within(ms: number, promise: Promise<void>): Promise<void> {
	let timer: NodeJS.Timeout | undefined
	const tooLong = new Promise<void>((resolve) => {
		timer = setTimeout(resolve, ms)
	})
	await Promise.race([promise, tooLong])
	clearTimeout(timer)
}
