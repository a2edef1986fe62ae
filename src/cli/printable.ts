/**
 * What commands print: {@link Printable} text. `Output` and `Messages` accept nothing else. The escaping
 * itself is in pretty/printable.ts.
 */
import { isAbsolute, relative } from 'node:path'
import { type Printable, printable } from '../pretty/printable.ts'

export {
	joined,
	linesOf,
	Printable,
	printable,
	printableJson,
	printableLines,
	printableRecord,
	printableRecords,
	printed,
	together,
} from '../pretty/printable.ts'

/**
 * Formats a path as a user would type it: as a relative path if it is below the current folder. Returns an
 * address unchanged.
 */
export function printablePath(path: string): Printable {
	if (/^\w+:\/\//.test(path)) return printable(path)
	const fromHere = relative(process.cwd(), path)
	const isBelow = fromHere !== '' && !fromHere.startsWith('..') && !isAbsolute(fromHere)
	return printable(isBelow ? fromHere : path)
}
