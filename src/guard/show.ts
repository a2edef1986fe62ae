/** Formats values for error messages. */
import { hush } from './hush.ts'
import { attempt, tagTextOf, textOf } from './values.ts'

/** Maximum length of the result. */
const LENGTH_MAX = 80
/** Number of characters of a value that are looked at. */
const SHOWN_LENGTH_MAX = 400

/**
 * Formats a refused value for an error message, in one line of at most 80 characters. Never throws. Also
 * handles the value if it is a promise.
 */
export function show(value: unknown): string {
	hush(value)
	const text = attempt(() => textOfAny(value), typeof value)
	// The source of a function and the description of a symbol may have several lines.
	const line = text.slice(0, SHOWN_LENGTH_MAX).replaceAll(/\s*[\r\n\u2028\u2029]\s*/g, ' ')
	return line.length > LENGTH_MAX ? `${line.slice(0, LENGTH_MAX - 3)}...` : line
}

function textOfAny(value: unknown): string {
	if (typeof value === 'string') return JSON.stringify(value)
	if (typeof value === 'bigint') return `${value}n`
	if (typeof value === 'object' && value !== null) return tagTextOf(value)
	const text = textOf(value)
	return typeof text === 'string' ? text : typeof value
}
