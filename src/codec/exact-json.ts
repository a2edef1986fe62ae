/** JSON of other programs: what is read is what was written, integers of any size too. */

/** Sixteen digits in a row: without them no integer is beyond what a number holds. */
const LONG = /\d{16}/
/** What may hold digits. */
const TEXT_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g
const LONG_INTEGER = /^-?\d{16,}$/

/**
 * As `JSON.parse`, but an integer beyond 2^53 − 1 becomes a bigint.
 *
 * @throws {SyntaxError}
 */
export function parseExactJson(source: string): unknown {
	return exactly(JSON.parse(source), source)
}

/**
 * What `JSON.parse` made of a source, with bigints for the integers beyond 2^53 − 1. Node 20 does not tell a reviver how a number was written,
 * so these are put into texts first, with a mark that is nowhere else in the source.
 */
export function exactly<T>(value: T, source: string): T {
	if (!LONG.test(source)) return value
	let isMarked = false
	const mark = markFor(source)
	const marked = source.replace(TEXT_OR_NUMBER, (part) => {
		if (!LONG_INTEGER.test(part) || Number.isSafeInteger(Number(part))) return part
		isMarked = true
		return `"${mark}${part}"`
	})
	if (!isMarked) return value
	return JSON.parse(marked, (_key, each) =>
		typeof each === 'string' && each.startsWith(mark) ? BigInt(each.slice(mark.length)) : each,
	)
}

/**
 * As `JSON.stringify`, but a bigint becomes an integer.
 *
 * @param replace gives what stands in place of any other value.
 */
export function exactJsonOf(value: object, replace: (value: unknown) => unknown): string {
	let isMarked = false
	const textWith = (mark: string) =>
		JSON.stringify(value, (_key, each: unknown) => {
			if (typeof each !== 'bigint') return replace(each)
			isMarked = true
			return `${mark}${each}`
		})
	const text = textWith('')
	if (!isMarked) return text
	const mark = markFor(text)
	return textWith(mark).replaceAll(new RegExp(`"${mark}(-?\\d+)"`, 'g'), '$1')
}

/** A text that is nowhere in another one. */
function markFor(text: string): string {
	let mark = 'bigint:'
	while (text.includes(mark)) mark = `_${mark}`
	return mark
}
