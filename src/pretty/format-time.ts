/** Formats times in the local time zone. */
import { TIME_MAX_MS } from '../platform/time-limits.ts'

/**
 * Formats a local time with its UTC offset, in a form that the command line accepts. Formats a time outside
 * the range of `Date` as a number.
 */
export function formatTime(tsMs: number): string {
	if (!(Math.abs(tsMs) <= TIME_MAX_MS)) return String(tsMs)
	const offsetMinutes = -new Date(tsMs).getTimezoneOffset()
	const iso = new Date(clamped(tsMs + offsetMinutes * 60_000)).toISOString()
	if (offsetMinutes === 0) return iso
	const minutes = Math.abs(offsetMinutes)
	const pad = (value: number) => String(value).padStart(2, '0')
	const offset = `${pad(Math.floor(minutes / 60))}:${pad(minutes % 60)}`
	return `${iso.slice(0, -1)}${offsetMinutes < 0 ? '-' : '+'}${offset}`
}

function clamped(tsMs: number): number {
	return Math.max(-TIME_MAX_MS, Math.min(tsMs, TIME_MAX_MS))
}
