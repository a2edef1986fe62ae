import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { shellWord } from '../../src/text/shell-word.ts'

const SPECIAL = [
	...' \'"`$\\!*?[]{}()<>|&;#~=%^-+,.:@/\n\t\r',
	'\u001b',
	'\u0007',
	'\u007f',
	'\u202e',
	'\u2028',
	'\u200d',
	'ü',
	'🙂',
	'a',
	'0',
]
const names = fc
	.array(fc.constantFrom(...SPECIAL), { minLength: 1, maxLength: 12 })
	.map((chars) => chars.join(''))

/** Returns the words that a program receives from a shell. */
function asShellReads(words: readonly string[]): string[] {
	const script = `printf '%s\\0' ${words.join(' ')}`
	return execFileSync('sh', ['-c', script], { encoding: 'utf8' }).split('\0').slice(0, -1)
}

test('a shell turns the word back into the name, and the word is one safe line', () => {
	fc.assert(
		fc.property(fc.array(names, { minLength: 20, maxLength: 40 }), (list) => {
			const words = list.map(shellWord)
			// The joiner between two emoji is part of their spelling.
			const joined = words.map((word) => word.replace(/(?<=🙂)\u200d(?=🙂)/gu, ''))
			for (const word of joined) expect(word).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
			// A name that begins like an option gets a leading folder.
			const expected = list.map((name) => (name.startsWith('-') && name !== '-' ? `./${name}` : name))
			expect(asShellReads(words)).toEqual(expected)
		}),
		{ numRuns: 30, examples: [[['🙂\u200d🙂', '🙂\u200da', 'a\u200d🙂']]] },
	)
})

test.each([
	['node.chain', 'node.chain'],
	['/var/log/my app.chain', "'/var/log/my app.chain'"],
	["it's", String.raw`'it'\''s'`],
	['-rf', './-rf'],
	['nats://h:4222/mesh?node=a', "'nats://h:4222/mesh?node=a'"],
	['a\nb', String.raw`"$(printf 'a\012b')"`],
])('%j is typed as %s', (name, word) => {
	expect(shellWord(name)).toBe(word)
})
