/** Guards clocks that application code supplies. */
import { warn } from '../platform/diagnostics.ts'
import { TIME_MAX_MS } from '../platform/time-limits.ts'
import { hush } from './hush.ts'
import { discard } from './promises.ts'
import { messageOf } from './values.ts'

/** A guarded clock. Every reading is within the range of record times, but may have a fraction. */
export interface SoundClock {
	(): number
	/** Number of times that the clock failed and `Date.now` was read instead. */
	readonly failures: number
}

/**
 * Guards a clock, so that every reading is a number from 0 to the latest time that a `Date` can represent.
 * The reading comes from `Date.now` if the clock throws or returns an invalid value, or if the clock itself
 * makes the call.
 *
 * @param failed Called with the error from each failure.
 */
export function soundClock(clock: () => unknown, failed: (thrown: unknown) => void): SoundClock {
	let isAsking = false
	let failures = 0
	const sound = () => {
		if (isAsking) return Date.now()
		isAsking = true
		try {
			const tsMs = clock()
			if (isTime(tsMs)) return Math.max(0, tsMs)
			discard(tsMs)
			throw new TypeError(`a clock must return milliseconds since 1970, not ${messageOf(tsMs)}`)
		} catch (thrown) {
			hush(thrown)
			failures++
			failed(thrown)
			return Date.now()
		} finally {
			isAsking = false
		}
	}
	return Object.defineProperty(sound, 'failures', { get: () => failures }) as unknown as SoundClock
}

/**
 * Returns whether a value can be used as the time of a record: a number up to the latest time that a `Date`
 * can represent. Callers truncate fractions and replace negative numbers with 0.
 */
export function isTime(tsMs: unknown): tsMs is number {
	return typeof tsMs === 'number' && tsMs <= TIME_MAX_MS
}

/** Returns a {@link soundClock} that emits a warning on its first failure. */
export function toldClock(name: string, clock: () => unknown): SoundClock {
	let isTold = false
	return soundClock(clock, (thrown) => {
		if (isTold) return
		isTold = true
		warn(
			'HOOK_FAILED',
			`${name} failed, and Date.now was used; further failures are only counted: ${messageOf(thrown)}`,
		)
	})
}
