/** File names in commands that we tell people to type: the one place that quotes them, for any POSIX shell. */
import { escapeText } from './escape.ts'

const PLAIN = /^[\w@%+=:,./-]+$/

/**
 * A file, or the address of a stream, as one word of a command line. The word is one line of text that is safe on a terminal, and the shell
 * makes the name of it again: quoted where needed, `./-x` for a name that begins like an option, `"$(printf …)"` for control characters.
 */
export function shellWord(name: string): string {
	const file = name.startsWith('-') && name !== '-' ? `./${name}` : name
	if (PLAIN.test(file)) return file
	if (escapeText(file) === file) return quoted(file)
	// The shell takes line breaks off the end of what printf prints.
	const body = file.replace(/\n+$/, '')
	// biome-ignore lint/suspicious/noTemplateCurlyInString: an expansion of the shell's, to the line break at the end of IFS
	const breaks = '"${IFS#??}"'.repeat(file.length - body.length)
	return body === '' ? breaks : `"$(printf '${[...body].map(formatOf).join('')}')"${breaks}`
}

function quoted(text: string): string {
	return `'${text.replaceAll("'", String.raw`'\''`)}'`
}

/** A character in a format of printf: unsafe ones, and those that mean something there, as octal bytes. */
function formatOf(char: string): string {
	if (escapeText(char) === char && !"\\%'".includes(char)) return char
	return [...Buffer.from(char)].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('')
}
