import { once } from 'node:events'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { joined, linesOf, printable, printableLines, printed } from '../../src/cli/printable.ts'
import { paintFor, type Terminal } from '../../src/cli/terminal.ts'
import { toJson } from '../../src/codec/json-dialect.ts'
import { warn } from '../../src/platform/diagnostics.ts'
import { escapeJson, escapeText } from '../../src/text/escape.ts'

const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{DI}]/u
/** Characters that are part of the spelling of an emoji or a word, and may stay. */
const SPELLING = /(?<=[\p{Emoji}\p{Extended_Pictographic}])\ufe0f|[\u200c\u200d]/gu
/** Characters that the rules name, and their neighbours. */
const CHARACTERS = [
	...Array.from({ length: 0xa1 }, (_unused, code) => String.fromCharCode(code)),
	...'\u00ad\u034f\u061c\u115f\u180e\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202e',
	...'\u2060\u2066\u2069\u206f\u3164\ufe0e\ufeff\ufff9\ufffb',
	'\ud800',
	'\udfff',
	'\u{e0001}',
	'\u{e0041}',
	'\u{e0100}',
	'ü',
	'🙂',
]
const texts = fc.array(fc.constantFrom(...CHARACTERS), { maxLength: 20 }).map((chars) => chars.join(''))

test('no unsafe character is left in a text, and safe characters are unchanged', () => {
	fc.assert(
		fc.property(fc.oneof(texts, fc.string({ unit: 'binary' })), (text) => {
			const escaped = escapeText(text)
			expect(escaped.replaceAll(SPELLING, '')).not.toMatch(UNSAFE)
			expect(escapeText(escaped)).toBe(escaped)
			if (!UNSAFE.test(text)) expect(escaped).toBe(text)
		}),
		{ numRuns: 2000 },
	)
	for (const char of CHARACTERS)
		if (UNSAFE.test(char)) expect(escapeText(`a${char}b`)).toMatch(/^a\\[nrtxu].*b$/)
})

test('escaping twice gives the same text, whichever characters stand around an invisible one', () => {
	// A letter, a mark of Arabic and one of Khmer that are invisible, an invisible letter, a pictograph that is
	// no emoji, an emoji, its modifier and its selector, both joiners, and a character that nothing joins.
	const around = [...'\u0645\u061c\u17b4\u115f\u{1f02c}\u2764\u{1f3fd}\ufe0f\u200c\u200d-']
	let texts = ['']
	for (let length = 1; length <= 4; length++) {
		texts = texts.flatMap((text) => around.map((char) => text + char))
		for (const text of texts) {
			const escaped = escapeText(text)
			expect(escapeText(escaped)).toBe(escaped)
		}
	}
	expect(texts).toHaveLength(11 ** 4)
	expect(escapeText('\u061c\u200cg')).toBe('\\u061c\\u200cg')
	expect(escapeText('\u17b4\u200d\u0645')).toBe('\\u17b4\\u200d\u0645')
	expect(escapeText('\u0645\u200c\u115f')).toBe('\u0645\\u200c\\u115f')
	expect(escapeText('\u{1f02c}\ufe0f\u200d\u2764')).toBe('\u{1f02c}\ufe0f\u200d\u2764')
})

test('emoji and words of scripts that join keep their spelling, and nothing else hides there', () => {
	for (const text of ['👨‍👩‍👧', '❤️', '👍🏽', '1️⃣', 'می‌خواهم', 'क्‍ष', 'שלום', 'ü', '日本'])
		expect(escapeText(text)).toBe(text)
	expect(escapeText('ad\u200cmin pay\u200dpal \ufe0f')).toBe('ad\\u200cmin pay\\u200dpal \\ufe0f')
	expect(escapeText('\u{e0041}\u061c\ud800')).toBe('\\u{e0041}\\u061c\\ud800')
})

test('JSON is escaped to the same value', () => {
	fc.assert(
		fc.property(fc.oneof(texts, fc.string({ unit: 'binary' })), (text) => {
			for (const json of [escapeJson(JSON.stringify({ [text]: text })), toJson({ [text]: text })]) {
				expect(json).not.toMatch(UNSAFE)
				expect(JSON.parse(json)).toEqual({ [text]: text })
			}
		}),
		{ numRuns: 1000 },
	)
})

test('a printed value of any type is one safe line', () => {
	const thrower = {
		toString: () => {
			throw new Error('no')
		},
	}
	const values = fc.oneof(
		texts,
		fc.anything(),
		fc.constantFrom<unknown>(thrower, Object.create(null), Symbol('\u001b'), () => '\u001b'),
	)
	const paint = paintFor('never', {} as Terminal)
	fc.assert(
		fc.property(values, values, (a, b) => {
			for (const text of [printable(a), printed`${a}${b}`, paint('red', a), joined([a, b], printed`, `)])
				expect(String(text).replaceAll(SPELLING, '')).not.toMatch(UNSAFE)
			expect(String(linesOf([a, b])).split('\n')).toHaveLength(3)
			expect(String(printed`${a}\n${b}`).split('\n')).toHaveLength(2)
			expect(String(printable(a).indented())).toMatch(/^(?: {4}.*)?$/)
		}),
	)
	expect(String(printableLines('a\n\tb\u001b\r'))).toBe('a\n\tb\\x1b\\r')
})

test('only these functions create printable text, and colours pass through once', () => {
	const red = paintFor('always', {} as Terminal)('red', 'a\u001b[0m')
	expect(String(printed`${red}!`)).toBe('\u001b[31ma\\x1b[0m\u001b[39m!')
	expect([red.width, red.padEnd(9).width, printable('').isEmpty]).toEqual([8, 9, true])
	// @ts-expect-error a text is not printable by itself, nor is an object of the same shape.
	const fake: typeof red = { isEmpty: false, width: 1 }
	expect(String(printed`${fake}`)).toBe('[object Object]')
})

test('a warning of the library is escaped', async () => {
	const warned = once(process, 'warning')
	warn('TEST', 'the chain "a\u001b]0;x\u0007\n2026 ERROR" is failing')
	const [warning] = (await warned) as [Error]
	expect(warning.message).toBe('the chain "a\\x1b]0;x\\x07\\n2026 ERROR" is failing')
})
