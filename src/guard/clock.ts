/** Guards the clocks of foreign code. */
import { warn } from '../platform/diagnostics.ts'
import { TIME_MAX_MS } from '../platform/time-limits.ts'
import { hush } from './hush.ts'
import { discard } from './promises.ts'
import { messageOf } from './values.ts'

/** A guarded clock: every reading is a time that a record can have. */
export interface SoundClock {
	(): number
	/** Number of readings that `Date.now` replaced. */
	readonly failures: number
}

/**
 * Guards a clock: every reading is a number from 0 to the latest time that a `Date` holds. `Date.now` stands
 * in for a clock that throws, gives something else, or is called from within itself.
 *
 * @param failed called with each failure.
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

/**
 * Whether a value can become the time of a record: a number, whose fraction is cut off and which is at least
 * 0.
 */
export function isTime(tsMs: unknown): tsMs is number {
	return typeof tsMs === 'number' && tsMs <= TIME_MAX_MS
}

/** A {@link soundClock} that warns of its first failure. */
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
