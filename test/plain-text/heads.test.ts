/** Heads of single lines: what is a time or a level, and what only looks like one. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseTimeZone } from '../../src/model/time-zone.ts'
import { headOf } from '../../src/plain-text/heads.ts'
import { WrittenTimes } from '../../src/plain-text/written-time.ts'
import { SEED } from '../support/counts.ts'

const AT = Date.UTC(2026, 0, 31, 14, 5, 9)
const times = new WrittenTimes(parseTimeZone('timeZone', 'UTC'), () => Date.UTC(2026, 5, 15))

function read(line: string) {
	const { time, level } = headOf(line)
	return [time === undefined ? undefined : times.tsMsOf(time), level?.level, level?.name]
}

describe('a head gives the time and the level', () => {
	test.each([
		['[2026-01-31T14:05:09,000][WARN ][o.e.n.Node] [n1] text', AT, 'warn'],
		['[2026-01-31T14:05:09.000+0000][info][gc] Using G1', AT, 'info'],
		['2026-01-31 14:05:09.0001|ERROR|My.Logger|text', AT, 'error'],
		['2026.01.31 14:05:09.000456 [ 42 ] {} <Error> Application: text', AT, 'error'],
		['31.01.2026 14:05:09 text', AT, undefined],
		['2026-01-31 14:05:09 UTC:10.0.0.1(5432):app@db:[123]:ERROR:  text', AT, 'error'],
		['2026-01-31T14:05:09.000000+00:00 heroku[router]: at=info method=GET', AT, undefined],
		['Jan 31 2026 14:05:09: %ASA-6-302013: text', AT, undefined],
		['Jan 31 14:05:09.000 [notice] text', AT, 'info'],
		['Sat Jan 31 14:05:09 UTC 2026 text', AT, undefined],
		['[31/Jan/2026 14:05:09] "GET / HTTP/1.1" 200 1', AT, undefined],
		['1769868309.000 text', AT, undefined],
		['[ERROR] [1769868309.000456]: text', AT, 'error'],
		['app.log:2026-01-31 14:05:09 ERROR text', AT, 'error'],
		['20260131-14:5:9:0|Step|1|text', AT, undefined],
		['INFO:     127.0.0.1:54321 - "GET / HTTP/1.1" 200 OK', undefined, 'info'],
		['\u001b[31mERROR\u001b[0m text', undefined, 'error'],
		['\ufeff2026-01-31 14:05:09 INFO text', AT, 'info'],
		['fatal: not a repository', undefined, 'error', 'fatal'],
		['2026-01-31 14:05:09 CRITICAL text', AT, 'error', 'CRITICAL'],
	])('%j', (line, tsMs, level, name = undefined) => {
		expect(read(line)).toEqual([tsMs, level, name])
	})
})

describe('what only looks like a head is part of the message', () => {
	test.each([
		'Error: card declined',
		'I/O error on disk',
		'A/B testing',
		'info about levels',
		'10:00:00 server started',
		'2026-01-31 without a time of day',
		'2026-02-30 10:00:00 on no calendar',
		'2026-01-31 24:00:00 on no clock',
		'01/02/2026 14:05:09 in one of two orders',
		'12 drummers',
		'{"a":',
		'',
		'   ',
	])('%j', (line) => {
		expect(read(line)).toEqual([undefined, undefined, undefined])
	})

	test.each([
		'2026-01-31 14:05:09 Got ERROR from upstream',
		'2026-01-31 14:05:09 worker finished with ERROR',
		'2026/01/31 14:05:09 http: TLS handshake error',
		'2026-01-31T14:05:09Z no error was found',
		'Jan 31 14:05:09 gate logrotate: ALERT exited abnormally',
		'192.0.2.7 - ERROR [31/Jan/2026:14:05:09 +0000] "GET /FATAL HTTP/1.1" 200 1 "-" "WARN"',
	])('%j has a time, but not a level', (line) => {
		expect(read(line)).toEqual([AT, undefined, undefined])
	})
})

test('any text has a head or none, and reading it never throws', () => {
	const piece = fc.constantFrom(
		...['2026-01-31', 'T', ' ', '14:05:09', '.123', 'Z', '+01:00', '[', ']', '<34>', 'ERROR', 'info', ': '],
		...['Jan 31 ', '0131 ', 'E', '/', 'level=', '"', '\\', '\u001b[31m', '(', '{', '- ', '\t', '|', '=', 'x'],
	)
	const text = fc.oneof(
		fc.string({ unit: 'binary', maxLength: 400 }),
		fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join('')),
	)
	fc.assert(
		fc.property(text, (line) => {
			const { time, level } = headOf(line)
			if (time !== undefined) {
				const tsMs = times.tsMsOf(time)
				expect(tsMs === undefined || (Number.isInteger(tsMs) && tsMs >= 0)).toBe(true)
			}
			expect([undefined, 'trace', 'debug', 'info', 'warn', 'error']).toContain(level?.level)
		}),
		{ numRuns: 5_000, seed: SEED },
	)
})

test('a line of a megabyte is read as fast as its first kilobyte, whatever it repeats', () => {
	const pieces = [
		'[',
		'(',
		'<',
		'{',
		' ',
		'\t',
		'-',
		'|',
		':',
		'a',
		'a ',
		'A ',
		'1',
		'1 ',
		'.',
		'a.',
		'"',
		'\\',
	]
	pieces.push(
		'a=',
		'a="',
		'a=\\"',
		'[a]',
		'\u001b[',
		'\u001b[31m',
		'ERROR',
		'2026-',
		'/',
		'<34>',
		'x: ',
		', ',
	)
	const lines = pieces.map((piece) => piece.repeat(Math.ceil(1_048_576 / piece.length)))
	// With a search that depends on the length, one of these lines alone would take minutes.
	for (let round = 0; round < 20; round++) for (const line of lines) headOf(line)
	expect(read(`a=${'x'.repeat(900)} level=error`)[1]).toBe('error')
	expect(read(`a=${'x'.repeat(1100)} level=error`)[1]).toBeUndefined()
})
