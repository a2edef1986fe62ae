/**
 * Patterns that people type. Records come from anywhere, so a search takes time linear in their text, whatever the pattern: one that repeats
 * anything is matched by RE2, which never backtracks. A RegExp matches the rest, for it is many times as fast and cannot backtrack far then.
 */
import { RE2JS } from 're2js'
import { messageOf } from '../model/errors.ts'
import { ignoresCase, type TextPattern } from '../model/filter.ts'
import { usage } from './command.ts'

/** Each may double the ways to match from one place on. */
const CHOICES_MAX = 8
const REFERENCE = /\\(?:[1-9]|k<)/

/**
 * A regular expression; without a capital in it, it finds both cases.
 *
 * @throws {MeshChainError} `INVALID_USAGE` for one that is none, or looks around or back.
 */
export function patternOf(option: string, text: string): TextPattern {
	const ignoring = ignoresCase(text)
	let native: RegExp
	try {
		native = new RegExp(text, ignoring ? 'i' : '')
	} catch (error) {
		throw usage(`--${option} is no regular expression: ${messageOf(error)}`)
	}
	if (isHarmless(text)) return native
	try {
		if (REFERENCE.test(withoutPairs(text))) throw new Error('a reference back')
		return RE2JS.compile(RE2JS.translateRegExp(text), ignoring ? RE2JS.CASE_INSENSITIVE : 0)
	} catch (error) {
		const why = 'a search takes linear time, so it cannot look ahead or behind, nor refer back'
		throw usage(`--${option} cannot be searched for: ${messageOf(error)}; ${why}`)
	}
}

/** Without repetition, reference or lookaround, and with few choices: from each place there are few ways to match, each of bounded length. */
function isHarmless(pattern: string): boolean {
	if (REFERENCE.test(withoutPairs(pattern))) return false
	const bare = pattern.replaceAll(/\\./gs, 'x').replaceAll(/\[[^\]]*\]/g, 'x')
	const choices = bare.match(/[?|]/g)?.length ?? 0
	return !/[*+{]|\(\?(?!:)/.test(bare) && choices <= CHOICES_MAX
}

/** Without backslashes that stand for themselves. */
function withoutPairs(pattern: string): string {
	return pattern.replaceAll('\\\\', 'x')
}
