/** Time zones, for times that are written without an offset. */
import { show } from '../guard/show.ts'
import { localTime } from './calendar.ts'
import { MeshChainError } from './errors.ts'

/** A time zone: local, a fixed offset from UTC, or a zone of the IANA database. */
export interface TimeZone {
	/** Name for messages, such as `Europe/Berlin`. */
	readonly name: string
	/**
	 * Converts a time on the clocks of this zone, given as if it were UTC, to milliseconds since 1970. Returns
	 * the first occurrence of a time that occurs twice, and undefined for a time that a clock change skips.
	 */
	tsMsOf(clockMs: number): number | undefined
}

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000
/** The offset of a zone is constant within each quarter of an hour. */
const QUARTER_MS = 15 * MINUTE_MS
const CACHED_OFFSETS_MAX = 10_000
const OFFSET = /^([+-])(\d\d)(?::?(\d\d))?$/
const UTC: TimeZone = { name: 'UTC', tsMsOf: (clockMs) => clockMs }

/** The time zone of this process. A change of `TZ` takes effect immediately. */
export const LOCAL_ZONE: TimeZone = {
	get name() {
		const { timeZone } = Intl.DateTimeFormat().resolvedOptions()
		return `${timeZone}, the local one`
	},
	tsMsOf(clockMs) {
		const clock = new Date(clockMs)
		return localTime(clock.getUTCFullYear(), clock.getUTCMonth() + 1, clock.getUTCDate(), {
			hours: clock.getUTCHours(),
			minutes: clock.getUTCMinutes(),
			seconds: clock.getUTCSeconds(),
			milliseconds: clock.getUTCMilliseconds(),
		})
	},
}

/**
 * Parses a time zone: `local`, `UTC`, an offset such as `+02:00`, or a name from the IANA database such as
 * `Europe/Berlin`.
 *
 * @throws {MeshChainError} `INVALID_OPTION`. The message contains the text and examples.
 */
export function parseTimeZone(name: string, text: unknown): TimeZone {
	const given = typeof text === 'string' ? text.trim() : ''
	if (/^local$/i.test(given)) return LOCAL_ZONE
	if (/^(?:utc|gmt|z)$/i.test(given)) return UTC
	const zone = fixedZone(given) ?? namedZone(given)
	if (zone !== undefined) return zone
	const examples = 'local, UTC, +02:00, Europe/Berlin'
	throw new MeshChainError(
		'INVALID_OPTION',
		`${name} must be a time zone (examples: ${examples}), not ${show(text)}`,
	)
}

function fixedZone(text: string): TimeZone | undefined {
	const [, sign, hours, minutes = '0'] = OFFSET.exec(text) ?? []
	if (hours === undefined || Number(hours) > 23 || Number(minutes) > 59) return undefined
	const offsetMs = (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * MINUTE_MS
	return { name: text, tsMsOf: (clockMs) => clockMs - offsetMs }
}

function namedZone(text: string): TimeZone | undefined {
	// Other strings that `Intl` accepts, such as `+01`, have been handled.
	if (!/^[A-Za-z][\w+/-]*$/.test(text)) return undefined
	try {
		return new NamedZone(text)
	} catch {
		return undefined
	}
}

class NamedZone implements TimeZone {
	readonly name: string
	readonly #format: Intl.DateTimeFormat
	readonly #offsets = new Map<number, number>()

	/** @throws {RangeError} If there is no such zone. */
	constructor(name: string) {
		this.#format = new Intl.DateTimeFormat('en-US', {
			timeZone: name,
			hourCycle: 'h23',
			...{ year: 'numeric', month: 'numeric', day: 'numeric' },
			...{ hour: 'numeric', minute: 'numeric', second: 'numeric' },
		})
		this.name = this.#format.resolvedOptions().timeZone
	}

	/** Tries the offsets of the day before and the day after, one of which applies to the time. */
	tsMsOf(clockMs: number): number | undefined {
		const [before, after] = [this.#offsetAt(clockMs - DAY_MS), this.#offsetAt(clockMs + DAY_MS)]
		const [earlier, later] = [clockMs - Math.max(before, after), clockMs - Math.min(before, after)]
		if (this.#offsetAt(earlier) === clockMs - earlier) return earlier
		return this.#offsetAt(later) === clockMs - later ? later : undefined
	}

	/** Returns the offset from UTC at a time. A lookup in `Intl` takes microseconds, so it is cached. */
	#offsetAt(tsMs: number): number {
		const quarter = Math.floor(tsMs / QUARTER_MS)
		const cached = this.#offsets.get(quarter)
		if (cached !== undefined) return cached
		if (this.#offsets.size >= CACHED_OFFSETS_MAX) this.#offsets.clear()
		const offset = this.#readOffset(quarter * QUARTER_MS)
		this.#offsets.set(quarter, offset)
		return offset
	}

	#readOffset(tsMs: number): number {
		const parts: Record<string, number> = {}
		for (const { type, value } of this.#format.formatToParts(tsMs)) parts[type] = Number(value)
		const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts
		return Date.UTC(year, month - 1, day, hour, minute, second) - tsMs
	}
}
