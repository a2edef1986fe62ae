/** Parses the durations (`90s`, `30d`), sizes (`512MiB`, `10GB`) and bounds that users type. */
import { show } from '../guard/show.ts'
import { TIME_MAX_MS } from '../platform/time-limits.ts'
import { usage } from './command.ts'

/** Length of each duration unit in milliseconds, shortest first. */
export const DURATION_UNITS: Readonly<Record<string, number>> = {
	ms: 1,
	s: 1000,
	m: 60_000,
	h: 3_600_000,
	d: 86_400_000,
	w: 604_800_000,
}
const SIZE_UNITS: Readonly<Record<string, number>> = {
	B: 1,
	kB: 1e3,
	MB: 1e6,
	GB: 1e9,
	TB: 1e12,
	KiB: 2 ** 10,
	MiB: 2 ** 20,
	GiB: 2 ** 30,
	TiB: 2 ** 40,
}
const RECORDS = /^(\d+) ?records?$/
const AMOUNT = /^(\d+(?:\.\d+)?) ?([a-zA-Z]+)$/
const DURATIONS = 'a duration such as 90s, 2m, 12h or 30d'
const SIZES = 'a size such as 512MiB or 10GB'
const BOUNDS = 'a size such as 64MiB, an age such as 7d, or a number of records such as 1000000records'

/**
 * Parses a duration into milliseconds. A duration is a number followed by `ms`, `s`, `m`, `h`, `d` or `w`.
 *
 * @throws {MeshChainError} `INVALID_USAGE`
 */
export function parseDuration(option: string, text: string): number {
	const ms = durationOf(text)
	if (ms !== undefined) return ms
	throw usage(`${option} must be ${DURATIONS}, not ${show(text)}`)
}

/** Retention limits: a maximum age and a maximum size in bytes. */
export interface Retention {
	readonly ageMs?: number
	readonly bytes?: number
}

/**
 * Parses the values of an option: at most one duration and one size.
 *
 * @throws {MeshChainError} `INVALID_USAGE`
 */
export function parseRetention(option: string, texts: readonly string[]): Retention {
	const amounts = texts.map((text) => {
		const ageMs = durationOf(text)
		const bytes = sizeOf(text)
		if (ageMs !== undefined) return { ageMs }
		if (bytes !== undefined && bytes > 0) return { bytes }
		throw usage(`${option} must be ${DURATIONS}, or ${SIZES}, not ${show(text)}`)
	})
	const retention: Retention = Object.assign({}, ...amounts)
	if (Object.keys(retention).length === texts.length) return retention
	throw usage(`${option} accepts at most one duration and one size, not ${texts.join(' and ')}`)
}

/** Bounds by size in bytes, by number of records, and by age. */
export interface Bounds extends Retention {
	readonly records?: number
}

/**
 * Parses the values of an option: at most one bound of each type. A value can list several bounds, separated
 * by commas. A number without a unit is a size in bytes.
 *
 * @param bytesMin Smallest size that the option accepts.
 * @throws {MeshChainError} `INVALID_USAGE`
 */
export function parseBounds(option: string, texts: readonly string[], bytesMin: number): Bounds {
	const bounds = texts.flatMap((text) => text.split(',')).map((text) => boundOf(option, text, bytesMin))
	const all: Bounds = Object.assign({}, ...bounds)
	if (Object.keys(all).length === bounds.length) return all
	throw usage(
		`${option} accepts at most one size, one age and one number of records, not ${texts.join(' and ')}`,
	)
}

function boundOf(option: string, text: string, bytesMin: number): Bounds {
	const ageMs = durationOf(text)
	const [, number] = RECORDS.exec(text.trim()) ?? []
	const records = number === undefined ? undefined : Number(number)
	const bytes = sizeOf(/^\d+$/.test(text.trim()) ? `${text.trim()}B` : text)
	if (bytes !== undefined && bytes < bytesMin)
		throw usage(`${option} must be at least ${bytesMin} bytes, not ${show(text)}`)
	if (ageMs !== undefined && ageMs > 0) return { ageMs }
	if (Number.isSafeInteger(records) && records! > 0) return { records: records! }
	if (bytes !== undefined) return { bytes }
	throw usage(`${option} must be ${BOUNDS}, not ${show(text)}`)
}

function durationOf(text: string): number | undefined {
	const ms = amountOf(text, DURATION_UNITS)
	return ms !== undefined && ms <= TIME_MAX_MS ? ms : undefined
}

function sizeOf(text: string): number | undefined {
	const bytes = amountOf(text, SIZE_UNITS)
	return Number.isSafeInteger(bytes) ? bytes : undefined
}

function amountOf(text: string, units: Readonly<Record<string, number>>): number | undefined {
	const [, amount, unit = ''] = AMOUNT.exec(text.trim()) ?? []
	return Object.hasOwn(units, unit) ? Math.round(Number(amount) * units[unit]!) : undefined
}
