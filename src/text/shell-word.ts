/**
 * Quotes file names for POSIX shells, in the commands that messages suggest. No other module quotes file
 * names.
 */
import { escapeText } from './escape.ts'

const PLAIN = /^[\w@%+=:,./-]+$/

/**
 * Formats a file name or the address of a stream as one word of a command line, quoted if necessary. The word
 * fits on one line and is safe to print to a terminal. The shell expands it to the original name. A name that
 * starts with a dash, such as `-x`, becomes `./-x`. A name with characters that are unsafe to print becomes
 * `"$(printf …)"`.
 */
export function shellWord(name: string): string {
	const file = name.startsWith('-') && name !== '-' ? `./${name}` : name
	if (PLAIN.test(file)) return file
	if (escapeText(file) === file) return quoted(file)
	// Command substitution removes trailing newlines, so they are added separately.
	const body = file.replace(/\n+$/, '')
	// The shell expands each of these to a newline, the last character of the default IFS.
	// biome-ignore lint/suspicious/noTemplateCurlyInString: a shell expansion
	const breaks = '"${IFS#??}"'.repeat(file.length - body.length)
	return body === '' ? breaks : `"$(printf '${[...body].map(formatOf).join('')}')"${breaks}`
}

function quoted(text: string): string {
	return `'${text.replaceAll("'", String.raw`'\''`)}'`
}

/** Formats a character for a printf format string. Unsafe and special characters become octal escapes. */
function formatOf(char: string): string {
	if (escapeText(char) === char && !"\\%'".includes(char)) return char
	return [...Buffer.from(char)].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('')
}
