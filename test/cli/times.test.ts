import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { formatAgo, parseTime } from '../../src/cli/times.ts'
import { formatTime } from '../../src/pretty/format-time.ts'

const zone = process.env['TZ']

for (const [tz, offset] of [
	['UTC', 'Z'],
	['Asia/Kolkata', '+05:30'],
	['America/St_Johns', '-03:30'],
] as const) {
	describe(`times in ${tz}`, () => {
		beforeAll(() => {
			process.env['TZ'] = tz
		})
		afterAll(() => {
			if (zone === undefined) delete process.env['TZ']
			else process.env['TZ'] = zone
		})
		const now = () => new Date(2026, 0, 15, 14, 30, 20, 500).getTime()
		const local = (...parts: [number, number, number, number?, number?, number?, number?]) =>
			new Date(...parts).getTime()

		test.each([
			['now', () => now()],
			['today', () => local(2026, 0, 15)],
			['yesterday', () => local(2026, 0, 14)],
			['-90s', () => now() - 90_000],
			['-1.5h', () => now() - 5_400_000],
			['-2d', () => now() - 172_800_000],
			['-1w', () => now() - 604_800_000],
			['-500ms', () => now() - 500],
			['9:05', () => local(2026, 0, 15, 9, 5)],
			['23:59:58', () => local(2026, 0, 15, 23, 59, 58)],
			['09:05:01.25', () => local(2026, 0, 15, 9, 5, 1, 250)],
			['2026-01-31', () => local(2026, 0, 31)],
			['2026-01-31T10:20', () => local(2026, 0, 31, 10, 20)],
			['2026-01-31 10:20:30', () => local(2026, 0, 31, 10, 20, 30)],
			['2026-01-31T10:20:30.123Z', () => Date.UTC(2026, 0, 31, 10, 20, 30, 123)],
			['2026-01-31T10:20:30+02:00', () => Date.UTC(2026, 0, 31, 8, 20, 30)],
			['1714200000123', () => 1_714_200_000_123],
		])('%s is understood', (text, expected) => {
			expect(parseTime(text, now())).toBe(expected())
		})

		test('a displayed time can be typed again', () => {
			const shown = formatTime(now())
			expect(shown).toBe(`2026-01-15T14:30:20.500${offset}`)
			expect(parseTime(shown, 0)).toBe(now())
		})
	})
}

test.each(['', 'soon', '25:00', '12:60', '2026-02-30', '2026-13-01', '-1y', '12', '2026-01-01T99:00'])(
	'%j is refused, with examples',
	(text) => {
		expect(() => parseTime(text, 0)).toThrow(
			expect.objectContaining({ code: 'INVALID_TIME', message: expect.stringContaining('14:05') }),
		)
	},
)

test.each([
	[-1, '0 s ago'],
	[999, '0 s ago'],
	[59_999, '59 s ago'],
	[60_000, '1 min ago'],
	[7_199_999, '1 h ago'],
	[14 * 86_400_000, '14 d ago'],
])('%i ms is %s', (ms, expected) => {
	expect(formatAgo(ms)).toBe(expected)
})
