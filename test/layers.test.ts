import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { brokenRules, sourceFiles } from './support/layers.ts'
import { ROOT } from './support/process.ts'

test('src/ follows its layers: imports run downward, without cycles', () => {
	expect(brokenRules(sourceFiles(join(ROOT, 'src')))).toEqual([])
})

describe('the check itself', () => {
	const cases: readonly (readonly [string, Record<string, string>, RegExp])[] = [
		['an import upward', { 'codec/a.ts': "import { b } from '../loop/b.ts'" }, /downward/],
		['one tower importing the other', { 'loop/a.ts': "import { b } from '../chain/b.ts'" }, /downward/],
		['reading importing writing', { 'chain/read/a.ts': "import { b } from '../write/b.ts'" }, /downward/],
		[
			'an import of a layer from one below it',
			{ 'chain/scan/a.ts': "import { b } from '../files/b.ts'" },
			/downward/,
		],
		['a word importing a layer', { 'model/record.ts': "import { b } from '../codec/b.ts'" }, /downward/],
		[
			'an inner file of chain/ imported from outside it',
			{ 'merge/a.ts': "import { b } from '../chain/read/b.ts'" },
			/only chain\/index\.ts is imported/,
		],
		[
			'a folder of chain/ importing its front door',
			{ 'chain/read/a.ts': "import { b } from '../index.ts'" },
			/downward/,
		],
		[
			'a circle',
			{ 'loop/a.ts': "import { b } from './b.ts'", 'loop/b.ts': "import { a } from './a.ts'" },
			/circle/,
		],
		['the file system outside its port', { 'chain/a.ts': "import { x } from 'node:fs'" }, /node:fs/],
		['printing', { 'loop/a.ts': 'console.log(1)' }, /prints/],
		['a command that prints directly', { 'cli/a.ts': "process.stdout.write('a')" }, /prints/],
		['a warning that is not escaped', { 'loop/a.ts': "process.emitWarning('a')" }, /warns/],
		['an entry file that defines', { 'index.ts': 'const a = 1' }, /defines/],
		['a giant', { 'loop/a.ts': '\n'.repeat(600) }, /lines/],
		['a name that is not kebab-case', { 'loop/aB.ts': '' }, /kebab/],
		['a folder outside all layers', { 'utils/a.ts': "import { b } from '../model/record.ts'" }, /no layer/],
	]
	test.each(cases)('finds %s', (_name, files, expected) => {
		expect(brokenRules(new Map(Object.entries(files))).join('\n')).toMatch(expected)
	})
})
