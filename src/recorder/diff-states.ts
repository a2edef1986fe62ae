/** What changed between two states: as data, and as a text for people. */
import microdiff from 'microdiff'
import { canonicalState } from '../codec/canonical.ts'
import { toJson } from '../codec/json-dialect.ts'
import { invalidOption } from '../model/check.ts'

export interface StateChange {
	readonly type: 'added' | 'removed' | 'changed'
	/** Keys and array slots from the outside in; empty for the state itself. */
	readonly path: readonly (string | number)[]
	/** Undefined where it was added. */
	readonly from: unknown
	/** Undefined where it was removed. */
	readonly to: unknown
}

const TYPES = { CREATE: 'added', REMOVE: 'removed', CHANGE: 'changed' } as const
const SIGNS = { added: '+', removed: '-', changed: '~' } as const

/**
 * The changes that make one state of another, in the order of their keys; none where they are equal. States are compared as a chain would
 * hold them, in canonical form but for the bound on their size: a Map as an object, a Set as an array, an Error as its fields, and a marker
 * for a function, for a value inside itself and for what is deeper than 256.
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
 * A line a change: `~ cart.items[0]: 1 -> 2`. Control characters are escaped.
 *
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export function formatChanges(changes: readonly StateChange[]): string {
	if (!Array.isArray(changes)) throw invalidOption('changes', changes, 'those that diffStates(a, b) gives')
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

/** A canonical state as microdiff compares it rightly: dates and bytes are one value each, equal to nothing else; a map has no keys but its own. */
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
