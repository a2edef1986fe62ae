/** Formats values for error messages. */
import { hush } from './hush.ts'
import { attempt, tagTextOf, textOf } from './values.ts'

/**
 * Formats a refused value for an error message, as one line of at most 80 characters. Never throws. If the
 * value is a promise, also handles the promise.
 */
export function show(value: unknown): string {
	hush(value)
	const text = attempt(() => textOfAny(value), typeof value)
	return text.length > 80 ? `${text.slice(0, 77)}...` : text
}

function textOfAny(value: unknown): string {
	if (typeof value === 'string') return JSON.stringify(value)
	if (typeof value === 'bigint') return `${value}n`
	if (typeof value === 'object' && value !== null) return tagTextOf(value)
	const text = textOf(value)
	return typeof text === 'string' ? text : typeof value
}
