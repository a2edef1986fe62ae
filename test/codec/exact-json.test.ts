import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseExactJson } from '../../src/codec/exact-json.ts'
import { cpuMs } from '../support/stalls.ts'

/** Writes JSON with every bigint as digits. */
function written(value: unknown): string {
	if (typeof value === 'bigint') return String(value)
	if (Array.isArray(value)) return `[${value.map(written).join(', ')}]`
	if (typeof value !== 'object' || value === null) return JSON.stringify(value)
	const fields = Object.entries(value).map(([key, each]) => `${JSON.stringify(key)}:${written(each)}`)
	return `{ ${fields.join(',')} }`
}

/** Returns the expected value: a number if a number can hold it exactly. */
function wanted(value: unknown): unknown {
	if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value
	if (Array.isArray(value)) return value.map(wanted)
	if (typeof value !== 'object' || value === null) return value
	return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, wanted(each)]))
}

const text = fc.oneof(
	fc.string(),
	fc.constantFrom('12345678901234567890', 'bigint:1', '"', '\\"1234567890123456', '__'),
)
const { value } = fc.letrec((tie) => ({
	value: fc.oneof(
		{ maxDepth: 4 },
		text,
		fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }),
		fc.integer(),
		fc.constantFrom(2n ** 53n - 1n, 2n ** 53n, -(2n ** 53n), 9_999_999_999_999_999n, null, true),
		fc.array(tie('value'), { maxLength: 4 }),
		fc.dictionary(text, tie('value'), { maxKeys: 4, noNullPrototype: true }),
	),
}))

test('JSON is read back exactly as written', () => {
	fc.assert(
		fc.property(value, (each) => {
			expect(parseExactJson(written(each))).toEqual(wanted(each))
		}),
	)
})

test('fractions and exponents are numbers, and invalid JSON throws', () => {
	const numbers = ['12345678901234567890.5', '1234567890123456e3', '0.12345678901234567890', '-1E-20']
	expect(parseExactJson(`[${numbers}, 12345678901234567890]`)).toEqual([
		...numbers.map(Number),
		12_345_678_901_234_567_890n,
	])
	for (const wrong of ['{12345678901234567890:1}', '[01234567890123456789]', '12345678901234567890x', ''])
		expect(() => parseExactJson(wrong)).toThrow(SyntaxError)
})

test('long texts and many digits take linear time', () => {
	const strings = `"${'\\\\'.repeat(500_000)}", "${'9'.repeat(500_000)}"`
	const long = `[${strings}, ${'12345678901234567890,'.repeat(20_000)}0]`
	const begun = cpuMs()
	expect(parseExactJson(long)).toHaveLength(20_003)
	expect(cpuMs() - begun).toBeLessThan(20_000)
})
