/** Measures how long a busy machine delayed this process: tests of real time add it to their own limit. */

/**
 * Returns the processor time of this process in milliseconds, which does not grow while other processes are
 * busy.
 */
export function cpuMs(): number {
	const { user, system } = process.cpuUsage()
	return (user + system) / 1000
}

/**
 * Watches the process until the returned function is called. That function returns the longest time, in
 * milliseconds, during which this process stood still without using a processor. Processor time of the
 * process itself does not count, so slow or blocking code is never excused.
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
