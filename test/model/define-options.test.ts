import { describe, expect, test } from 'vitest'
import { checkBoolean, checkName } from '../../src/model/check.ts'
import {
	defined,
	defineOptions,
	functionWithDefault,
	type OptionRules,
	oneOf,
	optional,
	optionalFunction,
	required,
	timerMs,
	unchecked,
	wholeNumber,
	wholeNumberOrInfinity,
	withDefault,
} from '../../src/model/define-options.ts'
import { TIMER_MS_MAX } from '../../src/platform/time-limits.ts'

interface Options {
	readonly name: string
	readonly count?: number
	readonly retries?: number
	readonly waitMs?: number
	readonly mode?: 'fast' | 'slow'
	readonly isDry?: boolean
	readonly onEnd?: (code: number) => void
	readonly clock?: () => number
	readonly extra?: object
	readonly label?: string
}

const zero = () => 0
const OPTIONS = defineOptions(
	{
		name: required(checkName),
		count: withDefault(3, wholeNumber(1, 10)),
		retries: withDefault(Number.POSITIVE_INFINITY, wholeNumberOrInfinity(0)),
		waitMs: withDefault(100, timerMs()),
		mode: withDefault('fast', oneOf('fast', 'slow')),
		isDry: withDefault(false, checkBoolean),
		onEnd: optionalFunction<(code: number) => void>(),
		clock: functionWithDefault(zero),
		extra: unchecked<object>(),
		label: optional(checkName),
	} satisfies OptionRules<Options>,
	['level'],
)

const DEFAULTS = {
	name: 'a',
	count: 3,
	retries: Number.POSITIVE_INFINITY,
	waitMs: 100,
	mode: 'fast',
	isDry: false,
	onEnd: undefined,
	clock: zero,
	extra: undefined,
	label: undefined,
}

describe('defined options', () => {
	test('are complete and frozen', () => {
		const resolved = OPTIONS.resolve({ name: 'a' })
		expect(resolved).toEqual(DEFAULTS)
		expect(Object.isFrozen(resolved)).toBe(true)
	})

	test('take an explicit undefined as the default', () => {
		const given = Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, undefined]))
		expect(OPTIONS.resolve({ ...given, name: 'a' })).toEqual(DEFAULTS)
	})

	test('keep given values', () => {
		const given = {
			name: 'b',
			count: 10,
			retries: 0,
			waitMs: TIMER_MS_MAX,
			mode: 'slow',
			isDry: true,
			onEnd: () => {},
			clock: () => 1,
			extra: {},
			label: 'x',
		}
		expect(OPTIONS.resolve(given)).toEqual(given)
	})

	test('allow further names, which the caller resolves', () => {
		expect(OPTIONS.resolve({ name: 'a', level: 'warn' })).toEqual(DEFAULTS)
	})

	test.each<[given: unknown, message: string]>([
		[undefined, 'options must be an object, not undefined'],
		[[], 'options must be an object'],
		[{}, 'name must be a string of 1 to 256 characters, not undefined'],
		[{ name: 'a', cuont: 1 }, 'no such option: "cuont"; valid options: name, count, '],
		[{ name: 'a', count: 11 }, 'count must be a whole number from 1 to 10, not 11'],
		[{ name: 'a', retries: -1 }, 'retries must be a whole number from 0, not -1'],
		[{ name: 'a', waitMs: TIMER_MS_MAX + 1 }, `waitMs must be at most ${TIMER_MS_MAX}`],
		[{ name: 'a', mode: 'medium' }, `mode must be 'fast' or 'slow', not "medium"`],
		[{ name: 'a', isDry: null }, 'isDry must be true or false, not null'],
		[{ name: 'a', onEnd: 1 }, 'onEnd must be a function, not 1'],
		[{ name: 'a', clock: null }, 'clock must be a function, not null'],
		[{ name: 'a', label: '' }, 'label must be a string of 1 to 256 characters, not ""'],
		[{ name: 'a', extra: Promise.resolve() }, 'extra must be a value that is available immediately'],
	])('refuse %j', (given, message) => {
		expect(() => OPTIONS.resolve(given)).toThrow(
			expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining(message) }),
		)
	})

	test('are read once each, and a getter that throws leads to a coded error', () => {
		let reads = 0
		OPTIONS.resolve({
			name: 'a',
			get count() {
				reads++
				return 1
			},
		})
		expect(reads).toBe(1)
		const throwing = {
			name: 'a',
			get count(): number {
				throw new Error('no')
			},
		}
		expect(() => OPTIONS.resolve(throwing)).toThrow('count cannot be read: no')
	})
})

test('defined returns the fields that are not undefined', () => {
	expect(Object.keys(defined({ a: 1, b: undefined, c: null, d: false }))).toEqual(['a', 'c', 'd'])
})
