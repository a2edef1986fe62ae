import { describe, expect, test } from 'vitest'
import { type PathState, PathStates } from '../../src/loop/path-states.ts'
import { parsePath } from '../../src/loop/redact-path.ts'

const statesOf = (...paths: string[]) => new PathStates(paths.map(parsePath))

/** Returns whether the paths select the value at these keys. */
function selects(states: PathStates, ...keys: (string | number)[]): boolean {
	let state: PathState | undefined = states.start
	for (const key of keys) state = typeof key === 'number' ? state?.element(key) : state?.field(key)
	return state?.isSelected ?? false
}

describe('states of paths', () => {
	test('end where no path continues', () => {
		const states = statesOf('a.b', 'a.c', 'd')
		expect(states.start.field('x')).toBeUndefined()
		expect(states.start.field('a')?.field('x')).toBeUndefined()
		expect(states.start.element(0)).toBeUndefined()
		expect([selects(states, 'a', 'b'), selects(states, 'A', 'C'), selects(states, 'a')]).toEqual([
			true,
			true,
			false,
		])
	})

	test('are shared by elements, unless a path names an index', () => {
		const states = statesOf('a[*].b', 'c[2]')
		const elements = states.start.field('a')
		expect(elements?.element(0)).toBe(elements?.element(5))
		expect([selects(states, 'c', 1), selects(states, 'c', 2)]).toEqual([false, true])
	})

	test('are forgotten when data has many different keys, and then created again', () => {
		const states = statesOf('users.*.token', '**.card')
		const { start } = states
		for (let id = 0; id < 20_000; id++) {
			expect(selects(states, 'users', `user ${id}`, 'token')).toBe(true)
			expect(selects(states, 'users', `user ${id}`, 'name')).toBe(false)
		}
		expect(states.start).not.toBe(start)
		expect(selects(states, 'a', 'b', 'card')).toBe(true)
	})

	test('are not stored for long keys', () => {
		const states = statesOf('*.token')
		const key = 'k'.repeat(1000)
		expect(states.start.field(key)).toBe(states.start.field('short'))
		expect(selects(states, key, 'token')).toBe(true)
	})
})
