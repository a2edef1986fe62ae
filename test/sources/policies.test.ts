import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Policies } from '../../src/sources/policies.ts'

const matches = (match: string, name: string) =>
	new Policies([{ name: 'p', match, mode: 'monitor' }]).find(name) !== undefined

/** The meaning of a glob, in a slow implementation. */
function isMatch(glob: string, name: string): boolean {
	if (glob === '') return name === ''
	const rest = glob.slice(1)
	if (glob[0] === '*') return isMatch(rest, name) || (name !== '' && isMatch(glob, name.slice(1)))
	return name !== '' && (glob[0] === '?' || glob[0] === name[0]) && isMatch(rest, name.slice(1))
}

test('a glob treats every other character literally', () => {
	const texts = fc.string({
		unit: fc.constantFrom('a', 'b', '.', '\\', '[', '\n', '*', '?'),
		minLength: 1,
		maxLength: 8,
	})
	const property = fc.property(texts, texts, (glob, name) => {
		expect(matches(glob, name)).toBe(isMatch(glob, name))
	})
	fc.assert(property, { numRuns: 500 })
})

test('a name that contains the end of a quotation is matched literally', () => {
	expect(matches('a\\E.*', 'a\\E.xyz')).toBe(true)
	expect(matches('a\\E.*', 'abc')).toBe(false)
})
