/**
 * Makes text from a log safe to show: whatever could move a cursor, colour a screen or turn the reading direction is
 * written out instead.
 */
import { isAbsolute, relative } from 'node:path'

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it is about
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g
const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/** The text on one line, control characters as `\n`, `\x1b`, `\u202e`. */
export function escapeControls(text: string): string {
	return text.replace(UNSAFE, (unit) => NAMED[unit] ?? hex(unit.charCodeAt(0)))
}

/** A path as whoever typed the command would: from the folder they are in, where it lies in there. An address stays as it is. */
export function shownPath(path: string): string {
	if (/^\w+:\/\//.test(path)) return escapeControls(path)
	const fromHere = relative(process.cwd(), path)
	const isBelow = fromHere !== '' && !fromHere.startsWith('..') && !isAbsolute(fromHere)
	return escapeControls(isBelow ? fromHere : path)
}

function hex(code: number): string {
	return code < 0x100
		? `\\x${code.toString(16).padStart(2, '0')}`
		: `\\u${code.toString(16).padStart(4, '0')}`
}
