/** Times on the clocks of a zone, compared with `Intl`. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseTimeZone } from '../../src/model/time-zone.ts'
import { SEED } from '../support/counts.ts'

const zones = [
	'Europe/Berlin',
	'America/New_York',
	'Asia/Kolkata',
	'Australia/Lord_Howe',
	'Africa/Casablanca',
]

/** Returns a time on the clocks of a zone, as if it were UTC. */
function clockOf(tsMs: number, timeZone: string): number {
	const text = new Date(tsMs).toLocaleString('sv-SE', { timeZone })
	return Date.parse(`${text.replace(' ', 'T')}Z`) + (tsMs % 1000)
}

test.each(zones)('%s: a time on its clocks is the first time at which they show it', (name) => {
	const zone = parseTimeZone('timeZone', name)
	const range = { min: Date.UTC(1975, 0), max: Date.UTC(2037, 0) }
	fc.assert(
		fc.property(fc.integer(range), (tsMs) => {
			const clockMs = clockOf(tsMs, name)
			const found = zone.tsMsOf(clockMs)!
			expect(clockOf(found, name)).toBe(clockMs)
			expect(found).toBeLessThanOrEqual(tsMs)
			// A clock is set back by at most two hours.
			expect(tsMs - found).toBeLessThanOrEqual(7_200_000)
		}),
		{ numRuns: 500, seed: SEED },
	)
})

test('a time that a clock change skips does not exist, and one that occurs twice is the first one', () => {
	const berlin = parseTimeZone('timeZone', 'Europe/Berlin')
	expect(berlin.tsMsOf(Date.UTC(2026, 2, 29, 1, 59))).toBe(Date.UTC(2026, 2, 29, 0, 59))
	expect(berlin.tsMsOf(Date.UTC(2026, 2, 29, 2, 30))).toBeUndefined()
	expect(berlin.tsMsOf(Date.UTC(2026, 2, 29, 3))).toBe(Date.UTC(2026, 2, 29, 1))
	expect(berlin.tsMsOf(Date.UTC(2026, 9, 25, 2, 30))).toBe(Date.UTC(2026, 9, 25, 0, 30))
	expect(berlin.tsMsOf(Date.UTC(2026, 9, 25, 3))).toBe(Date.UTC(2026, 9, 25, 2))
})

test('a zone is local, UTC, an offset, or a name', () => {
	const noon = Date.UTC(2026, 0, 31, 12)
	const at = (zone: string) => parseTimeZone('timeZone', zone).tsMsOf(noon)
	expect(at('UTC')).toBe(noon)
	expect(at('z')).toBe(noon)
	expect(at('+02:00')).toBe(noon - 7_200_000)
	expect(at('-0330')).toBe(noon + 12_600_000)
	expect(at('local')).toBe(new Date(2026, 0, 31, 12).getTime())
	expect(parseTimeZone('timeZone', 'europe/berlin').name).toBe('Europe/Berlin')
})

test.each(['', 'Mars/Olympus', '+25:00', '2', 'CEST DST', 7, null, {}])('%j is not a zone', (given) => {
	expect(() => parseTimeZone('timeZone', given)).toThrow(
		expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining('Europe/Berlin') }),
	)
})
