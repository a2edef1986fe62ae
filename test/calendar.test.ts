import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { timeOfNumber, timeOfText } from '../src/calendar.ts'
import { parseTime } from '../src/cli/times.ts'
import { lineOfJson } from '../src/jsonl/json-line.ts'

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

/** Around every edge, on both sides. */
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

test('a time is the one that the calendar has, or none: by an oracle of its own', () => {
	fc.assert(
		fc.property(parts, ({ year, month, day, hours, minutes, seconds, fraction, offset, separator }) => {
			const zoneText =
				offset === undefined ? 'Z' : `${offset[0] < 0 ? '-' : '+'}${pad(offset[1])}:${pad(offset[2])}`
			const text = `${pad(year, 4)}-${pad(month)}-${pad(day)}${separator}${pad(hours)}:${pad(minutes)}:${pad(seconds)}.${pad(fraction, 3)}${zoneText}`
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
			// A line of JSON has the same times, but none before 1970.
			const line = lineOfJson(JSON.stringify({ time: text, msg: 'm' }))
			expect(line?.tsMs).toBe(expected !== undefined && expected >= 0 ? expected : undefined)
			if (line?.tsMs === undefined) expect(line?.data).toEqual({ time: text })
		}),
		{ numRuns: 3000 },
	)
})

test('a number is a time in the unit that its size says, whole, and the same typed as in a line', () => {
	const units = [1, 1e3, 1e6, 1e9]
	fc.assert(
		fc.property(fc.integer({ min: 1e8, max: 5e10 }), fc.constantFrom(...units), (seconds, unit) => {
			const value = seconds * unit
			expect(timeOfNumber(value)).toBe(seconds * 1000)
			if (!/^(?:19|20)\d{10}(?:\d\d)?$/.test(String(value)))
				expect(parseTime(String(value), 0)).toBe(seconds * 1000)
			expect(lineOfJson(`{"time":${value},"msg":""}`)?.tsMs).toBe(seconds * 1000)
		}),
	)
	for (const value of [-1, Number.NaN, Number.POSITIVE_INFINITY, 1e20, 1e300])
		expect(timeOfNumber(value)).toBeUndefined()
})

test.each([
	'12',
	'2026',
	'20260131',
	'202601311405',
	'20260131140509',
	'99999999',
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
])('%s is no time that can be typed', (text) => {
	expect(() => parseTime(text, 1_700_000_000_000)).toThrow(expect.objectContaining({ code: 'INVALID_TIME' }))
})

test.each([
	['1772323200', 1_772_323_200_000],
	['1772323200.123', 1_772_323_200_123],
	['1772323200123', 1_772_323_200_123],
	['1772323200123456', 1_772_323_200_123],
	['1772323200123456789', 1_772_323_200_123],
	['2026-03-01T00:00:00Z', 1_772_323_200_000],
	['2026-03-01 02:00 +0200', 1_772_323_200_000],
	['2026-03-01 00:00:00,5 UTC', 1_772_323_200_500],
])('%s is %i', (text, expected) => {
	expect(Math.floor(parseTime(text, 0))).toBe(expected)
})

describe('where the clocks change', () => {
	beforeAll(() => setZone('Europe/Berlin'))
	afterAll(() => setZone(zone))

	test('a local time that is left out is none, one that comes twice is the first', () => {
		expect(timeOfText('2026-03-29T01:59')).toBe(Date.UTC(2026, 2, 29, 0, 59))
		expect(timeOfText('2026-03-29T02:30')).toBeUndefined()
		expect(timeOfText('2026-03-29T03:00')).toBe(Date.UTC(2026, 2, 29, 1))
		expect(timeOfText('2026-10-25T02:30')).toBe(Date.UTC(2026, 9, 25, 0, 30))
		expect(() => parseTime('02:30', Date.UTC(2026, 2, 29, 12))).toThrow(/no such time/)
	})

	test('a day without a midnight begins with its first moment', () => {
		setZone('America/Santiago')
		expect(timeOfText('2026-09-06')).toBe(Date.UTC(2026, 8, 6, 4))
		expect(parseTime('today', Date.UTC(2026, 8, 6, 12))).toBe(Date.UTC(2026, 8, 6, 4))
	})
})
