/** Clocks that foreign code gave. */
import { warn } from '../platform/diagnostics.ts'
import { TIME_MAX_MS } from '../platform/time-limits.ts'
import { hush } from './hush.ts'
import { discard } from './promises.ts'
import { messageOf } from './values.ts'

/** A clock that somebody gave, of which every reading is a time that a record can have. */
export interface SoundClock {
	(): number
	/** Readings that `Date.now` stood in for. */
	readonly failures: number
}

/**
 * Every reading is a number from 0 to the latest time that a `Date` holds; for a clock that throws, gives
 * none, or is asked from within itself, `Date.now` stands in.
 *
 * @param failed hears of each reading that was none.
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
			throw new TypeError(`a clock must give milliseconds since 1970, not ${messageOf(tsMs)}`)
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

/** Whether a value can be the time of a record, once its fraction is cut off and what is before 1970 is 0. */
export function isTime(tsMs: unknown): tsMs is number {
	return typeof tsMs === 'number' && tsMs <= TIME_MAX_MS
}

/** A {@link soundClock} that tells people of its first failure. */
export function toldClock(name: string, clock: () => unknown): SoundClock {
	let isTold = false
	return soundClock(clock, (thrown) => {
		if (isTold) return
		isTold = true
		warn(
			'HOOK_FAILED',
			`${name} failed, and Date.now stands in; further failures are only counted: ${messageOf(thrown)}`,
		)
	})
}
