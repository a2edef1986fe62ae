/** The clock of a replay. A test can inject its own, so that nothing really waits. */
import { hush } from '../guard/hush.ts'
import { discard } from '../guard/promises.ts'
import { attempt, propertyOf } from '../guard/values.ts'
import { invalidOption } from '../model/check.ts'
import { CLOCK_STEP_MS_MAX } from '../model/limits.ts'
import { warn } from '../platform/diagnostics.ts'
import { TIMER_MS_MAX } from '../platform/time-limits.ts'

/** The time that a paced replay follows. */
export interface ReplayClock {
	/**
	 * Returns the time in milliseconds, from any origin. If a reading steps back, or jumps more than a day
	 * beyond the waited time, the progress of the system clock replaces it.
	 */
	now(): number
	/**
	 * Calls back after `ms` milliseconds or earlier; the caller checks the time again. Returns a function
	 * that cancels the call.
	 */
	after(ms: number, callback: () => void): () => void
}

/** The monotonic clock of the system. */
export const systemClock: ReplayClock = {
	now: () => performance.now(),
	after(ms, callback) {
		const timer = setTimeout(callback, Math.min(ms, TIMER_MS_MAX))
		return () => clearTimeout(timer)
	},
}

/**
 * Calls back once the clock has reached a time, although `after` may call back sooner. Returns a function
 * that cancels the call.
 */
export function callAt(clock: ReplayClock, atMs: number, callback: () => void): () => void {
	let cancel = () => {}
	const look = () => {
		const leftMs = atMs - clock.now()
		if (leftMs <= 0) callback()
		else cancel = clock.after(leftMs, look)
	}
	cancel = clock.after(atMs - clock.now(), look)
	return () => cancel()
}

/** Resolves after `ms` milliseconds of the clock, or as soon as the signal aborts. */
export function waitBy(clock: ReplayClock, ms: number, signal?: AbortSignal): Promise<void> {
	return new Promise((resolve) => {
		if (signal?.aborted) return resolve()
		const end = () => {
			cancel()
			signal?.removeEventListener('abort', end)
			resolve()
		}
		const cancel = callAt(clock, clock.now() + ms, end)
		signal?.addEventListener('abort', end)
	})
}

/**
 * Makes a given clock safe to use. The result never steps back. It follows the system clock while the given
 * one throws, returns no number, steps back, or jumps more than a day beyond the waited time. If a wait
 * cannot start, the system clock waits instead.
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

/**
 * Starts at 0 and advances by the difference between readings. If that is not plausible, advances by the
 * progress of the system clock. One wrong reading or an adjusted clock therefore cannot stall a replay or end
 * its pacing.
 */
function soundReplayClock(clock: ReplayClock): ReplayClock {
	let isTold = false
	let nowMs = 0
	let last: { readonly readingMs: number | undefined; readonly atMs: number } | undefined
	/** Duration of the waits since the last reading: a clock that is moved by hand skips that time. */
	let waitedMs = 0
	const failed = () => {
		if (!isTold)
			warn('HOOK_FAILED', 'the clock of a replay failed; the system clock replaces its invalid readings')
		isTold = true
	}
	/**
	 * Returns the progress; undefined if this reading or the previous one is missing, steps back or is far
	 * ahead.
	 */
	const progressTo = (readingMs: number | undefined) => {
		if (last === undefined) return readingMs === undefined ? undefined : 0
		if (readingMs === undefined || last.readingMs === undefined) return undefined
		const progressMs = readingMs - last.readingMs
		return progressMs >= 0 && progressMs <= waitedMs + CLOCK_STEP_MS_MAX ? progressMs : undefined
	}
	return {
		now() {
			const given: unknown = attempt(() => clock.now(), undefined)
			const readingMs = typeof given === 'number' && Number.isFinite(given) ? given : undefined
			if (readingMs === undefined) discard(given)
			const atMs = performance.now()
			const progressMs = progressTo(readingMs)
			if (progressMs === undefined) failed()
			nowMs += progressMs ?? atMs - (last?.atMs ?? atMs)
			last = { readingMs, atMs }
			waitedMs = 0
			return nowMs
		},
		after(ms, callback) {
			waitedMs = Math.max(waitedMs, ms)
			try {
				const cancel: unknown = clock.after(ms, callback)
				if (typeof cancel === 'function') return () => attempt(() => discard(cancel()), undefined)
				discard(cancel)
			} catch (thrown) {
				// Reported below.
				hush(thrown)
			}
			failed()
			return systemClock.after(ms, callback)
		},
	}
}
