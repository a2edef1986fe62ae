/**
 * Parses times from strings and numbers. This is the only parser for times that users type and for times in
 * JSON lines. A time that does not exist in the calendar or on the local clock is refused, and never rolls
 * over into the next day or month. Digits that look like a date are never interpreted as seconds or
 * milliseconds since 1970.
 */

const DATE = String.raw`(\d{4})-(\d\d)-(\d\d)`
const TIME = String.raw`(\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,18}))?)?`
const ZONE = String.raw`Z|UTC|GMT|[+-]\d\d(?::?\d\d)?`
/**
 * A date in the years 1 to 9999, optionally followed by `T` or a space and a time. Seconds, fraction and
 * offset are optional. A fraction is truncated to milliseconds. A time without an offset is local.
 */
const DATE_TIME = new RegExp(`^${DATE}(?:[T ]${TIME})?(?: ?(${ZONE}))?$`, 'i')
const OFFSET = /^([+-])(\d\d):?(\d\d)?$/
const HOURS_MAX = 23
const SIXTIETHS_MAX = 59
const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

/** Exclusive upper bound for each unit. The unit of any time from 1973 to 5138 is unambiguous. */
const SECONDS_MAX = 1e11
const MILLISECONDS_MAX = 1e14
const MICROSECONDS_MAX = 1e17
const NANOSECONDS_MAX = 1e20

const DECIMAL = /^(\d{1,20})(?:\.(\d+))?$/
/**
 * Number of digits in a date such as `20260131`, `202601311405`, `20260131140509` or `20260131140509123`. The
 * date need not exist in the calendar.
 */
const COMPACT_DIGITS = new Set([8, 12, 14, 17])
/**
 * As milliseconds since 1970, a 12-digit number is a time from 1973 to 2001. It looks like a date instead if
 * the year starts with 19, 20 or 21, or if the month, day, hour and minute are in range.
 */
const NEAR_YEAR = /^(?:19|20|21)/
const COMPACT_TIME = /^\d{4}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-3])[0-5]\d$/

/** A valid time of day. */
export interface TimeOfDay {
	readonly hours: number
	readonly minutes: number
	readonly seconds: number
	readonly milliseconds: number
}

/**
 * Parses a date with or without a time in the notation of ISO 8601 and RFC 3339: `2026-01-31`,
 * `2026-01-31T14:05:09.123Z`, `2026-01-31 14:05 +02:00`. Returns milliseconds since 1970. Returns undefined
 * for any other string, and for a date, time or offset that does not exist, such as 30 February, hour 24,
 * second 60, or a local time that a clock change skips. For a local time that occurs twice, returns the first
 * occurrence. A date without a time means the first moment of that day in local time.
 */
export function timeOfText(text: string): number | undefined {
	const [, year, month, day, hours, minutes, seconds, fraction, zone] = DATE_TIME.exec(text) ?? []
	if (year === undefined || (hours === undefined && zone !== undefined)) return undefined
	const date = [Number(year), Number(month), Number(day)] as const
	const utcMs = utcMidnight(...date)
	if (utcMs === undefined) return undefined
	if (hours === undefined) return localMidnight(...date)
	const time = timeOfDay(hours, minutes, seconds, fraction)
	if (time === undefined) return undefined
	if (zone === undefined) return localTime(...date, time)
	const offsetMinutes = offsetOf(zone)
	return offsetMinutes === undefined ? undefined : utcMs + msOf(time) - offsetMinutes * MINUTE_MS
}

/**
 * Converts a non-negative number in seconds (below 1e11), milliseconds (below 1e14), microseconds (below
 * 1e17) or nanoseconds (below 1e20) to whole milliseconds since 1970. Returns undefined for any other number.
 * Also returns undefined for a number whose digits look like a date without separators, with or without a
 * fraction, such as `20260131`, `202601311405` or `20260131140509.5`.
 */
