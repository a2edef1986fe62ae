/** Formats Markdown for the generated pages of docs/reference/: wrapped paragraphs and aligned tables. */

const COLUMNS = 110
/** Width above which a table is not aligned, because most of it would be padding. */
const TABLE_COLUMNS_MAX = 160

/** Re-wraps paragraphs and list items. Fences, tables, headings and comments stay unchanged. */
export function wrapped(text: string): string {
	const out: string[] = []
	let isFenced = false
	let paragraph: string[] = []
	const flush = () => {
		if (paragraph.length > 0) out.push(...wrappedParagraph(paragraph))
		paragraph = []
	}
	for (const line of text.split('\n')) {
		const isFence = /^\s*```/.test(line)
		if (isFenced || isFence || line.trim() === '' || /^(?:[|#<]|\t| {4})/.test(line)) {
			flush()
			out.push(line)
			if (isFence) isFenced = !isFenced
		} else {
			if (/^\s*(?:[-*]|\d+\.)\s/.test(line)) flush()
			paragraph.push(line)
		}
	}
	flush()
	return out.join('\n')
}

function wrappedParagraph(lines: readonly string[]): string[] {
	const [, bullet = ''] = /^(\s*(?:(?:[-*]|\d+\.)\s+)?)/.exec(lines[0] ?? '') ?? []
	const rest = ' '.repeat(bullet.length)
	const text = lines.map((line) => line.trim()).join(' ')
	const out: string[] = []
	let line = bullet
	let isEmpty = true
	// A code span counts as one word.
	for (const word of text.slice(bullet.trim().length).match(/(?:`[^`]*`|\S)+/g) ?? []) {
		if (!isEmpty && line.length + 1 + word.length > COLUMNS) {
			out.push(line)
			line = rest
			isEmpty = true
		}
		line += isEmpty ? word : ` ${word}`
		isEmpty = false
	}
	return [...out, line]
}

/** Formats a table of cells; the first row is the header. */
export function table(rows: readonly (readonly string[])[]): string {
	const cells = rows.map((row) => row.map(cell))
	const widths = (cells[0] ?? []).map((_cell, index) =>
		Math.max(3, ...cells.map((row) => row[index]?.length ?? 0)),
	)
	const total = widths.reduce((sum, width) => sum + width + 3, 1)
	const isAligned = total <= TABLE_COLUMNS_MAX
	const line = (row: readonly string[]) =>
		`| ${row.map((each, index) => (isAligned ? each.padEnd(widths[index] ?? 0) : each)).join(' | ')} |`
	const [head = [], ...body] = cells
	const rule = widths.map((width) => '-'.repeat(isAligned ? width : 3))
	return [line(head), line(rule), ...body.map(line)].join('\n')
}

/** Formats a cell on one line, with each `|` escaped. */
function cell(text: string): string {
	return text.replaceAll(/\s*\n\s*/g, ' ').replaceAll('|', '\\|')
}
