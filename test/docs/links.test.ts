/** Checks that links of all Markdown pages resolve to existing files and headings. */
import { existsSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, test } from 'vitest'
import { anchorsOf, linksOf, markdownFiles, readPage } from '../support/pages.ts'
import { ROOT } from '../support/process.ts'

/** Returns the broken links of one page. */
function brokenLinks(path: string, text: string): string[] {
	return linksOf(text).filter((target) => {
		if (/^(?:https?|mailto):/.test(target)) return false
		const [file = '', anchor] = target.split('#')
		const found = file === '' ? path : normalize(join(dirname(path), file))
		if (found.startsWith('..') || !existsSync(join(ROOT, found))) return true
		return anchor !== undefined && !anchorsOf(file === '' ? text : readPage(found)).has(anchor)
	})
}

describe('Markdown', () => {
	test.each(markdownFiles())('the links of %s resolve', (path) => {
		expect(brokenLinks(path, readPage(path))).toEqual([])
	})

	test('every page of docs/ can be reached from README.md', () => {
		const reached = new Set<string>()
		const visit = (path: string) => {
			if (reached.has(path) || !path.endsWith('.md') || !existsSync(join(ROOT, path))) return
			reached.add(path)
			for (const target of linksOf(readPage(path))) {
				if (!/^\w+:/.test(target)) visit(normalize(join(dirname(path), target.split('#')[0] ?? '')))
			}
		}
		visit('README.md')
		const pages = markdownFiles().filter((path) => path.startsWith('docs/'))
		expect(pages.filter((path) => !reached.has(path))).toEqual([])
	})
})

describe('the check itself', () => {
	test.each([
		['a file that does not exist', '[a](docs/none.md)'],
		['a heading that does not exist', '# A\n[a](#b)'],
		['a heading of another page that does not exist', '[a](docs/FORMAT.md#none)'],
		['a file outside the repository', '[a](../README.md)'],
	])('finds %s', (_name, text) => {
		expect(brokenLinks('README.md', text)).toHaveLength(1)
	})

	test.each([
		['a heading with code and punctuation', '# The `a` option: why?\n[a](#the-a-option-why)'],
		['the second heading of one text', '# A\n# A\n[a](#a-1)'],
		['a link in code', '`[a](none.md)`\n```\n[a](none.md)\n```'],
		['an address', '[a](https://example.org/none.md#b)'],
	])('accepts %s', (_name, text) => {
		expect(brokenLinks('README.md', text)).toEqual([])
	})
})
