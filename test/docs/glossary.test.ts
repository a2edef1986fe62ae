/** docs/glossary.md: every folder of src has an entry, and the words that it rules out are not used. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ROOT } from '../support/process.ts'
import { documents } from './documents.ts'

const rows = readFileSync(join(ROOT, 'docs/glossary.md'), 'utf8')
	.split('\n')
	.filter((line) => line.startsWith('| ') && !line.startsWith('| ---'))
	.map((line) =>
		line
			.split('|')
			.slice(1, -1)
			.map((cell) => cell.trim()),
	)

const ruledOut = rows
	.filter(([term, , words]) => term !== 'term' && words !== undefined && words !== '')
	.flatMap(([, , words = '']) => words.split(', '))

describe('docs/glossary.md', () => {
	test('has an entry for each folder of src/', () => {
		const folders = readdirSync(join(ROOT, 'src'), { recursive: true, withFileTypes: true })
			.filter((entry) => entry.isDirectory())
			.map((entry) => `${join(entry.parentPath, entry.name).slice(join(ROOT, 'src').length + 1)}/`)
		const entries = rows
			.map(([name = '']) => /^`(.*\/)`$/.exec(name)?.[1])
			.filter((name) => name !== undefined)
		expect(entries).toEqual(folders.toSorted())
	})

	test('has each term once', () => {
		const terms = rows.filter((row) => row.length === 3).map(([term = '']) => term)
		const repeated = terms.filter((term, index) => term !== 'term' && terms.indexOf(term) < index)
		expect(repeated).toEqual([])
	})

	test('rules out words that neither src nor the docs use', () => {
		expect(ruledOut.length).toBeGreaterThan(20)
		const pattern = new RegExp(`\\b(?:${ruledOut.join('|')})s?\\b`, 'i')
		const texts = documents(/^(?:src\/.*\.ts|docs\/.*\.md|README\.md)$/)
		const found = texts
			.filter(({ path }) => path !== 'docs/glossary.md')
			.flatMap(({ path, text }) =>
				text
					.split('\n')
					.flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [])),
			)
		expect(found).toEqual([])
	})
})
