/** What a busy machine did to this process: the bound that tests of real time add to their own. */

/** Milliseconds of processor time that this process has taken so far: they do not grow while others are busy. */
export function cpuMs(): number {
	const { user, system } = process.cpuUsage()
	return (user + system) / 1000
}

/**
 * Watches the process until the returned function is called, which returns the longest time, in milliseconds, that this process stood
 * still without using a processor. What the process itself took is not in it, so code that is slow or blocks is never excused.
 */
export function watchStalls(): () => number {
	let longestMs = 0
	let wallMs = performance.now()
	let usedMs = cpuMs()
	const look = () => {
		longestMs = Math.max(longestMs, performance.now() - wallMs - (cpuMs() - usedMs))
		wallMs = performance.now()
		usedMs = cpuMs()
	}
	const timer = setInterval(look, 1)
	return () => {
		clearInterval(timer)
		look()
		return longestMs
	}
}
