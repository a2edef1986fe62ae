import { stripVTControlCharacters } from 'node:util'
import { expect, test } from 'vitest'
import { printable } from '../../src/cli/printable.ts'
import { table } from '../../src/cli/table.ts'
import { paintFor, type Terminal } from '../../src/cli/terminal.ts'

interface Row {
	readonly name: string
	readonly n: number
}

const COLUMNS = [
	{ head: 'name', cell: ({ name }: Row) => ['red', name] as const },
	{ head: 'empty', cell: () => '' },
	{ head: 'n', isRight: true, cell: ({ n }: Row) => String(n) },
	{ head: 'last', cell: ({ name }: Row) => (name === 'a' ? 'x' : '') },
]
const ROWS = [
	{ name: 'a', n: 1 },
	{ name: 'grün 🙂', n: 1000 },
]

test('columns fit their widest cell, empty ones are left out, and no line ends in spaces', () => {
	expect(String(table(COLUMNS, ROWS, (_style, value) => printable(value)))).toBe(
		['name       n  last', 'a          1  x', 'grün 🙂  1000', ''].join('\n'),
	)
})

test('colours have no width, and escaped text has its displayed width', () => {
	const rows = [...ROWS, { name: '\u001b[31m\u202e', n: 2 }]
	const plain = String(table(COLUMNS, rows, (_style, value) => printable(value)))
	const colored = String(table(COLUMNS, rows, paintFor('always', {} as Terminal)))
	expect(colored).toContain(`\u001b[31ma\u001b[39m${' '.repeat(18)}1  x\n`)
	expect(plain).toContain('\\x1b[31m\\u202e     2\n')
	expect(stripVTControlCharacters(colored)).toBe(plain)
})
