/** Splits the text of a condition into words, texts in quotes, and operators. */
import { show } from '../guard/show.ts'
import { MeshChainError } from './errors.ts'

/** A part of a condition. `end` is the place after it. */
export interface Token {
	readonly kind: 'word' | 'text' | 'operator' | 'end'
	readonly text: string
	readonly start: number
	readonly end: number
}

/** Maximum length of a condition, in characters. */
export const CONDITION_LENGTH_MAX = 10_000

const SPACE = /\s+/y
const OPERATOR = /!=|<=|>=|[=<>~(),[\]]/y
const WORD = /[^\s=<>~!(),[\]'"]+/y
const QUOTED = /'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"/sy
const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' }

/** @throws {MeshChainError} `INVALID_FILTER` for a character that no token begins with, or an open quote. */
export function tokensOf(source: string): Token[] {
	const tokens: Token[] = []
	let at = 0
	const take = (expression: RegExp): string | undefined => {
		expression.lastIndex = at
		return expression.exec(source)?.[0]
	}
	while (at < source.length) {
		const space = take(SPACE)
		if (space !== undefined) {
			at += space.length
			continue
		}
		const [kind, found] = [
			['operator', take(OPERATOR)] as const,
			['word', take(WORD)] as const,
			['text', take(QUOTED)] as const,
		].find(([, text]) => text !== undefined) ?? ['operator' as const, undefined]
		if (found === undefined) {
			throw wrongAt(
				source,
				at,
				/['"]/.test(source[at]!) ? 'the closing quote is missing' : 'unexpected character',
			)
		}
		const text = kind === 'text' ? unquoted(found) : found
		tokens.push({ kind, text, start: at, end: at + found.length })
		at += found.length
	}
	tokens.push({ kind: 'end', text: '', start: source.length, end: source.length })
	return tokens
}

/** Creates the error for a condition that is wrong at a place. */
export function wrongAt(source: string, at: number, what: string): MeshChainError {
	const where = at < source.length ? `at column ${at + 1}, ${show(source.slice(at, at + 20))}` : 'at its end'
	return new MeshChainError('INVALID_FILTER', `the condition is wrong ${where}: ${what}`)
}

function unquoted(text: string): string {
	return text.slice(1, -1).replaceAll(/\\(.)/gs, (_all, letter: string) => ESCAPES[letter] ?? letter)
}
