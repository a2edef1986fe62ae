/** Checks docs/glossary.md: every folder of src has an entry, and excluded words are not used. */
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

/** Exports whose names are terms of Node and the web. */
const ELSEWHERE = [
	'HttpOptions',
	'NatsOptions',
	'memoryUsage',
	'GarbageCollection',
	'garbageCollection',
	'WaitOptions',
]

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

	test('has a term in the name of each export', () => {
		const pages = documents(/^docs\/reference\/api\/.*\.md$/)
		const names = pages.flatMap(({ text }) =>
			[...text.matchAll(/^### (\S+)$/gm)].map(([, name = '']) => name),
		)
		expect(names.length).toBeGreaterThan(200)
		const terms = rows.map(([term = '']) => term.toLowerCase()).join(' ')
		const unknown = names.filter((name) => {
			const words = name.match(/[A-Z]?[a-z]+|[A-Z]+(?![a-z])/g) ?? []
			return !words.some((word) => terms.includes(word.toLowerCase().replace(/s$/, '')))
		})
		expect(unknown.filter((name) => !ELSEWHERE.includes(name))).toEqual([])
	})

	test('has each term once', () => {
		const terms = rows.filter((row) => row.length === 3).map(([term = '']) => term)
		const repeated = terms.filter((term, index) => term !== 'term' && terms.indexOf(term) < index)
		expect(repeated).toEqual([])
	})

	test('excludes words that neither src nor the docs use', () => {
		expect(ruledOut.length).toBeGreaterThan(20)
		const pattern = new RegExp(`\\b(?:${ruledOut.join('|')})s?\\b`, 'i')
		const texts = documents(/^(?:src\/.*\.ts|docs\/.*\.md|README\.md)$/)
		const found = texts
			.filter(({ path }) => path !== 'docs/glossary.md')
			.flatMap(({ path, text }) =>
				text
					// A name that Node.js gave.
					.replaceAll('--disallow-code-generation-from-strings', '')
					.split('\n')
					.flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [])),
			)
		expect(found).toEqual([])
	})
})
