/**
 * Escapes characters that must not reach a terminal, both in human-readable text and in JSON. All output uses
 * this module: the CLI through `cli/printable.ts`, warnings through `diagnostics.ts`, and JSON through
 * `codec/`.
 *
 * - Control characters (C0, DEL, C1) can move the cursor, colour the screen or set the window title.
 * - Format characters (bidi marks, embeddings and isolates, zero-width characters, tags, interlinear
 *   annotations) can reorder or hide text.
 * - Other characters that Unicode defines as invisible, line and paragraph separators, and lone surrogates
 *   are escaped too.
 */

const UNSAFE = String.raw`[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{DI}]`

/** Scripts in which an invisible character determines whether two letters join. */
const JOINING_SCRIPTS =
	String.raw`[\p{Script=Arabic}\p{Script=Syriac}\p{Script=Devanagari}\p{Script=Bengali}` +
	String.raw`\p{Script=Gurmukhi}\p{Script=Gujarati}\p{Script=Oriya}\p{Script=Tamil}\p{Script=Telugu}` +
	String.raw`\p{Script=Kannada}\p{Script=Malayalam}\p{Script=Sinhala}\p{Script=Khmer}\p{Script=Myanmar}]`

/**
 * Invisible characters that are part of the spelling and are therefore not escaped. They select the form of
 * an emoji, join its parts or, in some scripts, join or separate letters.
 *
 * Invariant: the neighbouring characters that these patterns test are never escaped themselves, so that
 * escaping text twice has the same result as escaping it once. Unsafe neighbours are excluded explicitly,
 * because some invisible characters belong to a script, and some are letters.
 */
const SPELLING = [
	String.raw`(?<=[\p{Emoji}\p{Extended_Pictographic}])\ufe0f`,
	String.raw`(?<=\p{Extended_Pictographic}[\ufe0f\p{Emoji_Modifier}]?)\u200d(?=\p{Extended_Pictographic})`,
	String.raw`(?<=(?!${UNSAFE})${JOINING_SCRIPTS})[\u200c\u200d](?=(?!${UNSAFE})\p{L})`,
].join('|')

const IN_TEXT = new RegExp(`(${SPELLING})|${UNSAFE}`, 'gu')
/** Does not match newlines, because JSON contains them only between tokens, never within a string. */
const IN_JSON = new RegExp(UNSAFE.replace(String.raw`\p{Cc}`, String.raw`\x00-\x09\x0b-\x1f\x7f-\x9f`), 'gu')
const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/**
 * Returns the text on one line, with unsafe characters escaped, for example as `\n`, `\x1b`, `\u202e` or
 * `\u{e0041}`. Returns safe text unchanged.
 */
export function escapeText(text: string): string {
	return text.replace(IN_TEXT, (char, spelling?: string) => spelling ?? NAMED[char] ?? hex(char))
}

/**
 * Escapes unsafe characters in JSON as `\uXXXX`. The result decodes to the same value, cannot control a
 * terminal, and contains newlines only between tokens.
 */
export function escapeJson(json: string): string {
	return json.replace(IN_JSON, (char) => {
		let escaped = ''
		for (let unit = 0; unit < char.length; unit++) escaped += `\\u${padded(char.charCodeAt(unit), 4)}`
		return escaped
	})
}

function hex(char: string): string {
	const code = char.codePointAt(0)!
	if (code < 0x100) return `\\x${padded(code, 2)}`
	return code < 0x10000 ? `\\u${padded(code, 4)}` : `\\u{${code.toString(16)}}`
}

function padded(code: number, digits: number): string {
	return code.toString(16).padStart(digits, '0')
}
