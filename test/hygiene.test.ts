import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ERROR_CODES } from '../src/model/errors.ts'
import { ROOT } from './support/process.ts'

const tracked = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { cwd: ROOT })
	.toString()
	.split('\n')
	.filter((path) => path !== '' && !path.endsWith('package-lock.json'))

function linesThatMatch(pattern: RegExp, paths: readonly string[]): string[] {
	return paths.flatMap((path) =>
		readFileSync(join(ROOT, path), 'utf8')
			.split('\n')
			.flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [])),
	)
}

test('no file contains a path of the machine it was written on, or a registry', () => {
	expect(
		linesThatMatch(/\/(w[o]rk|r[o]ot|h[o]me)\/|https?:\/\/[a-z.]*r[e]gistry|npm[j]s\.org/, tracked),
	).toEqual([])
})

test('every test runs: there is no skip, only or todo', () => {
	const tests = tracked.filter((path) => path.endsWith('.test.ts'))
	expect(tests.length).toBeGreaterThan(5)
	expect(linesThatMatch(/\b(test|describe|it)\.(s[k]ip|o[n]ly|t[o]do|f[a]ils)\b/, tests)).toEqual([])
})

test('a lost connection to Postgres ends no test run: clients and pools have a listener for errors', () => {
	const tests = tracked.filter((path) => path.startsWith('test/') && path !== 'test/support/postgres.ts')
	// A program in a process of its own, and a client that never connects.
	const others = ['test/process/journal-exit.test.ts', 'test/hygiene.test.ts']
	const found = linesThatMatch(
		/new pg\.(Client|Pool)\((?!\))/,
		tests.filter((path) => !others.includes(path)),
	)
	expect(found).toEqual([])
})

test('no private field starts from a public one, which the CommonJS build sets later', () => {
	const sources = tracked.filter((path) => path.startsWith('src/'))
	expect(linesThatMatch(/^\s+(readonly )?#\w+(: [^=]+)? = .*\bthis\.[a-z]/, sources)).toEqual([])
})

test('README.md is short enough to read in one sitting', () => {
	expect(readFileSync(join(ROOT, 'README.md'), 'utf8').split('\n').length).toBeLessThanOrEqual(200)
})

describe('docs/reference/errors.md', () => {
	const headings = [
		...readFileSync(join(ROOT, 'docs/reference/errors.md'), 'utf8').matchAll(/^### `([A-Z_]+)`/gm),
	]
	const documented = headings.map(([, code]) => code)

	test('has exactly one heading for each code', () => {
		expect(documented.toSorted()).toEqual([...ERROR_CODES].toSorted())
	})

	test('covers only codes that the source can throw', () => {
		const source = tracked.filter((path) => path.startsWith('src/') && path !== 'src/model/errors.ts')
		const text = source.map((path) => readFileSync(join(ROOT, path), 'utf8')).join('\n')
		const unused = ERROR_CODES.filter((code) => !text.includes(`'${code}'`) && code !== 'APPEND_FAILED')
		expect(unused).toEqual([])
	})
})
