import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseTime } from '../../src/cli/times.ts'
import { eventFormat } from '../../src/jsonl/event-format.ts'
import { lineOfJson } from '../../src/jsonl/json-line.ts'
import { timeOfDecimal, timeOfNumber, timeOfText } from '../../src/model/calendar.ts'

const zone = process.env['TZ']
afterAll(() => setZone(zone))

function setZone(name: string | undefined): void {
	if (name === undefined) delete process.env['TZ']
	else process.env['TZ'] = name
}

const pad = (value: number, digits = 2) => String(value).padStart(digits, '0')

function daysIn(year: number, month: number): number {
	const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
	return [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1] ?? 0
}

/** Values around every edge, on both sides. */
const parts = fc.record({
	year: fc.oneof(
		fc.constantFrom(0, 1, 99, 1900, 1969, 1970, 2000, 2024, 2026, 9999),
		fc.integer({ min: 1, max: 9999 }),
	),
	month: fc.integer({ min: 0, max: 14 }),
	day: fc.integer({ min: 0, max: 33 }),
	hours: fc.integer({ min: 0, max: 26 }),
	minutes: fc.integer({ min: 0, max: 63 }),
	seconds: fc.integer({ min: 0, max: 63 }),
	fraction: fc.integer({ min: 0, max: 999 }),
	offset: fc.oneof(
		fc.constant(undefined),
		fc.tuple(fc.constantFrom(1, -1), fc.integer({ min: 0, max: 26 }), fc.integer({ min: 0, max: 63 })),
	),
	separator: fc.constantFrom('T', ' ', 't'),
})

test('a time is parsed exactly if the calendar has it, by comparison with an oracle', () => {
	fc.assert(
		fc.property(parts, ({ year, month, day, hours, minutes, seconds, fraction, offset, separator }) => {
			const zoneText =
				offset === undefined ? 'Z' : `${offset[0] < 0 ? '-' : '+'}${pad(offset[1])}:${pad(offset[2])}`
			const dateText = [pad(year, 4), pad(month), pad(day)].join('-')
			const timeText = [pad(hours), pad(minutes), pad(seconds)].join(':')
			const text = `${dateText}${separator}${timeText}.${pad(fraction, 3)}${zoneText}`
			const exists =
				year >= 1 &&
				month >= 1 &&
				month <= 12 &&
				day >= 1 &&
				day <= daysIn(year, month) &&
				hours <= 23 &&
				minutes <= 59 &&
				seconds <= 59 &&
				(offset === undefined || (offset[1] <= 23 && offset[2] <= 59))
			const date = new Date(0)
			date.setUTCFullYear(year, month - 1, day)
			const offsetMs = offset === undefined ? 0 : offset[0] * (offset[1] * 60 + offset[2]) * 60_000
			date.setUTCHours(hours, minutes, seconds, fraction)
			const expected = exists ? date.getTime() - offsetMs : undefined
			expect(timeOfText(text), text).toBe(expected)
			if (expected === undefined)
				expect(() => parseTime(text, 0)).toThrow(expect.objectContaining({ code: 'INVALID_TIME' }))
			else expect(parseTime(text, 0)).toBe(expected)
			// A line of JSON accepts the same times, except times before 1970.
			const line = lineOfJson(JSON.stringify({ time: text, msg: 'm' }))
			expect(line?.tsMs).toBe(expected !== undefined && expected >= 0 ? expected : undefined)
			if (line?.tsMs === undefined) expect(line?.data).toEqual({ time: text })
		}),
		{ numRuns: 3000 },
	)
})

/** The documented rule: digits that look like a date are not a count, in any unit. */
function looksLikeDate(digits: string): boolean {
	if ([8, 14, 17].includes(digits.length)) return true
	if (digits.length !== 12) return false
	const [month, day, hours, minutes] = [4, 6, 8, 10].map((at) => Number(digits.slice(at, at + 2))) as [
		number,
		number,
		number,
		number,
	]
	const isDate = month >= 1 && month <= 12 && day >= 1 && day <= 31 && hours <= 23 && minutes <= 59
	return isDate || ['19', '20', '21'].includes(digits.slice(0, 2))
}

const event = eventFormat()
const timeOfEvent = (value: string) => {
	const reading = event.read({ ts: Number(value), ev: 'a' }, '')
	return 'lines' in reading ? reading.lines[0]?.tsMs : undefined
}

