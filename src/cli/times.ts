/** Points in time as people type them, in the local time zone. */
import { MeshChainError } from '../errors.ts'
import { show } from '../record.ts'

const UNIT_MS: Readonly<Record<string, number>> = {
	ms: 1,
	s: 1000,
	m: 60_000,
	h: 3_600_000,
	d: 86_400_000,
	w: 604_800_000,
}
const RELATIVE = /^-(\d+(?:\.\d+)?)(ms|s|m|h|d|w)$/
const CLOCK = /^([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(?:\.(\d{1,3}))?)?$/
const DATE = /^(\d{4})-(\d\d)-(\d\d)$/
const ISO = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?$/i
const MILLISECONDS = /^\d{11,16}$/

/**
 * Milliseconds since 1970 of what was typed.
 *
 * @throws {MeshChainError} `INVALID_TIME`, listing the forms there are.
 */
export function parseTime(text: string, nowMs: number): number {
	const trimmed = text.trim()
	const ms = fromNow(trimmed, nowMs) ?? fromClock(trimmed, nowMs) ?? fromDate(trimmed)
	if (ms !== undefined && Number.isFinite(ms)) return ms
	throw new MeshChainError(
		'INVALID_TIME',
		`no such time: ${show(text)} (2026-01-31, 2026-01-31T14:05:09Z, 14:05, 14:05:09, now, today, yesterday, -90s, -1h, -2d, or milliseconds since 1970)`,
	)
}

/**
 * Milliseconds of a length of time: `90s`, `2m`, `30d`.
 *
 * @throws {MeshChainError} `INVALID_USAGE`
 */
export function parseDuration(option: string, text: string): number {
	const [, amount, unit = ''] = RELATIVE.exec(`-${text.trim()}`) ?? []
	if (amount !== undefined) return Math.round(Number(amount) * (UNIT_MS[unit] ?? Number.NaN))
	throw new MeshChainError(
		'INVALID_USAGE',
		`${option} takes a length of time such as 90s, 2m, 12h or 30d, not ${show(text)}`,
	)
}

/** A time as it is shown and can be typed again: local, with its offset. */
export function formatTime(tsMs: number): string {
	const offsetMinutes = -new Date(tsMs).getTimezoneOffset()
	const iso = new Date(Math.min(tsMs + offsetMinutes * 60_000, 8.64e15)).toISOString()
	if (offsetMinutes === 0) return iso
	const minutes = Math.abs(offsetMinutes)
	const pad = (value: number) => String(value).padStart(2, '0')
	return `${iso.slice(0, -1)}${offsetMinutes < 0 ? '-' : '+'}${pad(Math.floor(minutes / 60))}:${pad(minutes % 60)}`
}

/** How long ago something was, in the largest unit that fits. */
export function formatAgo(ms: number): string {
	const units = Object.entries(UNIT_MS).filter(([unit]) => unit !== 'ms' && unit !== 'w')
	const [unit = 's', unitMs = 1000] = units.findLast(([, size]) => ms >= size) ?? []
	return `${Math.max(0, Math.floor(ms / unitMs))} ${unit === 'm' ? 'min' : unit} ago`
}

function fromNow(text: string, nowMs: number): number | undefined {
	if (text === 'now') return nowMs
	if (text === 'today') return midnight(nowMs, 0)
	if (text === 'yesterday') return midnight(nowMs, -1)
	const [, amount, unit] = RELATIVE.exec(text) ?? []
	return amount === undefined ? undefined : nowMs - Number(amount) * (UNIT_MS[unit ?? ''] ?? Number.NaN)
}

function midnight(nowMs: number, days: number): number {
	const now = new Date(nowMs)
	return new Date(now.getFullYear(), now.getMonth(), now.getDate() + days).getTime()
}

function fromClock(text: string, nowMs: number): number | undefined {
	const [, hours, minutes, seconds = '0', fraction = '0'] = CLOCK.exec(text) ?? []
	if (hours === undefined) return undefined
	const time = new Date(nowMs)
	return time.setHours(Number(hours), Number(minutes), Number(seconds), Number(fraction.padEnd(3, '0')))
}

function fromDate(text: string): number | undefined {
	if (MILLISECONDS.test(text)) return Number(text)
	const [, year, month, day] = DATE.exec(text) ?? []
	if (year !== undefined) {
		const date = new Date(Number(year), Number(month) - 1, Number(day))
		return date.getMonth() === Number(month) - 1 ? date.getTime() : undefined
	}
	return ISO.test(text) ? Date.parse(text.replace(' ', 'T')) : undefined
}
