/** JSON of other programs: what is read is what was written, integers of any size too. */

/** Sixteen digits in a row: without them no integer is beyond what a number holds. */
const LONG = /\d{16}/
/** What may hold digits. */
const TEXT_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g
const LONG_INTEGER = /^-?\d{16,}$/

/**
 * As `JSON.parse`, but an integer beyond 2^53 − 1 becomes a bigint. Node 20 does not tell a reviver how a number was written, so these are put
 * into texts first, with a mark that is nowhere else in the source.
 *
 * @throws {SyntaxError}
 */
export function parseExactJson(source: string): unknown {
	const value: unknown = JSON.parse(source)
	if (!LONG.test(source)) return value
	let mark = 'bigint:'
	while (source.includes(mark)) mark = `_${mark}`
	let isMarked = false
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
