/**
 * The guard for results of foreign code: every function × every odd value. Nothing throws, and everything
 * ends.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { isTime, soundClock } from '../../src/guard/clock.ts'
import { Abandonable, discard, follow, isThenable, settle, within } from '../../src/guard/promises.ts'
import { show } from '../../src/guard/show.ts'
import {
	attempt,
	codeOf,
	errorNameOf,
	FOREIGN_TEXT_LENGTH_MAX,
	isInstance,
	messageOf,
	propertyOf,
} from '../../src/guard/values.ts'
import { TIME_MAX_MS } from '../../src/platform/time-limits.ts'
import { ODDITIES } from '../support/oddities.ts'

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** Odd values that never settle. */
const NEVER = ['a promise that never settles', 'a thenable that never settles']

/**
 * Returns whether a value is a text that is not too long. Odd values are never passed to `expect`, which
 * would read them itself.
 */
function isShortText(value: unknown): boolean {
	return typeof value === 'string' && value.length <= FOREIGN_TEXT_LENGTH_MAX
}

test.each([
	[
		'a function',
		() => {
			return 1
		},
	],
	['a symbol', Symbol('a\r\nb')],
	['an object with a tag', { [Symbol.toStringTag]: 'a\u2028b' }],
	['a text', 'a\nb'],
])('is shown on one line: %s', (_what, value) => {
	expect(show(value)).toMatch(/^[^\r\n\u2028\u2029]{1,80}$/)
})

describe('a result of foreign code', () => {
	const unhandled: unknown[] = []
	const note = () => void unhandled.push('one')
	beforeEach(() => {
		process.on('unhandledRejection', note)
		process.on('uncaughtException', note)
	})
	afterEach(async () => {
		await turn()
		process.off('unhandledRejection', note)
		process.off('uncaughtException', note)
		expect(unhandled.splice(0)).toEqual([])
	})

	test.each(Object.keys(ODDITIES))('is read without a throw: %s', (name) => {
		const odd = ODDITIES[name]!()
		expect(isShortText(messageOf(odd))).toBe(true)
		expect(/^.{1,80}$/u.test(show(odd))).toBe(true)
		expect(isShortText(errorNameOf(odd))).toBe(true)
		expect(codeOf(odd) === undefined || isShortText(codeOf(odd))).toBe(true)
		for (const key of ['then', 'code', 'message', 'name', 'retryable', 'constructor']) propertyOf(odd, key)
		expect(typeof isInstance(odd, Error)).toBe('boolean')
		expect(typeof isThenable(odd)).toBe('boolean')
		expect(isTime(odd)).toBe(typeof odd === 'number' && odd <= TIME_MAX_MS)
		expect(
			attempt(() => {
				throw odd
			}, 'otherwise'),
		).toBe('otherwise')
	})

	test.each(Object.keys(ODDITIES))('is awaited once, later, and never endlessly: %s', async (name) => {
		let answers = 0
		let isLater = false
		const answered = () => {
			answers++
			if (!isLater) throw new Error('it was answered at once')
		}
		follow(ODDITIES[name]!(), answered, answered)
		discard(ODDITIES[name]!())
		isLater = true
		for (let turns = 0; turns < 4; turns++) await turn()
		expect(answers).toBe(NEVER.includes(name) ? 0 : 1)
	})

	test.each(Object.keys(ODDITIES))('is awaited within a bound, and can be abandoned: %s', async (name) => {
		const outcome = await within(settle(ODDITIES[name]!()), 5)
		const wait = new Abandonable()
		const waited = within(wait.wait(ODDITIES[name]!()), 60_000)
		await turn()
		wait.abandon(new Error('given up'))
		const { is } = await waited
		expect([is, outcome.is === 'late']).toEqual(
			NEVER.includes(name) ? ['rejected', true] : [expect.stringMatching(/^(ful|re)/), outcome.is === 'late'],
		)
	})

	test.each(Object.keys(ODDITIES))('is used as a time only if it is one: %s', (name) => {
		let failures = 0
		const failed = () => void failures++
		for (const clock of [
			() => ODDITIES[name]!(),
			() => {
				throw ODDITIES[name]!()
			},
		]) {
			const tsMs = soundClock(clock, failed)()
			expect(tsMs >= 0 && tsMs <= TIME_MAX_MS).toBe(true)
		}
		expect(failures).toBe(name === 'a negative number' ? 1 : 2)
	})
})

test('a clock that calls itself gets the time of the system', () => {
	const clock = soundClock(
		() => (clock as () => number)() + 1,
		() => expect.unreachable(),
	)
	expect(clock()).toBeGreaterThan(1)
	expect(clock.failures).toBe(0)
})

test('invalid readings of a clock are counted', () => {
	const readings = [5, Number.NaN, 1e300, -1, '7', 8]
	const clock = soundClock(
		() => readings.shift(),
		() => {},
	)
	const given = Array.from({ length: 6 }, () => clock())
	expect([given[0], given[3], given[5]]).toEqual([5, 0, 8])
	expect(given.every((tsMs) => Number.isFinite(tsMs) && tsMs >= 0)).toBe(true)
	expect(clock.failures).toBe(3)
})
