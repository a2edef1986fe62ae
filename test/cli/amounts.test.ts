import { describe, expect, test } from 'vitest'
import { parseDuration, parseRetention } from '../../src/cli/amounts.ts'

describe('a duration', () => {
	test.each([
		['100ms', 100],
		['90s', 90_000],
		['1.5m', 90_000],
		['2 h', 7_200_000],
		[' 30d ', 2_592_000_000],
		['1w', 604_800_000],
		['0s', 0],
	])('%j is %d ms', (text, ms) => {
		expect(parseDuration('--linger', text)).toBe(ms)
	})

	test.each(['', '90', 's', '-1s', '1y', '1e3s', '10GiB', '1S', '1constructor', '999999999999w'])(
		'%j is refused',
		(text) => {
			expect(() => parseDuration('--linger', text)).toThrow(
				expect.objectContaining({
					code: 'INVALID_USAGE',
					message: `--linger must be a duration such as 90s, 2m, 12h or 30d, not ${JSON.stringify(text)}`,
				}),
			)
		},
	)
})

describe('the amount to keep', () => {
	test.each([
		[[], {}],
		[['30d'], { ageMs: 2_592_000_000 }],
		[['10GiB'], { bytes: 10 * 2 ** 30 }],
		[['10GB'], { bytes: 10e9 }],
		[['1.5MiB', '12h'], { ageMs: 43_200_000, bytes: 1_572_864 }],
		[['512B', '1m'], { ageMs: 60_000, bytes: 512 }],
	] as const)('for %j is %j', (texts, retention) => {
		expect(parseRetention('--retain', texts)).toEqual(retention)
	})

	test.each([
		[['1m', '2m'], '--retain accepts at most one duration and one size, not 1m and 2m'],
		[['1MB', '2h', '3KiB'], '--retain accepts at most one duration and one size'],
		[
			['10'],
			'--retain must be a duration such as 90s, 2m, 12h or 30d, or a size such as 512MiB or 10GB, not "10"',
		],
		[['0B'], 'not "0B"'],
		[['1M'], 'not "1M"'],
		[['9999999TiB'], 'not "9999999TiB"'],
	])('given as %j is refused', (texts, message) => {
		expect(() => parseRetention('--retain', texts)).toThrow(
			expect.objectContaining({ code: 'INVALID_USAGE', message: expect.stringContaining(message) }),
		)
	})
})
