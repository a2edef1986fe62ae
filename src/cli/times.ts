/** Parses the times that users type, in the local time zone, and formats ages. */
import { show } from '../guard/show.ts'
import { localMidnight, localTime, timeOfDay, timeOfDecimal, timeOfText } from '../model/calendar.ts'
import { MeshChainError } from '../model/errors.ts'
import { isPointInTime } from '../model/record.ts'
import { DURATION_UNITS } from './amounts.ts'

const RELATIVE = /^-(\d+(?:\.\d+)?)(ms|s|m|h|d|w)$/
const CLOCK = /^(\d?\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,18}))?)?$/
/**
 * Shorter numbers are years or mistakes, because a time in seconds since 1970 has at least nine digits from
 * 1973 onward.
 */
const NUMBER = /^\d{9,20}(?:\.\d+)?$/
const EXAMPLES = [
	...['2026-01-31', '2026-01-31T14:05:09Z', '14:05', '14:05:09', 'now', 'today', 'yesterday'],
	...['-90s', '-1h', '-2d', 'or seconds, milliseconds, microseconds or nanoseconds since 1970'],
].join(', ')

/**
 * Parses a time into milliseconds since 1970.
 *
 * @throws {MeshChainError} `INVALID_TIME`, with examples, if the text is not a time, if the time does not
 * exist, or if the text is a number that looks like a date.
 */
export function parseTime(text: string, nowMs: number): number {
	const trimmed = text.trim()
	const ms =
		fromNow(trimmed, nowMs) ?? fromClock(trimmed, nowMs) ?? fromNumber(trimmed) ?? timeOfText(trimmed)
	if (isPointInTime(ms)) return ms
	throw new MeshChainError('INVALID_TIME', `${show(text)} is not a valid time (examples: ${EXAMPLES})`)
}

/** Formats an age in the largest unit that fits, such as `3 min ago`. */
export function formatAgo(ms: number): string {
	const units = Object.entries(DURATION_UNITS).filter(([unit]) => unit !== 'ms' && unit !== 'w')
	const [unit = 's', unitMs = 1000] = units.findLast(([, size]) => ms >= size) ?? []
	return `${Math.max(0, Math.floor(ms / unitMs))} ${unit === 'm' ? 'min' : unit} ago`
}

function fromNow(text: string, nowMs: number): number | undefined {
	if (text === 'now') return nowMs
	if (text === 'today') return midnight(nowMs)
	if (text === 'yesterday') return midnight(midnight(nowMs) - 1)
	const [, amount, unit] = RELATIVE.exec(text) ?? []
	return amount === undefined
		? undefined
		: nowMs - Number(amount) * (DURATION_UNITS[unit ?? ''] ?? Number.NaN)
}

/** Returns the start of the day that contains a time. */
function midnight(tsMs: number): number {
	const date = new Date(tsMs)
	return localMidnight(date.getFullYear(), date.getMonth() + 1, date.getDate()) ?? tsMs
}

function fromClock(text: string, nowMs: number): number | undefined {
	const [, hours, minutes, seconds, fraction] = CLOCK.exec(text) ?? []
	const time = hours === undefined ? undefined : timeOfDay(hours, minutes, seconds, fraction)
	if (time === undefined) return undefined
	const now = new Date(nowMs)
	return localTime(now.getFullYear(), now.getMonth() + 1, now.getDate(), time)
}

function fromNumber(text: string): number | undefined {
	return NUMBER.test(text) ? timeOfDecimal(text) : undefined
}
