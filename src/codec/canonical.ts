/**
 * Brings `data` into its one canonical form, by copy: what ring, listeners, appenders and chain hold is the same, and no later
 * mutation changes it. Never throws and never changes what it is given; what cannot be carried leaves a marker,
 * `{ $unserializable: reason }`, in its place. The table of types is in `docs/FORMAT.md`.
 */
import { types } from 'node:util'
import { DATA_BYTES_MAX, DATA_DEPTH_MAX, STATE_DEPTH_MAX } from '../limits.ts'

/** The reasons a marker gives; `'threw'` is followed by the name of what was thrown, `'no fields: '` by that of the class. */
export const MARKER_REASONS = [
	'function',
	'symbol',
	'cycle',
	'too deep',
	'too large',
	'invalid date',
	'not data',
	'no fields',
	'threw',
] as const

export interface Canonical {
	/** Frozen but for dates and bytes, which cannot be; undefined only for undefined. */
	readonly value: unknown
	/** An upper bound of its size as MessagePack. */
	readonly bytes: number
	/** How many markers it holds. */
	readonly markers: number
	/** How many texts and keys had lone surrogates replaced. */
	readonly replaced: number
}

const NOTHING: Canonical = Object.freeze({ value: undefined, bytes: 0, markers: 0, replaced: 0 })

/** What an error says of itself, enumerable or not. */
const ERROR_FIELDS: readonly string[] = ['name', 'message', 'stack', 'cause', 'errors']

/** Classes whose instances are lists of entries, in which a key may be repeated. A subclass has fields beside them, which are not taken. */
const ENTRY_LISTS: readonly string[] = ['Headers', 'URLSearchParams', 'FormData']
/** Entries that are asked of a value that is no Map: there may be no end to them. */
const ENTRIES_MAX = 2 ** 20

/** Bytes that head any value: lead byte and size. */
const HEAD_BYTES = 5
const SCALAR_BYTES = 9
const BYTES_PER_UNIT_MAX = 3
/** What a marker takes; kept in reserve so that the last one always fits. */
const MARKER_BYTES = 64
/** Of these, what the reason does not take. */
const MARKER_HEAD_BYTES = 24

/** The canonical copy of any value, with what it took. */
export function canonicalise(value: unknown): Canonical {
	if (value === undefined) return NOTHING
	const copier = new Copier(DATA_BYTES_MAX, DATA_DEPTH_MAX)
	const copy = copier.copy(value, 0)
	return { value: copy, bytes: copier.bytes, markers: copier.markers, replaced: copier.replaced }
}

/** The same of a state, which is to be looked at and goes into no record: of any size, and so deep that no recursion over it overflows. */
export function canonicalState(state: unknown): unknown {
	return state === undefined
		? undefined
		: new Copier(Number.POSITIVE_INFINITY, STATE_DEPTH_MAX).copy(state, 0)
}

/** The marker that stands for what could not be carried. */
export function marker(reason: string): { readonly $unserializable: string } {
	return Object.freeze({ $unserializable: reason })
}

/** One canonicalisation. Getters and `toJSON` may start another meanwhile: nothing is shared between two. */
class Copier {
	bytes = 0
	markers = 0
	replaced = 0
	/** The containers we are inside of, outermost first. */
	readonly #path: object[] = []
	/** The last number that made a key another one. */
	#renamed = 1
	readonly #bytesMax: number
	readonly #depthMax: number

	constructor(bytesMax: number, depthMax: number) {
		this.#bytesMax = bytesMax
		this.#depthMax = depthMax
	}

	copy(value: unknown, depth: number): unknown {
		switch (typeof value) {
			case 'string':
				return this.#text(value)
			case 'number':
				this.bytes += SCALAR_BYTES
				return value === 0 ? 0 : value
			case 'boolean':
				this.bytes += 1
				return value
			case 'bigint':
				return this.#bigint(value)
			case 'undefined':
				this.bytes += 1
				return null
			case 'function':
			case 'symbol':
				return this.#marker(typeof value)
			default:
				if (value === null) {
					this.bytes += 1
					return null
				}
				return this.#object(value as object, depth)
		}
	}