test('a number is a time in the unit that fits its size, the same if typed or in a line', () => {
	const units = [1, 1e3, 1e6, 1e9]
	fc.assert(
		fc.property(
			fc.oneof(fc.integer({ min: 1e8, max: 5e10 }), fc.integer({ min: 1.7e9, max: 2e9 })),
			fc.constantFrom(...units),
			fc.option(fc.stringMatching(/^\d{1,4}$/), { nil: undefined }),
			(seconds, unit, fraction) => {
				const digits = String(seconds * unit)
				const text = fraction === undefined || unit > 1e3 ? digits : `${digits}.${fraction}`
				const cutMs = unit === 1 && text !== digits ? Number(fraction!.slice(0, 3).padEnd(3, '0')) : 0
				const expected = looksLikeDate(digits) ? undefined : seconds * 1000 + cutMs
				expect(timeOfDecimal(text), text).toBe(expected)
				if (expected === undefined)
					expect(() => parseTime(text, 0)).toThrow(expect.objectContaining({ code: 'INVALID_TIME' }))
				else expect(parseTime(text, 0)).toBe(expected)
				// From 2^40 on, a number is not precise enough for four digits after the point.
				if (Number(text) >= 2 ** 40 && text !== digits) return
				expect(timeOfNumber(Number(text)), text).toBe(expected)
				expect(lineOfJson(`{"time":${text},"msg":""}`)?.tsMs).toBe(expected)
				expect(timeOfEvent(text)).toBe(expected)
			},
		),
		{ numRuns: 3000 },
	)
	for (const value of [-1, Number.NaN, Number.POSITIVE_INFINITY, 1e20, 1e300])
		expect(timeOfNumber(value)).toBeUndefined()
	for (const value of [0, -0, 1e-9, 5e-324, 0.0009]) expect(timeOfNumber(value)).toBe(0)
	expect([timeOfNumber(1.9999), timeOfNumber(1_772_323_200_123_999)]).toEqual([1999, 1_772_323_200_123])
})

test('digits like a date without separators are refused, whether or not the date exists', () => {
	const digits = fc
		.tuple(
			fc.integer({ min: 1900, max: 2199 }),
			fc.array(fc.integer({ min: 0, max: 99 }), { minLength: 5, maxLength: 5 }),
			fc.integer({ min: 0, max: 999 }),
			fc.constantFrom(8, 12, 14, 17),
			fc.constantFrom('', '.0', '.09', '.123', '.123456'),
		)
		.map(([year, rest, ms, length, fraction]) => {
			const all = `${year}${rest.map((part) => pad(part)).join('')}${pad(ms, 3)}`
			return `${all.slice(0, length)}${fraction}`
		})
	fc.assert(
		fc.property(digits, (text) => {
			expect(() => parseTime(text, 0), text).toThrow(expect.objectContaining({ code: 'INVALID_TIME' }))
			expect(lineOfJson(`{"time":${text},"msg":""}`)).toMatchObject({ data: { time: Number(text) } })
			expect(lineOfJson(`{"time":${text},"msg":""}`)?.tsMs).toBeUndefined()
			expect(timeOfEvent(text)).toBeUndefined()
		}),
		{ numRuns: 1000 },
	)
})

test.each([
	'12',
	'2026',
	'20260131',
	'202601311405',
	'20260131140509',
	'99999999',
	'20260131240000',
	'20260132140509',
	'20260131140509.123',
	'20260131140509123',
	'21000131140509',
	'202613011405',
	'202601311405.09',
	'202602301405.00',
	'99991231235959',
	'999912312359',
	'100000000000000000000',
	'-1',
	'1e12',
	'0x10',
	'24:00',
	'9:60',
	'23:59:60',
	'1:2',
	'-99999999999999999999w',
	'2026-01',
	'2026-W05-1',
	'2026-01-31Z',
	'2026-01-31T',
	'2026-1-1',
	'2026-01-31T10',
	'2026-01-31T10:00+24:00',
	'2026-01-31T10:00+02:60',
	'+010000-01-01',
	'0000-01-01',
	'31.01.2026',
	'2026-02-29',
])('%s is refused as a typed time', (text) => {
	expect(() => parseTime(text, 1_700_000_000_000)).toThrow(expect.objectContaining({ code: 'INVALID_TIME' }))
})

