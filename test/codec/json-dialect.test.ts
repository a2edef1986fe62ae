import { describe, expect, test } from 'vitest'
import { fromJson, recordFromJson, recordToJson, toJson } from '../../src/codec/json-dialect.ts'
import { record } from '../support/records.ts'

describe('the JSON dialect', () => {
	test('tags values that JSON cannot express', () => {
		const value = { big: 5n, bytes: Uint8Array.from([1, 2]), when: new Date(0), not: Number.NaN }
		expect(toJson(value)).toBe(
			'{"big":{"$bigint":"5"},"bytes":{"$bytes":"AQI="},' +
				'"when":{"$date":"1970-01-01T00:00:00.000Z"},"not":{"$number":"NaN"}}',
		)
	})

	test.each([
		[{ $bigint: '5' }],
		[{ $$date: 'x' }],
		[{ $bytes: { $bytes: 'AQI=' } }],
		[{ $bigint: 1, other: 2 }],
		[{ $other: 1 }],
	])('preserves data that only looks like a tag: %o', (value) => {
		expect(fromJson(toJson(value))).toEqual(value)
	})

	test('converts a whole record to one line and back', () => {
		const original = record(5, {
			daemonId: 7n,
			nodeId: 'n\u001b[31m\n\u009b\u2028\u202e',
			data: { a: [1n] },
			origin: { chainId: 'ab', epoch: 1, seq: 2 },
		})
		const line = recordToJson(original)
		// biome-ignore lint/suspicious/noControlCharactersInRegex: none may be left
		expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/)
		expect(recordFromJson(line)).toEqual(original)
	})

	test.each([
		['no JSON', '{"seq":'],
		['no record', '[1]'],
		['a seq of 0', recordToJson(record(1)).replace('"seq":1', '"seq":0')],
		['an unknown level', recordToJson(record(1)).replace('info', 'loud')],
		['an invalid tag', recordToJson(record(1, { data: 5n })).replace('"5"', '"five"')],
	])('refuses %s with the reason', (_name, text) => {
		expect(() => recordFromJson(text)).toThrow(expect.objectContaining({ code: 'INVALID_JSON' }))
	})
})
