import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TIME_MAX_MS } from '../../src/platform/time-limits.ts'
import { SampleChecks, typeOf } from '../../src/sources/sample-checks.ts'

const NOW = Date.UTC(2026, 0, 1)
const HALF_AN_HOUR = 1_800_000
const YEARS = 5 * 365 * 86_400_000

/** Judges a sample, and accepts it if it passes. */
function judged(
	checks: SampleChecks,
	tsMs: number | undefined,
	{ nowMs = NOW, isFirst = false, value = 1 as unknown } = {},
) {
	const { verdict, type } = checks.judge(value, tsMs, nowMs, isFirst)
	if (verdict === undefined) checks.accept(type, tsMs, nowMs)
	return verdict
}

const newChecks = () => new SampleChecks({ lastMs: undefined, type: undefined })

test('a sample from the future is always dropped, and excludes no later sample', () => {
	const checks = newChecks()
	expect(judged(checks, NOW + HALF_AN_HOUR + 1, { isFirst: true })).toBe('timestamp')
	expect(judged(checks, NOW + YEARS)).toBe('timestamp')
	expect(judged(checks, NOW)).toBeUndefined()
	expect(judged(checks, NOW + HALF_AN_HOUR)).toBeUndefined()
	expect(judged(checks, NOW + HALF_AN_HOUR - 1)).toBe('order')
	expect(judged(checks, NOW)).toBeUndefined()
	expect(judged(checks, NOW - 1)).toBe('order')
})

test('a last time in the future, left by an earlier process, does not bind', () => {
	const checks = new SampleChecks({ lastMs: NOW + YEARS, type: undefined })
	expect(judged(checks, NOW)).toBeUndefined()
	expect(checks.memory.lastMs).toBe(NOW)
	expect(judged(checks, NOW - 1)).toBe('order')
})

test('after any times, a sample with the present time is stored', () => {
	const time = fc.oneof(
		fc.integer({ min: -2 * HALF_AN_HOUR, max: 2 * HALF_AN_HOUR }).map((ms) => NOW + ms),
		fc.integer({ min: -TIME_MAX_MS, max: TIME_MAX_MS }),
		fc.constantFrom(undefined, Number.NaN),
	)
	const before = fc.array(fc.record({ tsMs: time, isFirst: fc.boolean() }))
	const mark = fc.option(fc.integer({ min: 0, max: TIME_MAX_MS }), { nil: undefined })
	fc.assert(
		fc.property(mark, before, fc.nat(HALF_AN_HOUR), (lastMs, samples, laterMs) => {
			const checks = new SampleChecks({ lastMs, type: undefined })
			for (const { tsMs, isFirst } of samples) judged(checks, tsMs, { isFirst })
			const nowMs = NOW + laterMs
			expect(judged(checks, nowMs, { nowMs })).toBeUndefined()
		}),
	)
})

test('a first sample of a clock that is years behind is kept, and excludes no later sample', () => {
	const checks = newChecks()
	expect(judged(checks, NOW - YEARS, { isFirst: true })).toBeUndefined()
	expect(judged(checks, NOW)).toBeUndefined()
	expect(judged(checks, NOW - 1)).toBe('order')
})

test('a sample with an invalid time is dropped, even the first one', () => {
	for (const tsMs of [Number.NaN, Number.POSITIVE_INFINITY, 9e15, '2026' as never, null as never])
		expect(judged(newChecks(), tsMs, { isFirst: true })).toBe('timestamp')
})

test('a sample without a time of its own is never out of order', () => {
	const checks = newChecks()
	expect(judged(checks, undefined)).toBeUndefined()
	expect(judged(checks, undefined, { nowMs: NOW - YEARS })).toBeUndefined()
})

test('null fits every type and sets none', () => {
	const checks = newChecks()
	for (const value of [null, 1, null, 2]) expect(judged(checks, NOW, { value })).toBeUndefined()
	expect(judged(checks, NOW, { value: 'text' })).toBe('type')
	expect(checks.memory.type).toBe('number')
})

test('the type of a value is that of its canonical form', () => {
	const typed = [
		1,
		'a',
		true,
		1n,
		[],
		new Date(),
		Uint8Array.of(1),
		{},
		null,
		undefined,
		Symbol('a'),
		() => 1,
	]
	expect(typed.map(typeOf)).toEqual([
		'number',
		'string',
		'boolean',
		'bigint',
		'array',
		'date',
		'bytes',
		'object',
		'null',
		undefined,
		undefined,
		undefined,
	])
})
