/** Columns of text, each as wide as its widest cell. */
import type { Paint, Style } from './terminal.ts'

/** A text, or one in a colour. */
export type Cell = string | readonly [style: Style, text: string]

export interface Column<Row> {
	readonly head: string
	/** Figures stand to the right. */
	readonly isRight?: boolean
	readonly cell: (row: Row) => Cell
}

/** A heading and a line a row. Columns with nothing in them are left out. */
export function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[], paint: Paint): string {
	const shown = columns
		.map(({ head, isRight = false, cell }) => ({ head, isRight, cells: rows.map(cell) }))
		.filter(({ cells }) => cells.some((cell) => textOf(cell) !== ''))
		.map((column) => ({ ...column, width: widest([column.head, ...column.cells]) }))
	const line = (cellOf: (column: (typeof shown)[number]) => Cell) =>
		shown
			.map((column, index) => {
				const cell = cellOf(column)
				const room = ' '.repeat(column.width - lengthOf(textOf(cell)))
				const text = typeof cell === 'string' ? cell : paint(cell[0], cell[1])
				if (column.isRight) return room + text
				return index === shown.length - 1 ? text : text + room
			})
			.join('  ')
			.trimEnd()
	const lines = [
		line(({ head }) => ['bold', head]),
		...rows.map((_row, at) => line(({ cells }) => cells[at]!)),
	]
	return `${lines.join('\n')}\n`
}

function widest(cells: readonly Cell[]): number {
	return cells.reduce((width, cell) => Math.max(width, lengthOf(textOf(cell))), 0)
}

function textOf(cell: Cell): string {
	return typeof cell === 'string' ? cell : cell[1]
}

/** In characters, not in UTF-16 units. */
function lengthOf(text: string): number {
	return [...text].length
}
