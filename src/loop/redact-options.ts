/** The option `redact` of a loop. */
import { attempt, isList } from '../guard/values.ts'
import { checkBoolean, checkIsObject, invalidOption, readOptions } from '../model/check.ts'
import { MeshChainError } from '../model/errors.ts'
import { NAME_LENGTH_MAX } from '../model/limits.ts'
import { toWellFormed } from '../text/well-formed.ts'
import { type PathStep, parsePath } from './redact-path.ts'

/**
 * Function that returns the replacement for a selected value: a string, a number, a boolean, a bigint or
 * null. `path` contains the keys and indexes that lead to the value. If the function throws or returns
 * anything else, the value is replaced by `'[redacted]'`, and the failure is counted as a `hookErrors`.
 */
export type Censor = (value: unknown, path: readonly (string | number)[]) => unknown

/** Options for redaction: which values are never recorded. */
export interface RedactOptions {
	/**
	 * Paths of the values to redact, in canonical data. A path consists of keys, such as
	 * `req.headers.authorization`. Keys with other characters are quoted: `headers["x.key"]`. `*` or `[*]`
	 * stands for any key and any element, `[0]` for one element, and `**` for any number of levels, as in
	 * `**.password`. Upper and lower case are equal.
	 */
	readonly paths: readonly string[]
	/** Replacement for a selected value, or a function that returns it. Default: `'[redacted]'`. */
	readonly censor?: string | Censor | undefined
	/** Whether to remove selected fields instead of replacing them. Elements become null. Default: false. */
	readonly remove?: boolean | undefined
}

/** The option `redact` in its full form. */
export interface ResolvedRedactOptions {
	readonly paths: readonly (readonly PathStep[])[]
	readonly text: string
	readonly censor: Censor | undefined
	readonly remove: boolean
}

const CENSOR_DEFAULT = '[redacted]'

/**
 * Checks the option `redact`. Returns undefined if no path is given.
 *
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export function resolveRedact(name: string, given: unknown): ResolvedRedactOptions | undefined {
	if (isList(given)) return resolve({ paths: given })
	if (typeof given !== 'object' || given === null) {
		throw invalidOption(name, given, "a list of paths, such as ['*.password'], or { paths }")
	}
	checkIsObject(name, given)
	return resolve(readOptions(given, ['paths', 'censor', 'remove']))
}

function resolve(given: Readonly<Record<string, unknown>>): ResolvedRedactOptions | undefined {
	const { paths, censor, remove } = given
	const listed = isList(paths) ? attempt<unknown[] | undefined>(() => [...paths], undefined) : undefined
	if (listed === undefined) throw invalidOption('paths of redact', paths, 'a list of paths')
	const parsed = listed.map(parsePath)
	const text = typeof censor === 'string' ? checkCensorText(censor) : CENSOR_DEFAULT
	if (censor !== undefined && typeof censor !== 'string' && typeof censor !== 'function') {
		throw invalidOption('censor of redact', censor, 'a text or a function')
	}
	const isRemoving = remove === undefined ? false : checkBoolean('remove of redact', remove)
	if (isRemoving && censor !== undefined) {
		throw new MeshChainError('INVALID_OPTION', 'redact has both censor and remove; give only one of them')
	}
	if (parsed.length === 0) return undefined
	return {
		paths: parsed,
		text,
		censor: typeof censor === 'function' ? (censor as Censor) : undefined,
		remove: isRemoving,
	}
}

function checkCensorText(text: string): string {
	if (text.length <= NAME_LENGTH_MAX) return toWellFormed(text)
	throw invalidOption('censor of redact', text, `at most ${NAME_LENGTH_MAX} characters`)
}
