/** Formats a table in which each column is as wide as its widest cell. */

import type { Paint, Style } from '../pretty/paint.ts'
import { joined, linesOf, Printable, printable, printed } from './printable.ts'

/** A value, with or without a colour. */
export type Cell = string | Printable | readonly [style: Style, value: string]

/** One column of a table. */
export interface Column<Row> {
	readonly head: string
	/** Whether the cells are right-aligned, as is usual for numbers. */
	readonly isRight?: boolean
	readonly cell: (row: Row) => Cell
}

/** Formats a heading and one line for each row. Omits columns in which every cell is empty. */
export function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[], paint: Paint): Printable {
	const shown = columns
		.map(({ head, isRight = false, cell }) => ({
			head: paint('bold', head),
			isRight,
			cells: rows.map((row) => painted(cell(row), paint)),
		}))
		.filter(({ cells }) => cells.some((cell) => !cell.isEmpty))
		.map((column) => ({
			...column,
			width: column.cells.reduce((width, cell) => Math.max(width, cell.width), column.head.width),
		}))
	const line = (cellOf: (column: (typeof shown)[number]) => Printable) => {
		const cells = shown.map((column) => {
			const cell = cellOf(column)
			return column.isRight ? cell.padStart(column.width) : cell.padEnd(column.width)
		})
		return joined(cells, printed`  `).trimEnd()
	}
	return linesOf([line(({ head }) => head), ...rows.map((_row, at) => line(({ cells }) => cells[at]!))])
}

function painted(cell: Cell, paint: Paint): Printable {
	return typeof cell === 'string' || cell instanceof Printable ? printable(cell) : paint(...cell)
}
