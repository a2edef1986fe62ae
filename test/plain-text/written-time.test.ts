/** Times of which a log contains only a part. */
import { expect, test } from 'vitest'
import { parseTimeZone } from '../../src/model/time-zone.ts'
import { timeAt, wholeTime } from '../../src/plain-text/time-notations.ts'
import { type Assumption, WrittenTimes } from '../../src/plain-text/written-time.ts'

const NOW = Date.UTC(2026, 5, 15, 12)
const UTC = parseTimeZone('timeZone', 'UTC')

function timesAt(nowMs: number, zone = UTC) {
	const said: Assumption[] = []
	return {
		said,
		times: new WrittenTimes(
			zone,
			() => nowMs,
			(assumption) => said.push(assumption),
		),
	}
}

const at = (text: string, nowMs = NOW, zone = UTC) =>
	timesAt(nowMs, zone).times.tsMsOf(timeAt(text, 0)!.time!)

test('a time without a year has the newest year that is not in the future', () => {
	expect(at('Jun 15 11:59:59')).toBe(Date.UTC(2026, 5, 15, 11, 59, 59))
	expect(at('Jun 15 13:00:00')).toBe(Date.UTC(2025, 5, 15, 13))
	expect(at('Dec 31 23:59:59')).toBe(Date.UTC(2025, 11, 31, 23, 59, 59))
	expect(at('Jan  1 00:00:00')).toBe(Date.UTC(2026, 0, 1))
	expect(at('Feb 29 10:00:00')).toBe(Date.UTC(2024, 1, 29, 10))
	expect(at('Feb 29 10:00:00', Date.UTC(1904, 5))).toBeUndefined()
	expect(at('Feb 30 10:00:00')).toBeUndefined()
})

test('a clock that is ahead by seconds does not move a line by a year', () => {
	expect(at('Jun 15 12:00:30')).toBe(Date.UTC(2026, 5, 15, 12, 0, 30))
	expect(at('Jun 15 12:01:01')).toBe(Date.UTC(2025, 5, 15, 12, 1, 1))
})

test('the turn of the year depends on the zone of the log', () => {
	const tokyo = parseTimeZone('timeZone', 'Asia/Tokyo')
	const eve = Date.UTC(2025, 11, 31, 16)
	expect(at('Jan  1 00:30:00', eve, tokyo)).toBe(Date.UTC(2025, 11, 31, 15, 30))
	expect(at('Jan  1 00:30:00', eve)).toBe(Date.UTC(2025, 0, 1, 0, 30))
})

test('each assumption is reported once and counted, and only if it is made', () => {
	const { said, times } = timesAt(NOW)
	for (const text of [
		'2026-01-31 14:05:09',
		'2026-01-31 14:05:10',
		'Jan 31 14:05:09',
		'2026-01-31T14:05:09Z',
	])
		times.tsMsOf(timeAt(text, 0)!.time!)
	times.tsMsOf(timeAt('2026-02-30 14:05:09', 0)!.time!)
	expect(said).toEqual(['zone', 'year'])
	expect(times.assumed).toEqual({ zone: 3, year: 1 })
})

test('a zone or an offset that is written takes precedence', () => {
	const berlin = parseTimeZone('timeZone', 'Europe/Berlin')
	const noon = Date.UTC(2026, 0, 31, 12)
	for (const text of [
		'2026-01-31 13:00:00',
		'2026-01-31 12:00:00 UTC',
		'2026-01-31T12:00:00Z',
		'2026-01-31 13:00:00 CET',
		'2026-01-31 07:00:00 EST',
		'2026-01-31T17:30:00+05:30',
		'2026-01-31 11:00:00 -0100',
		'31/Jan/2026:13:00:00 +0100',
		'Sat, 31 Jan 2026 12:00:00 GMT',
	])
		expect([text, at(text, NOW, berlin)]).toEqual([text, noon])
})

test('a value is a time only if all of it is a time, with a date', () => {
	for (const text of ['2026-01-31 14:05:09 and more', '14:05:09', '2026-01-31', '', 'noon'])
		expect([text, wholeTime(text)]).toEqual([text, undefined])
})
