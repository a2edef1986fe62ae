/** Time as replay needs it. A test brings its own clock, and nothing waits. */
import { attempt, discard, propertyOf } from '../foreign.ts'
import { TIMER_MS_MAX } from '../limits.ts'
import { invalidOption } from '../options.ts'
import { warn } from '../report.ts'

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

/**
 * A clock that somebody gave, made sound: a reading that throws or is no number is the last one that was, and the time since by the
 * system's clock; a wait that cannot be begun is the system's.
 *
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export function checkClock(clock: ReplayClock): ReplayClock {
	if (clock === systemClock) return clock
	if (typeof propertyOf(clock, 'now') === 'function' && typeof propertyOf(clock, 'after') === 'function') {
		return soundReplayClock(clock)
	}
	throw invalidOption('clock', clock, 'an object with now() and after(ms, callback), such as systemClock')
}

function soundReplayClock(clock: ReplayClock): ReplayClock {
	let isTold = false
	let last = { readingMs: 0, atMs: performance.now() }
	const failed = () => {
		if (!isTold)
			warn('HOOK_FAILED', "the clock of a replay failed, and the system's stands in from its last reading on")
		isTold = true
	}
	return {
		now() {
			const readingMs: unknown = attempt(() => clock.now(), undefined)
			if (typeof readingMs === 'number' && Number.isFinite(readingMs)) {
				last = { readingMs, atMs: performance.now() }
				return readingMs
			}
			discard(readingMs)
			failed()
			return last.readingMs + performance.now() - last.atMs
		},
		after(ms, callback) {
			try {
				const cancel: unknown = clock.after(ms, callback)
				if (typeof cancel === 'function') return () => attempt(() => void cancel(), undefined)
				discard(cancel)
			} catch {
				// Told below.
			}
			failed()
			return systemClock.after(ms, callback)
		},
	}
}
