/** Parses the paths of the option `redact`, and refuses texts that are not paths. */
import { show } from '../guard/show.ts'
import { MeshChainError } from '../model/errors.ts'

/** One step of a path: a key or the index of an element, any key or element, or any number of levels. */
export type PathStep = string | typeof ANY | typeof ANY_DEPTH

/** `*` or `[*]`: every key of an object, and every element of an array. */
export const ANY = Symbol('*')
/** `**`: this level and every level below it. */
export const ANY_DEPTH = Symbol('**')

/** A key without quotes, `*` or `**`. */
const BARE = /[^\s.[\]"'`]+/y
/** A key in brackets: an index, `*`, or a quoted key. */
const BRACKETS = /\[(?:(\d+|\*)|"([^"]+)"|'([^']+)'|`([^`]+)`)\]/y

/**
 * Returns the steps of a path such as `req.headers["x-api-key"]`, `items[*].token` or `**.password`.
 *
 * @throws {MeshChainError} `INVALID_OPTION`, with the path and the place of the fault.
 */
export function parsePath(path: unknown): readonly PathStep[] {
	if (typeof path !== 'string') throw notAPath(path, 'it must be a string')
	const steps: PathStep[] = []
	let at = 0
	do {
		const step = stepAt(path, at, steps.length === 0)
		steps.push(step.step)
		at = step.end
	} while (at < path.length)
	if (steps.at(-1) === ANY_DEPTH) throw notAPath(path, 'a key must follow **')
	return steps
}

function stepAt(
	path: string,
	at: number,
	isFirst: boolean,
): { readonly step: PathStep; readonly end: number } {
	if (path[at] === '[') {
		const found = matchAt(BRACKETS, path, at)
		if (found === undefined) throw notAPath(path, `${where(at)} must be [*], [0] or ["key"]`)
		const [text, plain, ...quoted] = found
		return { step: plain === '*' ? ANY : (plain ?? quoted.join('')), end: at + text.length }
	}
	if (!isFirst && path[at] !== '.') throw notAPath(path, `${where(at)} must be . or [`)
	const start = isFirst ? at : at + 1
	const [key] = matchAt(BARE, path, start) ?? []
	if (key === undefined) throw notAPath(path, `a key is missing at character ${start + 1}`)
	const end = start + key.length
	if (key === '*') return { step: ANY, end }
	if (key === '**') return { step: ANY_DEPTH, end }
	if (key.includes('*')) throw notAPath(path, `* stands for a whole key; quote the key: ["${key}"]`)
	return { step: key, end }
}

function matchAt(pattern: RegExp, path: string, at: number): RegExpExecArray | undefined {
	pattern.lastIndex = at
	return pattern.exec(path) ?? undefined
}

function where(at: number): string {
	return `character ${at + 1}`
}

function notAPath(path: unknown, why: string): MeshChainError {
	return new MeshChainError('INVALID_OPTION', `redact contains ${show(path)}, which is not a path: ${why}`)
}
