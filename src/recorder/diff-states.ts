/** Finds the differences between two states, and formats them as text. */
import microdiff from 'microdiff'
import { canonicalState } from '../codec/canonical.ts'
import { toJson } from '../codec/json-dialect.ts'
import { invalidOption } from '../model/check.ts'

/** One difference between two states. */
export interface StateChange {
	/** Type of the change. */
	readonly type: 'added' | 'removed' | 'changed'
	/** Keys and array indexes from the root to the value; empty for the state itself. */
	readonly path: readonly (string | number)[]
	/** Value in the first state; undefined if the value was added. */
	readonly from: unknown
	/** Value in the second state; undefined if the value was removed. */
	readonly to: unknown
}

const TYPES = { CREATE: 'added', REMOVE: 'removed', CHANGE: 'changed' } as const
const SIGNS = { added: '+', removed: '-', changed: '~' } as const

/**
 * Returns the changes from one state to another, in the order of their keys. Returns an empty array for equal
 * states. States are compared in canonical form, as a chain stores them, but without a limit on their size. A
 * Map is compared as an object, a Set as an array, and an Error as its fields. Functions, cycles and values
 * deeper than 256 levels are compared as markers.
 */
export function diffStates(from: unknown, to: unknown): StateChange[] {
	return diffCanonical(canonicalState(from), canonicalState(to))
}

function diffCanonical(from: unknown, to: unknown): StateChange[] {
	const leaves = new Map<string, symbol>()
	const states = [{ state: comparable(from, leaves) }, { state: comparable(to, leaves) }] as const
	const changes = microdiff(...states, { cyclesFix: false })
	return changes.map(({ type, path: [, ...path] }) => ({
		type: TYPES[type],
		path,
		from: at(from, path),
		to: at(to, path),
	}))
}

/**
 * Formats changes as text, with one line per change, such as `~ cart.items[0]: 1 -> 2`. Control characters
 * are escaped.
 *
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export function formatChanges(changes: readonly StateChange[]): string {
	if (!Array.isArray(changes)) throw invalidOption('changes', changes, 'an array from diffStates(a, b)')
	return (changes as readonly StateChange[])
		.map((change) => `${SIGNS[change.type]} ${pathText(change.path)}: ${valueText(change)}\n`)
		.join('')
}

function valueText({ type, from, to }: StateChange): string {
	if (type === 'added') return toJson(to)
	return type === 'removed' ? toJson(from) : `${toJson(from)} -> ${toJson(to)}`
}

function pathText(path: readonly (string | number)[]): string {
	const text = path
		.map((key) => {
			if (typeof key === 'number') return `[${key}]`
			return /^[\p{L}_$][\p{L}\d_$]*$/u.test(key) ? `.${key}` : `[${toJson(key)}]`
		})
		.join('')
	return text === '' ? '(state)' : text.replace(/^\./, '')
}

/**
 * Prepares a state for microdiff. Equal dates become the same symbol, as do equal byte arrays. Objects lose
 * their prototypes.
 */
function comparable(value: unknown, leaves: Map<string, symbol>): unknown {
	if (value instanceof Uint8Array) return leaf(`bytes ${Buffer.from(value).toString('base64')}`, leaves)
	if (value instanceof Date) return leaf(`date ${value.getTime()}`, leaves)
	if (typeof value !== 'object' || value === null) return value
	if (Array.isArray(value)) return value.map((item) => comparable(item, leaves))
	const fields: Record<string, unknown> = Object.create(null)
	for (const [key, field] of Object.entries(value)) {
		fields[key] = comparable(field, leaves)
	}
	return fields
}

function leaf(text: string, leaves: Map<string, symbol>): symbol {
	const known = leaves.get(text) ?? Symbol(text)
	leaves.set(text, known)
	return known
}

function at(state: unknown, path: readonly (string | number)[]): unknown {
	let value: unknown = state
	for (const key of path) {
		if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
		value = (value as Readonly<Record<string | number, unknown>>)[key]
	}
	return value
}
