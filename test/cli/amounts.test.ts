import { describe, expect, test } from 'vitest'
import { parseBounds, parseDuration, parseRetention } from '../../src/cli/amounts.ts'

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

describe('bounds', () => {
	test.each([
		[[], {}],
		[['64MiB'], { bytes: 64 * 2 ** 20 }],
		[['67108864'], { bytes: 64 * 2 ** 20 }],
		[['1000000records'], { records: 1_000_000 }],
		[['1 record'], { records: 1 }],
		[['1GiB,7d', '500 records'], { bytes: 2 ** 30, ageMs: 604_800_000, records: 500 }],
		[[' 1d , 4096 '], { bytes: 4096, ageMs: 86_400_000 }],
	] as const)('for %j are %j', (texts, bounds) => {
		expect(parseBounds('--retain', texts, 4096)).toEqual(bounds)
	})

	test.each([
		[['1m', '2m'], 'accepts at most one size, one age and one number of records, not 1m and 2m'],
		[['1MiB,2GiB'], 'accepts at most one size'],
		[
			['1year'],
			'must be a size such as 64MiB, an age such as 7d, or a number of records such as 1000000records, ' +
				'not "1year"',
		],
		[['4095'], 'must be at least 4096 bytes, not "4095"'],
		[['1KiB'], 'must be at least 4096 bytes, not "1KiB"'],
		[['0B'], 'must be at least 4096 bytes, not "0B"'],
		[['0s'], 'not "0s"'],
		[['0records'], 'not "0records"'],
		[['-1records'], 'not "-1records"'],
		[['1.5records'], 'not "1.5records"'],
		[['99999999999999999records'], 'not "99999999999999999records"'],
		[['9999999TiB'], 'not "9999999TiB"'],
		[['1GiB,'], 'not ""'],
		[[''], 'not ""'],
	])('given as %j are refused', (texts, message) => {
		expect(() => parseBounds('--retain', texts, 4096)).toThrow(
			expect.objectContaining({
				code: 'INVALID_USAGE',
				message: expect.stringContaining(message),
			}),
		)
	})
})
