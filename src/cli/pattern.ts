/**
 * Compiles patterns that users type. Records can come from untrusted sources, so a search must take linear
 * time for every pattern. RE2, which never backtracks, matches patterns with repetition. RegExp matches all
 * other patterns, because it is many times faster and cannot backtrack far without repetition.
 */
import { RE2JS } from 're2js'
import { messageOf } from '../model/errors.ts'
import { ignoresCase, type TextPattern } from '../model/filter.ts'
import { usage } from './command.ts'

/**
 * Maximum number of choices in a pattern. Each choice can double the number of ways to match at one position.
 */
const CHOICES_MAX = 8
const REFERENCE = /\\(?:[1-9]|k<)/

/**
 * Compiles a regular expression, which is case-insensitive unless it contains a capital letter.
 *
 * @throws {MeshChainError} `INVALID_USAGE` if the expression is invalid, or if it contains lookaround or a
 * backreference.
 */
export function patternOf(option: string, text: string): TextPattern {
	const ignoring = ignoresCase(text)
	let native: RegExp
	try {
		native = new RegExp(text, ignoring ? 'i' : '')
	} catch (error) {
		throw usage(`--${option} is not a valid regular expression: ${messageOf(error)}`)
	}
	if (isHarmless(text)) return native
	try {
		if (REFERENCE.test(withoutPairs(text))) throw new Error('a backreference')
		return RE2JS.compile(RE2JS.translateRegExp(text), ignoring ? RE2JS.CASE_INSENSITIVE : 0)
	} catch (error) {
		const why = 'lookaround and backreferences are not supported because a search must take linear time'
		throw usage(`--${option} is not supported: ${messageOf(error)}; ${why}`)
	}
}

/**
 * Returns whether a pattern can match in only a few ways at each position, each of limited length. Such a
 * pattern contains no repetition, backreference or lookaround.
 */
function isHarmless(pattern: string): boolean {
	if (REFERENCE.test(withoutPairs(pattern))) return false
	const bare = pattern.replaceAll(/\\./gs, 'x').replaceAll(/\[[^\]]*\]/g, 'x')
	const choices = bare.match(/[?|]/g)?.length ?? 0
	return !/[*+{]|\(\?(?!:)/.test(bare) && choices <= CHOICES_MAX
}

/** Returns the pattern with an `x` in place of each escaped backslash. */
function withoutPairs(pattern: string): string {
	return pattern.replaceAll('\\\\', 'x')
}
