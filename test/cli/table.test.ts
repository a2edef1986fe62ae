import { expect, test } from 'vitest'
import { table } from '../../src/cli/table.ts'

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

test('columns are as wide as their widest cell, empty ones are left out, and nothing trails', () => {
	expect(table(COLUMNS, ROWS, (_style, text) => text)).toBe(
		['name       n  last', 'a          1  x', 'grün 🙂  1000', ''].join('\n'),
	)
})

test('colour takes no room', () => {
	const [plain, painted] = [(text: string) => text, (text: string) => `<${text}>`].map((paint) =>
		table(COLUMNS, ROWS, (_style, text) => paint(text)),
	)
	expect(painted).toContain('<a>          1  x\n')
	expect(painted?.replaceAll(/[<>]/g, '')).toBe(plain)
})