	#object(value: object, depth: number): unknown {
		if (this.#isFull(0)) return this.#marker('too large')
		if (depth >= this.#depthMax) return this.#marker('too deep')
		if (this.#path.includes(value)) return this.#marker('cycle')
		this.#path.push(value)
		const { bytes, markers } = this
		try {
			return this.#container(value, depth)
		} catch (thrown) {
			this.bytes = Math.max(this.bytes, bytes)
			this.markers = markers
			return this.#marker(`threw ${nameOf(thrown)}`)
		} finally {
			this.#path.pop()
		}
	}

	#container(value: object, depth: number): unknown {
		if (Array.isArray(value)) return this.#array(value, depth)
		const prototype: unknown = Object.getPrototypeOf(value)
		if (prototype !== Object.prototype && prototype !== null) {
			const known = this.#knownType(value, depth)
			if (known !== undefined) return known
		}
		const toJson = (value as { toJSON?: unknown }).toJSON
		// What toJSON answers is taken as it is: it is not asked again, so it cannot answer for ever.
		if (typeof toJson === 'function') return this.#answer(toJson.call(value, ''), value, depth)
		return this.#anyFields(value, depth)
	}

	#answer(answer: unknown, asked: object, depth: number): unknown {
		if (answer === asked) return this.#anyFields(asked, depth)
		if (typeof answer !== 'object' || answer === null) return this.copy(answer, depth)
		if (this.#path.includes(answer)) return this.#marker('cycle')
		if (Array.isArray(answer)) return this.#array(answer, depth)
		return this.#knownType(answer, depth) ?? this.#anyFields(answer, depth)
	}

	/** The types of the language that have a form of their own; undefined for any other. */
	#knownType(value: object, depth: number): unknown {
		if (types.isNativeError(value) || value instanceof Error) return this.#error(value as Error, depth)
		if (types.isDate(value)) return this.#date(value)
		if (types.isAnyArrayBuffer(value)) return this.#copyBytes(new Uint8Array(value))
		if (ArrayBuffer.isView(value)) return this.#view(value, depth)
		if (types.isMap(value)) return this.#map(value, depth)
		if (types.isSet(value)) return this.#array([...value], depth)
		if (types.isRegExp(value)) return this.#text(String(value))
		if (types.isBoxedPrimitive(value)) return this.copy(value.valueOf(), depth)
		if (types.isPromise(value) || types.isWeakMap(value) || types.isWeakSet(value))
			return this.#marker('not data')
		if (types.isGeneratorObject(value) || value instanceof WeakRef) return this.#marker('not data')
		const { entries } = value as { entries?: unknown }
		if (typeof entries === 'function' && ENTRY_LISTS.includes(tagOf(value) ?? ''))
			return this.#entries(value, depth)
		return undefined
	}

