/** The clock of a replay. A test can inject its own clock to avoid real waits. */
import { hush } from '../guard/hush.ts'
import { discard } from '../guard/promises.ts'
import { attempt, propertyOf } from '../guard/values.ts'
import { invalidOption } from '../model/check.ts'
import { CLOCK_STEP_MS_MAX } from '../model/limits.ts'
import { warn } from '../platform/diagnostics.ts'
import { TIMER_MS_MAX } from '../platform/time-limits.ts'

/** The clock that paces a replay. */
export interface ReplayClock {
	/**
	 * Returns the time in milliseconds since an arbitrary fixed origin. If a reading is lower than the previous
	 * one, or exceeds it by more than the requested wait plus a day, the replay advances with the system clock
	 * instead.
	 */
	now(): number
	/**
	 * Calls `callback` after at most `ms` milliseconds. The caller then checks the time again. Returns a
	 * function that cancels the call.
	 */
	after(ms: number, callback: () => void): () => void
}

/** The monotonic system clock. */
export const systemClock: ReplayClock = {
	now: () => performance.now(),
	after(ms, callback) {
		const timer = setTimeout(callback, Math.min(ms, TIMER_MS_MAX))
		return () => clearTimeout(timer)
	},
}

/**
 * Calls `callback` once the clock has reached a time. If `after` calls back too early, waits again. Returns a
 * function that cancels the call.
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

/** Resolves after `ms` milliseconds on this clock, or as soon as the signal is aborted. */
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
 * Checks a clock and returns a safe version that never goes backwards. The safe clock advances with the
 * system clock while the given clock throws, does not return a number, goes backwards, or advances more than
 * a day beyond the requested wait. If the given clock's `after` fails, the system clock times the wait.
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
 * Returns a clock that starts at 0 and advances by the difference between consecutive readings. If the
 * difference is implausible, it advances with the system clock instead. A wrong reading or an adjusted clock
 * therefore cannot stall a replay or end its pacing.
 */
function soundReplayClock(clock: ReplayClock): ReplayClock {
	let isTold = false
	let nowMs = 0
	let last: { readonly readingMs: number | undefined; readonly atMs: number } | undefined
	/**
	 * Longest wait requested since the last reading. A manually advanced clock may advance by that much in one
	 * step.
	 */
	let waitedMs = 0
	const failed = () => {
		if (!isTold)
			warn('HOOK_FAILED', "a replay's clock failed: the system time is used for its invalid readings")
		isTold = true
	}
	/**
	 * Returns the time elapsed since the previous reading; undefined if either reading is missing, or if this
	 * reading is lower than the previous one or too far ahead of it.
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
