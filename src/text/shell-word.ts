/**
 * Quotes file names in commands that messages tell people to type, for any POSIX shell. No other module
 * quotes them.
 */
import { escapeText } from './escape.ts'

const PLAIN = /^[\w@%+=:,./-]+$/

/**
 * Formats a file name or the address of a stream as one word of a command line. The word is one line, safe on
 * a terminal, and the shell turns it back into the name. It is quoted where needed; a name that begins like
 * an option becomes `./-x`, and control characters become `"$(printf …)"`.
 */
export function shellWord(name: string): string {
	const file = name.startsWith('-') && name !== '-' ? `./${name}` : name
	if (PLAIN.test(file)) return file
	if (escapeText(file) === file) return quoted(file)
	// The shell removes trailing line breaks from the output of printf.
	const body = file.replace(/\n+$/, '')
	// biome-ignore lint/suspicious/noTemplateCurlyInString: an expansion of the shell's, to the line break at the end of IFS
	const breaks = '"${IFS#??}"'.repeat(file.length - body.length)
	return body === '' ? breaks : `"$(printf '${[...body].map(formatOf).join('')}')"${breaks}`
}

function quoted(text: string): string {
	return `'${text.replaceAll("'", String.raw`'\''`)}'`
}

/** Formats a character for a format string of printf. Unsafe and special characters become octal bytes. */
function formatOf(char: string): string {
	if (escapeText(char) === char && !"\\%'".includes(char)) return char
	return [...Buffer.from(char)].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('')
}
