/**
 * Times as logs contain them: a date and a time of day, often without an offset and sometimes without a year.
 * {@link WrittenTimes} converts them, and counts what it had to assume.
 */
import { LOCAL_ZONE, type TimeZone } from '../model/time-zone.ts'

/** A date and a time of day. The calendar need not have it. */
export interface ClockTime {
	/** Year; undefined if it is not written. */
	readonly year: number | undefined
	/** Month, from 1. */
	readonly month: number
	readonly day: number
	readonly hours: number
	readonly minutes: number
	readonly seconds: number
	readonly milliseconds: number
	/** Offset from UTC in minutes; undefined if it is not written. */
	readonly offsetMinutes: number | undefined
}

/** A time in a log: a point in time, or a reading of a clock. */
export type WrittenTime = ClockTime | { readonly tsMs: number }

/** What a log left out of a time. */
export type Assumption = 'zone' | 'year'

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000
/** The clock of the machine that wrote a line without a year may be ahead by this much. */
const AHEAD_MS = MINUTE_MS
/** 29 February occurs at least once in nine consecutive years. */
const YEARS_MAX = 9
const OFFSET_MINUTES_MAX = 24 * 60

/**
 * Converts the times of a log. A time without an offset is a time in the given zone. A time without a year
 * has the newest year that is not in the future, with one minute of tolerance for clocks that are ahead.
 */
export class WrittenTimes {
	/** The zone of times without an offset. */
	readonly zone: TimeZone
	/** Number of times for which the zone or the year was assumed. */
	readonly assumed: Record<Assumption, number> = { zone: 0, year: 0 }
	readonly #now: () => number
	readonly #onFirst: (assumption: Assumption) => void

	/**
	 * @param zone Default: local time.
	 * @param now Clock that determines which years are in the future. Default: `Date.now`.
	 * @param onFirst Called before an assumption is made for the first time. Default: does nothing.
	 */
	constructor(
		zone: TimeZone = LOCAL_ZONE,
		now: () => number = () => Date.now(),
		onFirst: (assumption: Assumption) => void = () => {},
	) {
		this.zone = zone
		this.#now = now
		this.#onFirst = onFirst
	}

	/**
	 * Returns milliseconds since 1970; undefined for a time before 1970, and for a time that the calendar or
	 * the clocks of the zone do not have.
	 */
	tsMsOf(time: WrittenTime): number | undefined {
		const tsMs = 'tsMs' in time ? time.tsMs : time.year === undefined ? this.#newest(time) : this.#in(time)
		if (tsMs === undefined || !(tsMs >= 0)) return undefined
		if ('tsMs' in time) return tsMs
		if (time.offsetMinutes === undefined) this.#assume('zone')
		if (time.year === undefined) this.#assume('year')
		return tsMs
	}

	#newest(time: ClockTime): number | undefined {
		const nowMs = this.#now()
		// In some zones, the next year has already begun.
		const newestYear = new Date(nowMs + DAY_MS).getUTCFullYear()
		for (let year = newestYear; year > newestYear - YEARS_MAX; year--) {
			const tsMs = this.#in({ ...time, year })
			if (tsMs !== undefined && tsMs <= nowMs + AHEAD_MS) return tsMs
		}
		return undefined
	}

	#in(time: ClockTime): number | undefined {
		const clockMs = clockMsOf(time)
		if (clockMs === undefined) return undefined
		const { offsetMinutes } = time
		if (offsetMinutes === undefined) return this.zone.tsMsOf(clockMs)
		return Math.abs(offsetMinutes) < OFFSET_MINUTES_MAX ? clockMs - offsetMinutes * MINUTE_MS : undefined
	}

	#assume(assumption: Assumption): void {
		if (this.assumed[assumption]++ === 0) this.#onFirst(assumption)
	}
}

/** Returns a reading of a clock as if it were UTC; undefined if the calendar does not have it. */
function clockMsOf(time: ClockTime): number | undefined {
	const { year = 0, month, day, hours, minutes, seconds, milliseconds } = time
	if (year < 1 || hours > 23 || minutes > 59 || seconds > 59) return undefined
	const date = new Date(0)
	date.setUTCFullYear(year, month - 1, day)
	if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined
	return date.getTime() + ((hours * 60 + minutes) * 60 + seconds) * 1000 + milliseconds
}
