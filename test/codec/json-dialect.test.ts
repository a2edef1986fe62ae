import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalise } from '../../src/codec/canonical.ts'
import {
	fromJson,
	recordFromJson,
	recordToFields,
	recordToJson,
	toJson,
	toTagged,
} from '../../src/codec/json-dialect.ts'
import type { LogRecord } from '../../src/model/record.ts'
import { escapeJson } from '../../src/text/escape.ts'
import { record } from '../support/records.ts'

/** Values as an application passes them, with every type that canonical data can contain. */
const anyData = fc.letrec((tie) => ({
	value: fc.oneof(
		{ maxDepth: 4 },
		fc.string({ unit: 'binary' }),
		fc.string({
			unit: fc.constantFrom('"', '\\', '/', ' ', '~', '\u007f', '\n', '\u202e', '\ud800', 'é', '😀'),
		}),
		fc.string(),
		fc.double(),
		fc.integer(),
		fc.bigInt(),
		fc.boolean(),
		fc.constant(null),
		fc.date(),
		fc.uint8Array({ maxLength: 40 }),
		fc.array(tie('value'), { maxLength: 4 }),
		fc.dictionary(
			fc.oneof(fc.string(), fc.constantFrom('$bigint', '$$date', '$number', '2', 'a"b')),
			tie('value'),
			{
				maxKeys: 4,
			},
		),
	),
})).value

describe('the JSON dialect', () => {
	test('tags values that JSON cannot express', () => {
		const value = { big: 5n, bytes: Uint8Array.from([1, 2]), when: new Date(0), not: Number.NaN }
		expect(toJson(value)).toBe(
			'{"big":{"$bigint":"5"},"bytes":{"$bytes":"AQI="},' +
				'"when":{"$date":"1970-01-01T00:00:00.000Z"},"not":{"$number":"NaN"}}',
		)
	})

	test('is what JSON.stringify makes of the tagged value, with unsafe characters escaped', () => {
		fc.assert(
			fc.property(anyData, fc.string({ unit: 'binary' }), (given, message) => {
				const { value } = canonicalise(given)
				expect(toJson(value)).toBe(escapeJson(JSON.stringify(toTagged(value)) ?? 'null'))
				const whole = record(7, { data: value, message, daemonId: -0 })
				expect(recordToJson(whole)).toBe(escapeJson(JSON.stringify(recordToFields(whole))))
			}),
			{ numRuns: 5_000 },
		)
	})

	test('keeps the text of a bounded number of keys', () => {
		const keys = Array.from({ length: 20_000 }, (_unused, index) => `key ${index}"`)
		for (const key of [...keys, ...keys.slice(0, 10), 'x'.repeat(100)])
			expect(toJson({ [key]: 1 })).toBe(JSON.stringify({ [key]: 1 }))
	})

	test('writes a record that lacks fields as JSON', () => {
		const { daemonId: _daemonId, message: _message, ...rest } = record(1, { tsMs: Number.NaN })
		expect(JSON.parse(recordToJson(rest as LogRecord))).toMatchObject({ tsMs: null, message: null })
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