	/** Its own enumerable fields. What has none that are set, and is no plain object, keeps what it is elsewhere: it is no empty one. */
	#anyFields(value: object, depth: number): unknown {
		const keys = Object.keys(value)
		const fields = keys.length === 0 ? undefined : this.#named(value, keys, depth)
		if (fields !== undefined && (Object.getPrototypeOf(value) === Object.prototype || hasAny(fields)))
			return fields
		if (isPlain(value)) return fields ?? this.#named(value, keys, depth)
		const { entries, [Symbol.iterator]: iterator } = value as {
			entries?: unknown
			[Symbol.iterator]?: unknown
		}
		if (typeof entries === 'function' && entries === iterator) return this.#entries(value, depth)
		return this.#marker(`no fields: ${classOf(value)}`)
	}

	/** What a class iterates over as a Map does. */
	#entries(source: object, depth: number): unknown {
		const entries: [unknown, unknown][] = []
		for (const entry of source as Iterable<unknown>) {
			if (entries.length === ENTRIES_MAX) return this.#marker('too large')
			const [key, value] = entry as readonly unknown[]
			entries.push([key, value])
		}
		return this.#pairs(entries, depth)
	}

	#array(source: readonly unknown[], depth: number): unknown {
		this.bytes += HEAD_BYTES
		const copy: unknown[] = []
		for (let index = 0; index < source.length; index++) {
			if (this.#isFull(0)) {
				copy.push(this.#marker('too large'))
				break
			}
			copy.push(this.#safely(source, index, depth))
		}
		return Object.freeze(copy)
	}

	#fields(source: object, depth: number): unknown {
		return this.#named(source, Object.keys(source), depth)
	}

	#named(source: object, keys: readonly string[], depth: number): object {
		this.bytes += HEAD_BYTES
		const copy: Record<string, unknown> = {}
		for (const key of keys) {
			if (this.#isFull(key.length)) {
				copy['$unserializable'] = 'too large'
				this.markers++
				this.bytes += MARKER_BYTES
				break
			}
			this.#field(copy, key, source, depth)
		}
		return Object.freeze(copy)
	}

	#field(copy: Record<string, unknown>, key: string, source: object, depth: number): void {
		const value = this.#safely(source, key, depth, true)
		if (value !== undefined) copy[this.#key(key, copy, source)] = value
	}

	/** One property, its getter's throw kept to itself. A property that is undefined is absent, an element is null. */
	#safely(source: object, key: string | number, depth: number, isField = false): unknown {
		let value: unknown
		try {
			value = (source as Record<string | number, unknown>)[key]
		} catch (thrown) {
			return this.#marker(`threw ${nameOf(thrown)}`)
		}
		return value === undefined && isField ? undefined : this.copy(value, depth + 1)
	}

	#error(error: Error, depth: number): unknown {
		const fields = ERROR_FIELDS.filter((key) => key in error)
		const others = Object.keys(error).filter((key) => !ERROR_FIELDS.includes(key))
		return this.#named(error, [...fields, ...others], depth)
	}

	#map(source: Map<unknown, unknown>, depth: number): unknown {
		return this.#pairs([...source], depth)
	}

	/** A plain object where all keys are different texts, and a list of pairs otherwise. */
	#pairs(entries: readonly (readonly [unknown, unknown])[], depth: number): unknown {
		// Not an object literal: a key may be `__proto__`.
		const named: Record<string, unknown> = Object.create(null)
		for (const [key, value] of entries) {
			if (typeof key !== 'string' || key in named) return this.#fields({ $map: entries }, depth)
			named[key] = value
		}
		return this.#fields(named, depth)
	}

	#view(view: ArrayBufferView, depth: number): unknown {
		if (types.isUint8Array(view) || types.isUint8ClampedArray(view) || types.isDataView(view)) {
			return this.#copyBytes(new Uint8Array(view.buffer, view.byteOffset, view.byteLength))
		}
		return this.#array(view as unknown as readonly unknown[], depth)
	}

	#copyBytes(source: Uint8Array): unknown {
		if (this.#isFull(source.length)) return this.#marker('too large')
		this.bytes += HEAD_BYTES + source.length
		return Uint8Array.from(source)
	}

	#date(date: Date): unknown {
		const ms = Date.prototype.getTime.call(date)
		if (Number.isNaN(ms)) return this.#marker('invalid date')
		this.bytes += 15
		return new Date(ms)
	}

	#bigint(value: bigint): unknown {
		if (value >= -(2n ** 63n) && value < 2n ** 64n) {
			this.bytes += SCALAR_BYTES
			return value
		}
		const size = Math.ceil(value.toString(16).length / 2) + 1
		if (this.#isFull(size)) return this.#marker('too large')
		this.bytes += HEAD_BYTES + 8 + size
		return value
	}

	#text(text: string): unknown {
		if (this.#isFull(text.length)) return this.#marker('too large')
		const size = this.#isFull(text.length * BYTES_PER_UNIT_MAX)
			? Buffer.byteLength(text)
			: text.length * BYTES_PER_UNIT_MAX
		if (this.#isFull(size)) return this.#marker('too large')
		this.bytes += HEAD_BYTES + (text.length < 64 ? size : Buffer.byteLength(text))
		return this.#wellFormed(text)
	}

	/** What a key is called in the copy: another name for one that cannot be carried as it is, and no two the same. */
	#key(key: string, copy: object, source: object): string {
		const carried = this.#carried(key)
		const name = carried === key ? key : this.#freeName(carried, copy, source)
		this.bytes += HEAD_BYTES + (name.length < 64 ? name.length * BYTES_PER_UNIT_MAX : Buffer.byteLength(name))
		return name
	}

	/** A name, numbered where a field of the source or of its copy has it already. No number is tried twice, however many keys are alike. */
	#freeName(name: string, copy: object, source: object): string {
		let free = name
		while (Object.hasOwn(source, free) || Object.hasOwn(copy, free)) free = `${name}${++this.#renamed}`
		return free
	}

	/** `__proto__` is what no reader of MessagePack in JavaScript will make a key. */
	#carried(key: string): string {
		return key === '__proto__' ? '__proto_' : this.#wellFormed(key)
	}

	#wellFormed(text: string): string {
		if (isWellFormed(text)) return text
		this.replaced++
		return toWellFormed(text)
	}

	#isFull(bytes: number): boolean {
		return this.bytes + bytes > this.#bytesMax
	}

	#marker(reason: string): unknown {
		this.markers++
		this.bytes += Math.max(MARKER_BYTES, MARKER_HEAD_BYTES + Buffer.byteLength(reason))
		return marker(reason)
	}
}