export function timeOfNumber(value: number): number | undefined {
	// `String` formats very small numbers with an exponent.
	return value >= 0 && value < 1e-3 ? 0 : timeOfDecimal(String(value))
}

/** Works like {@link timeOfNumber} for a number in decimal notation, without a sign or an exponent. */
export function timeOfDecimal(text: string): number | undefined {
	const [, digits, fraction = ''] = DECIMAL.exec(text) ?? []
	if (digits === undefined || looksLikeDate(digits)) return undefined
	const value = Number(digits)
	if (value < SECONDS_MAX) return Number(digits + fraction.slice(0, 3).padEnd(3, '0'))
	if (value < MILLISECONDS_MAX) return value
	if (value < MICROSECONDS_MAX) return Number(digits.slice(0, -3))
	return value < NANOSECONDS_MAX ? Number(digits.slice(0, -6)) : undefined
}

function looksLikeDate(digits: string): boolean {
	if (!COMPACT_DIGITS.has(digits.length)) return false
	return digits.length !== 12 || NEAR_YEAR.test(digits) || COMPACT_TIME.test(digits)
}

/** Returns a time of day; undefined if it does not exist. */
export function timeOfDay(
	hoursText: string,
	minutesText = '0',
	secondsText = '0',
	fraction = '0',
): TimeOfDay | undefined {
	const [hours, minutes, seconds] = [hoursText, minutesText, secondsText].map(Number) as [
		number,
		number,
		number,
	]
	if (hours > HOURS_MAX || minutes > SIXTIETHS_MAX || seconds > SIXTIETHS_MAX) return undefined
	return { hours, minutes, seconds, milliseconds: Number(fraction.slice(0, 3).padEnd(3, '0')) }
}

/**
 * Returns the first moment of a local day. Months and days are numbered from 1. If a clock change skips
 * midnight, returns the first moment after the change. Returns undefined for a day that the local calendar
 * skips.
 */
export function localMidnight(year: number, month: number, day: number): number | undefined {
	const date = localDate(year, month, day)
	return isOn(date, year, month, day) ? date.getTime() : undefined
}

/** Returns a local time; undefined if a clock change or the local calendar skips it. */
export function localTime(year: number, month: number, day: number, time: TimeOfDay): number | undefined {
	const { hours, minutes, seconds, milliseconds } = time
	const date = localDate(year, month, day)
	date.setHours(hours, minutes, seconds, milliseconds)
	const isThere =
		isOn(date, year, month, day) &&
		date.getHours() === hours &&
		date.getMinutes() === minutes &&
		date.getSeconds() === seconds
	return isThere ? date.getTime() : undefined
}

function isOn(date: Date, year: number, month: number, day: number): boolean {
	return date.getFullYear() === year && date.getMonth() === month - 1 && date.getDate() === day
}

/** Creates a local date. A year below 100 means that year, not a year in the 20th century. */
function localDate(year: number, month: number, day: number): Date {
	const date = new Date(2000, 0, 1)
	date.setFullYear(year, month - 1, day)
	return date
}

/** Returns midnight UTC on a date; undefined if the date does not exist or the year is 0. */
function utcMidnight(year: number, month: number, day: number): number | undefined {
	const date = new Date(0)
	date.setUTCFullYear(year, month - 1, day)
	const isDate = year >= 1 && date.getUTCMonth() === month - 1 && date.getUTCDate() === day
	return isDate ? Math.floor(date.getTime() / DAY_MS) * DAY_MS : undefined
}

function msOf({ hours, minutes, seconds, milliseconds }: TimeOfDay): number {
	return ((hours * 60 + minutes) * 60 + seconds) * 1000 + milliseconds
}

function offsetOf(zone: string): number | undefined {
	const [, sign, hours, minutes = '0'] = OFFSET.exec(zone) ?? []
	if (hours === undefined) return 0
	if (Number(hours) > HOURS_MAX || Number(minutes) > SIXTIETHS_MAX) return undefined
	return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes))
}