test.each([
	['1772323200', 1_772_323_200_000],
	['1772323200.123', 1_772_323_200_123],
	['1772323200123', 1_772_323_200_123],
	['1772323200123456', 1_772_323_200_123],
	['1772323200123456789', 1_772_323_200_123],
	['1772323200123999999', 1_772_323_200_123],
	['946684800000', 946_684_800_000],
	['2026-03-01T00:00:00Z', 1_772_323_200_000],
	['2026-03-01 02:00 +0200', 1_772_323_200_000],
	['2026-03-01 00:00:00,5 UTC', 1_772_323_200_500],
])('%s is %i', (text, expected) => {
	expect(parseTime(text, 0)).toBe(expected)
})

describe('where the clocks change', () => {
	beforeAll(() => setZone('Europe/Berlin'))
	afterAll(() => setZone(zone))

	test('a skipped local time is refused, a repeated one means the first', () => {
		expect(timeOfText('2026-03-29T01:59')).toBe(Date.UTC(2026, 2, 29, 0, 59))
		expect(timeOfText('2026-03-29T02:30')).toBeUndefined()
		expect(timeOfText('2026-03-29T03:00')).toBe(Date.UTC(2026, 2, 29, 1))
		expect(timeOfText('2026-10-25T02:30')).toBe(Date.UTC(2026, 9, 25, 0, 30))
		expect(() => parseTime('02:30', Date.UTC(2026, 2, 29, 12))).toThrow(/is not a valid time/)
	})

	test('a day without a midnight begins with its first moment', () => {
		setZone('America/Santiago')
		expect(timeOfText('2026-09-06')).toBe(Date.UTC(2026, 8, 6, 4))
		expect(parseTime('today', Date.UTC(2026, 8, 6, 12))).toBe(Date.UTC(2026, 8, 6, 4))
	})

	/** Days and times that a zone skipped altogether, and for how long. */
	test.each([
		['Pacific/Apia', 2011, 12, 30],
		['Pacific/Kwajalein', 1993, 8, 21],
		['Pacific/Fakaofo', 2011, 12, 30],
		['Pacific/Enderbury', 1994, 12, 31],
	])('in %s the day %i-%i-%i is refused at any time of day', (name, year, month, day) => {
		setZone(name)
		const date = `${year}-${pad(month)}-${pad(day)}`
		expect(timeOfText(date)).toBeUndefined()
		for (let hours = 0; hours < 24; hours++)
			for (const minutes of [0, 1, 30, 59])
				expect(timeOfText(`${date}T${pad(hours)}:${pad(minutes)}`), `${hours}:${minutes}`).toBeUndefined()
		expect(() => parseTime(`${date}T10:00`, 0)).toThrow(expect.objectContaining({ code: 'INVALID_TIME' }))
		const dayAfter = new Date(year, month - 1, day + 1, 12).getTime()
		expect(parseTime('today', dayAfter)).toBe(new Date(year, month - 1, day + 1).getTime())
		expect(parseTime('yesterday', dayAfter)).toBe(new Date(year, month - 1, day - 1).getTime())
	})

	test('a local time is what the clocks show, or refused: in every zone, around every change', () => {
		const zones = [
			'Europe/Berlin',
			'America/Santiago',
			'Pacific/Apia',
			'Australia/Lord_Howe',
			'Asia/Beirut',
			'UTC',
		]
		fc.assert(
			fc.property(
				fc.constantFrom(...zones),
				fc.constantFrom(2011, 2012, 2026),
				fc.integer({ min: 0, max: 366 * 48 }),
				(name, year, halfHours) => {
					setZone(name)
					// Some of these times do not exist in the zone.
					const text = new Date(Date.UTC(year, 0, 1) + halfHours * 1_800_000).toISOString().slice(0, 19)
					const ms = timeOfText(text)
					const shown = (tsMs: number) => {
						const at = new Date(tsMs)
						const date = `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`
						return `${date}T${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`
					}
					if (ms !== undefined) expect(shown(ms)).toBe(text)
					else
						for (let hours = -30; hours < 30; hours += 0.5)
							expect(shown(Date.parse(`${text}Z`) + hours * 3_600_000)).not.toBe(text)
				},
			),
			{ numRuns: 3000 },
		)
	})
})