// Node has both since 20; the language's library types that we compile against do not.
interface WellFormedString {
	isWellFormed(): boolean
	toWellFormed(): string
}

/** Whether a text has no lone surrogates. */
export function isWellFormed(text: string): boolean {
	return (text as unknown as WellFormedString).isWellFormed()
}

/** A text with lone surrogates replaced by U+FFFD: what UTF-8 can carry. */
export function toWellFormed(text: string): string {
	return (text as unknown as WellFormedString).toWellFormed()
}

function nameOf(thrown: unknown): string {
	try {
		const name = thrown instanceof Error ? thrown.name : typeof thrown
		return toWellFormed(String(name).slice(0, 40))
	} catch {
		return 'something'
	}
}

function hasAny(fields: object): boolean {
	for (const _key in fields) return true
	return false
}

/** Whether an empty object of this kind is an object and no more: also one of another realm, or of a prototype that has nothing to give. */
function isPlain(value: object): boolean {
	const prototype: unknown = Object.getPrototypeOf(value)
	if (typeof prototype !== 'object' || prototype === null) return true
	if (Object.getPrototypeOf(prototype) !== null) return false
	const isRoot = Object.hasOwn(prototype, 'isPrototypeOf') || Reflect.ownKeys(prototype).length === 0
	// `Math` and the like have a name and nothing that can be listed.
	return isRoot && tagOf(value) === undefined
}

/** The name that `Object.prototype.toString` has for it, where its class gives one. */
function tagOf(value: object): string | undefined {
	const tag: unknown = (value as { [Symbol.toStringTag]?: unknown })[Symbol.toStringTag]
	return typeof tag === 'string' ? tag : undefined
}

function classOf(value: object): string {
	const named: unknown = value.constructor?.name
	const isName = typeof named === 'string' && named !== '' && named !== 'Object'
	return toWellFormed((isName ? named : (tagOf(value) ?? 'Object')).slice(0, 40))
}
