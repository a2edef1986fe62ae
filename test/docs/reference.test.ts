/**
 * Checks that the pages of docs/reference/ match the source that they are generated from.
 * `npm run docs:reference` writes them.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ROOT } from '../support/process.ts'
import { apiReference } from './api-reference.ts'
import { cliReference } from './cli-reference.ts'

const isWriting = process.env['WRITE_REFERENCE'] === '1'
const FOLDER = join(ROOT, 'docs/reference')

function expectPage(name: string, text: string): void {
	const path = join(FOLDER, name)
	if (isWriting) {
		mkdirSync(dirname(path), { recursive: true })
		writeFileSync(path, text)
	}
	expect(readFileSync(path, 'utf8'), `${name} is out of date: run \`npm run docs:reference\``).toBe(text)
}

describe('docs/reference/', () => {
	test('has the help of every command', () => {
		expectPage('cli.md', cliReference())
	})

	test('has every export of the package, with its docstring', () => {
		const pages = apiReference(ROOT)
		for (const [name, text] of pages) expectPage(`api/${name}`, text)
		expect(readdirSync(join(FOLDER, 'api')).toSorted()).toEqual([...pages.keys()].toSorted())
	}, 120_000)
})
