/** What changed between two states: as data, and as a text for people. */
import microdiff from 'microdiff'
import { toJson } from '../codec/json-dialect.ts'

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

/** The changes that make one state of another, in the order of their keys; none where they are equal. */
export function diffStates(from: unknown, to: unknown): StateChange[] {
	const changes = microdiff({ state: comparable(from) }, { state: comparable(to) }, { cyclesFix: false })
	return changes.map(({ type, path: [, ...path] }) => ({
		type: TYPES[type],
		path,
		from: at(from, path),
		to: at(to, path),
	}))
}

/** A line a change: `~ cart.items[0]: 1 -> 2`. Control characters are escaped. */
export function formatChanges(changes: readonly StateChange[]): string {
	return changes
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

/** Bytes as one value, where a comparison would go through them one by one. */
function comparable(value: unknown): unknown {
	if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString('base64')}`
	if (typeof value !== 'object' || value === null || value instanceof Date) return value
	if (Array.isArray(value)) return value.map(comparable)
	return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, comparable(field)]))
}

function at(state: unknown, path: readonly (string | number)[]): unknown {
	let value: unknown = state
	for (const key of path) {
		if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
		value = (value as Readonly<Record<string | number, unknown>>)[key]
	}
	return value
}
