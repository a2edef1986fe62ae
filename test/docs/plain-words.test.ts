/**
 * Checks that docs and comments are plain technical English: odd phrases are rare. Lines of docs and code end
 * by column 110. The rules include the pages generated from docstrings and help.
 */
import { describe, expect, test } from 'vitest'
import { commentsOf, type Document, documents, proseOf } from './documents.ts'

/** Maximum per 1,000 words. Each phrase also has correct uses, so a few are allowed. */
const ODD_MAX = 3
const COLUMNS = 110
/** As the formatter counts it. */
const TAB_COLUMNS = 2

/** Odd phrases, each with its replacement. */
const PHRASES: readonly (readonly [phrase: RegExp, instead: string])[] = [
	[/\bbehind\b/gi, 'after'],
	[/\b(?:go|goes|going|went|gone) on\b/gi, 'continue, resume'],
	[/\bunless (?:it is )?told\b/gi, 'default: …'],
	[/\b(?:whoever|whosoever|somebody)\b/gi, 'a role, or the caller'],
	[/\bby now\b/gi, 'now, or the time meant'],
	[/\bso (?:many|long|few)\b(?! (?:as|that)\b)/gi, 'the number, or until then'],
	[/\bunder way\b/gi, 'in flight, in progress'],
	[/\bat the (?:most|least)\b/gi, 'at most, at least'],
	[/\b(?:what|those that|all that) comes?\b/gi, 'later …, the next …'],
	[/\bcomes? (?:again|once)\b/gi, 'is delivered again, is returned once'],
	[/(?<!\bthere )\b(?:is|are|was|were) no\b(?! (?:longer|more)\b)/gi, 'is not a'],
	[/\b(?:is|are|was|were) told\b/gi, 'gets, reports'],
	[/\bby turns\b/gi, 'in turn'],
	[/\bpass(?:es|ed|ing)? over\b/gi, 'skip'],
	[/\bhand(?:s|ed|ing)? (?:on|out)\b/gi, 'pass, deliver, return'],
	[/\bput(?:s|ting)? (?:it|them|\w+ \w+) right\b/gi, 'repair'],
	[/\bin the place of\b/gi, 'instead of'],
]

const DOCS =
	/^(?:docs\/(?!reference\/(?:api\/|cli\.md)).*|examples\/.*|README|CONTRIBUTING|SECURITY|CHANGELOG)\.md$/

/** Finds uses of odd phrases, each with its document, context and replacement. */
function oddPhrases(documents: readonly Document[]): string[] {
	return documents.flatMap(({ path, text }) => {
		const flat = text.replaceAll(/\s+/g, ' ')
		return PHRASES.flatMap(([phrase, instead]) =>
			[...flat.matchAll(phrase)].map(
				({ index, 0: found }) =>
					`${path}: …${flat.slice(Math.max(0, index - 30), index + found.length + 20)}…: ${instead}`,
			),
		)
	})
}

function wordsIn(documents: readonly Document[]): number {
	return documents.reduce(
		(sum, { text }) => sum + text.split(/\s+/).filter((word) => /\w/.test(word)).length,
		0,
	)
}

/**
 * Returns lines that are too long, except for tables, code, headings and addresses, which cannot be wrapped.
 */
function longLines({ path, text }: Document): string[] {
	const prose = text.replaceAll(/^[ \t]*```[\s\S]*?^[ \t]*```/gm, (fence) =>
		'\n'.repeat(fence.split('\n').length - 1),
	)
	return prose
		.split('\n')
		.flatMap((line, index) =>
			line.length > COLUMNS && !/^(?:\||#| {4})|https?:/.test(line) ? [`${path}:${index + 1}: ${line}`] : [],
		)
}

/**
 * Returns lines of code that are too long, except for those with an address, which cannot be wrapped. The
 * formatter wraps code, but neither comments nor strings. Fixtures are not exempt: a program or a query may
 * have line breaks, and a text can be concatenated.
 */
function longLinesOfCode({ path, text }: Document): string[] {
	return text
		.split('\n')
		.flatMap((line, index) =>
			line.replaceAll('\t', ' '.repeat(TAB_COLUMNS)).length > COLUMNS && !/https?:/.test(line)
				? [`${path}:${index + 1}: ${line}`]
				: [],
		)
}

describe('the docs', () => {
	const docs = documents(DOCS)

	test(`have at most ${ODD_MAX} odd phrases per 1,000 words`, () => {
		const prose = docs.map(({ path, text }) => ({ path, text: proseOf(text) }))
		const odd = oddPhrases(prose)
		expect((1000 * odd.length) / wordsIn(prose), odd.join('\n')).toBeLessThanOrEqual(ODD_MAX)
	})

	test(`have lines of at most ${COLUMNS} columns`, () => {
		expect(docs.flatMap(longLines)).toEqual([])
	})
})

test(`src/, test/, bench/ and examples/ have lines of at most ${COLUMNS} columns`, () => {
	const code = documents(/^(?:src|test|bench|examples)\/.*\.(?:ts|mjs)$/)
	expect(code.flatMap(longLinesOfCode)).toEqual([])
})

test(`comments of src/ and test/ have at most ${ODD_MAX} odd phrases per 1,000 words`, () => {
	const comments = documents(/^(?:src|test)\/.*\.ts$/).map(({ path, text }) => ({
		path,
		text: commentsOf(text),
	}))
	const odd = oddPhrases(comments)
	expect((1000 * odd.length) / wordsIn(comments), odd.join('\n')).toBeLessThanOrEqual(ODD_MAX)
})
