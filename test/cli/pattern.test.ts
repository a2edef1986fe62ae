import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { patternOf } from '../../src/cli/pattern.ts'
import { matches, resolveFilter } from '../../src/model/filter.ts'
import { record } from '../support/records.ts'

/** Patterns of a small grammar: nested constructs that can backtrack. */
const patterns = fc.letrec<{ part: string; whole: string }>((tie) => ({
	part: fc.oneof(
		{ depthSize: 'small', withCrossShrink: true },
		fc.constantFrom('a', 'b', '[ab]', '\\w', '.', '\\.', '[^a]', 'a', '!'),
		fc
			.tuple(tie('whole'), fc.constantFrom('', '*', '+', '?', '{0,3}', '{2}', '*?', '+?'))
			.map(([whole, times]) => `(${whole})${times}`),
	),
	whole: fc
		.tuple(
			fc.array(tie('part'), { minLength: 1, maxLength: 4 }),
			fc.array(tie('part'), { maxLength: 2 }),
			fc.constantFrom('', '$'),
		)
		.map(
			([parts, others, end]) => `${parts.join('')}${others.length === 0 ? '' : `|${others.join('')}`}${end}`,
		),
})).whole

describe('a typed pattern', () => {
	// A RegExp would practically never finish some of these.
	test('takes linear time with any pattern and any text', () => {
		// This check is first, because a RegExp would never finish the following ones.
		expect(patternOf('grep', '(a+)+$')).not.toBeInstanceOf(RegExp)
		const texts = [
			'a'.repeat(20_000),
			`${'a'.repeat(20_000)}!`,
			'ab'.repeat(10_000),
			`${'a!'.repeat(10_000)}b`,
		]
		fc.assert(
			fc.property(patterns, (pattern) => {
				const found = patternOf('grep', pattern)
				for (const text of texts) found.test(text)
			}),
			{
				numRuns: 200,
				examples: ['(a+)+$', '(a|a)*$', '(.*)*!!', '(a?){30}b', '(a*)*(a*)*c', '.*.*.*=.*', '(a|aa)+$'].map(
					(each) => [each] as [string],
				),
			},
		)
		const choices = patternOf('grep', `${'(a|aa)'.repeat(40)}c`)
		const optional = patternOf('grep', `${'a?'.repeat(40)}${'a'.repeat(40)}c`)
		for (const text of texts) expect([choices.test(text), optional.test(text)]).toEqual([false, false])
	})

	test('finds what a RegExp finds', () => {
		fc.assert(
			fc.property(
				patterns,
				fc.string({ unit: fc.constantFrom('a', 'b', 'A', '!', '.', ' '), maxLength: 8 }),
				(pattern, text) => {
					expect(patternOf('grep', pattern).test(text)).toBe(new RegExp(pattern, 'i').test(text))
				},
			),
			{ numRuns: 2000 },
		)
	})

	test.each([
		['disk FULL', 'Disk full', false],
		['disk full', 'Disk FULL', true],
		['u-\\d+', 'user U-17', true],
		['Ü+x', 'üüx', false],
		['[*+{]', 'a+b', true],
		['{"status":40\\d+', '{"status":404}', true],
	])('%s in %s: %s', (pattern, text, expected) => {
		expect(patternOf('grep', pattern).test(text)).toBe(expected)
	})

	test.each(['(?=a)b+', '(?<!a)b', '(a)\\1', '(?<n>a)\\k<n>'])(
		'%s, which needs backtracking, is refused',
		(pattern) => {
			expect(() => patternOf('grep', pattern)).toThrow(
				expect.objectContaining({ code: 'INVALID_USAGE', message: expect.stringContaining('linear time') }),
			)
		},
	)

	test('that is invalid is refused, with the reason', () => {
		expect(() => patternOf('grep', '(a')).toThrow(/--grep is not a valid regular expression: .*group/)
	})
})

describe('the searched text', () => {
	const found = (data: unknown, grep: string | RegExp) =>
		matches(record(1, { message: '', kind: '-', data }), resolveFilter({ grep }))

	test('excludes binary data: bytes, positions and notation', () => {
		fc.assert(
			fc.property(
				fc.uint8Array({ maxLength: 600 }),
				fc.boolean(),
				fc.stringMatching(/^[0-9A-Za-z+/=:,]{1,3}$/),
				(bytes, isBuffer, text) => {
					const data = { '': isBuffer ? Buffer.from(bytes) : bytes, '-': [bytes] }
					if (!':,'.split('').some((char) => text.includes(char))) expect(found(data, text)).toBe(false)
				},
			),
		)
		expect(found({ bytes: Buffer.alloc(500) }, '404')).toBe(false)
		expect(found({ bytes: Buffer.alloc(500) }, 'bytes')).toBe(true)
	})

	test.each([
		[{ status: 404 }, '404'],
		[{ status: 404 }, 'status":404'],
		[{ a: [{ deep: 5n }] }, /deep":5\b/],
		[{ at: new Date(0) }, '1970-01-01T00:00:00.000Z'],
		[{ ratio: Number.NaN }, 'ratio":nan'],
		[{ said: 'he said "no"\nand left' }, 'said "no"\nand'],
		[{ 'a "name"': 1 }, 'a "name"'],
		[{ path: 'C:\\temp' }, 'C:\\temp'],
		['a text', 'text'],
		[{ nothing: null }, 'null'],
	])('%o contains %s', (data, grep) => {
		expect(found(data, grep)).toBe(true)
	})

	test.each([
		[['a', 'b'], '0'],
		[{ a: 1 }, 'undefined'],
		[{}, 'object'],
	])('%o does not contain %s', (data, grep) => {
		expect(found(data, grep)).toBe(false)
	})

	test('a program can use its own kind of pattern', () => {
		const filter = resolveFilter({ grep: { test: (text) => text.endsWith('!') } })
		expect([matches(record(1, { message: 'a!' }), filter), matches(record(1), filter)]).toEqual([true, false])
	})
})
