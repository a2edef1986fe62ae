/** Reads and writes the JSON of other programs, and preserves integers of any size. */

/** Sixteen consecutive digits. A number represents any integer with fewer digits exactly. */
const LONG = /\d{16}/
/** Tokens that may contain digits: strings and numbers. */
const TEXT_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g
const LONG_INTEGER = /^-?\d{16,}$/

/**
 * Works like `JSON.parse`, but an integer beyond 2^53 − 1 becomes a bigint.
 *
 * @throws {SyntaxError} If the source is not valid JSON.
 */
export function parseExactJson(source: string): unknown {
	return exactly(JSON.parse(source), source)
}

/**
 * Returns the value parsed from `source`, with bigints for integers beyond 2^53 − 1. Node 20 does not pass
 * the source text of a number to a reviver. Each of these integers is therefore first replaced by a string
 * that starts with a mark. The mark occurs nowhere else in the source.
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
 * Works like `JSON.stringify`, but a bigint becomes an integer.
 *
 * @param replace Function that returns the replacement for any other value.
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

/** Returns a mark that does not occur in the text. */
function markFor(text: string): string {
	let mark = 'bigint:'
	while (text.includes(mark)) mark = `_${mark}`
	return mark
}
