/** Time as replay needs it. A test brings its own clock, and nothing waits. */
import { TIMER_MS_MAX } from '../limits.ts'
import { invalidOption } from '../options.ts'

export interface ReplayClock {
	/** Milliseconds since any moment; never steps back. */
	now(): number
	/** Calls back after so many milliseconds, or sooner: whoever waits looks at the time again. Returns how to take that back. */
	after(ms: number, callback: () => void): () => void
}

export const systemClock: ReplayClock = {
	now: () => performance.now(),
	after(ms, callback) {
		const timer = setTimeout(callback, Math.min(ms, TIMER_MS_MAX))
		return () => clearTimeout(timer)
	},
}

/** @throws {MeshChainError} `INVALID_OPTION` */
export function checkClock(clock: ReplayClock): ReplayClock {
	if (typeof clock?.now === 'function' && typeof clock.after === 'function') return clock
	throw invalidOption('clock', clock, 'an object with now() and after(ms, callback), such as systemClock')
}
