/**
 * Checks that every public name has a docstring, and that every option is described in its docstring or on a
 * page of docs/reference/.
 */
import { describe, expect, test } from 'vitest'
import { publicNames } from '../support/api.ts'
import { markdownFiles, readPage } from '../support/pages.ts'

const names = publicNames()
const reference = markdownFiles()
	.filter((path) => path.startsWith('docs/reference/'))
	.map(readPage)
	.join('\n')

test('every entry of the package exports something', () => {
	const entries = new Set(names.map(({ entry }) => entry))
	expect(entries).toContain('mesh-chain')
	expect(entries.size).toBeGreaterThanOrEqual(6)
	expect(names.length).toBeGreaterThan(100)
})

describe('docstrings', () => {
	test('every exported name has one', () => {
		const missing = names.filter(({ isDocumented }) => !isDocumented)
		const found = missing.map(({ entry, name }) => `${entry} ${name}`)
		expect(found).toEqual([])
	})

	test('every option has one, or is on a page of docs/reference/', () => {
		const missing = names
			.filter(({ name }) => name.endsWith('Options') || name.endsWith('Settings'))
			.flatMap(({ name, members }) =>
				members
					.filter((member) => !member.isDocumented && !reference.includes(`\`${member.name}\``))
					.map((member) => `${name}.${member.name}`),
			)
		expect(missing).toEqual([])
	})
})
