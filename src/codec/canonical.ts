/**
 * Copies `data` into canonical form. The ring, the listeners, the appenders and the chain all use the same
 * copy. Later changes to the input do not affect this copy. Never throws, and never changes its input. A
 * value that cannot be stored is replaced by a marker, `{ $unserializable: reason }`. `docs/FORMAT.md` lists
 * the types.
 */
import { types } from 'node:util'
import { hush } from '../guard/hush.ts'
import { propertyOf } from '../guard/values.ts'
import { DATA_BYTES_MAX, DATA_DEPTH_MAX, STATE_DEPTH_MAX } from '../model/limits.ts'
import { BYTES_PER_UNIT_MAX, HEAD_BYTES, type Marker, NO_FIELDS, ObjectBuilder } from './object-builder.ts'
import { classOf, hasAny, isPlain, nameOf, tagOf } from './object-class.ts'
import {
	errorParts,
	isCredential,
	isTransport,
	WITHHELD,
	webFormOf,
	withoutCredentials,
} from './web-object.ts'

/**
 * The reasons in markers. The name of the thrown value follows `'threw'`, and the name of the class follows
 * `'no fields'`.
 */
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
	'withheld',
] as const

export interface Canonical {
	/**
	 * Canonical copy; undefined only if the input is undefined. It is frozen, except for dates and bytes, whose
	 * contents cannot be frozen.
	 */
	readonly value: unknown
	/** Upper bound on the MessagePack size of the copy, in bytes. */
	readonly bytes: number
	/** Number of markers in the copy. */
	readonly markers: number
	/** Number of strings and keys in which lone surrogates were replaced. */
	readonly replaced: number
}

const NOTHING: Canonical = Object.freeze({ value: undefined, bytes: 0, markers: 0, replaced: 0 })

/** Fields of an error that are copied even if they are not enumerable. */
const ERROR_FIELDS: readonly string[] = ['name', 'message', 'stack', 'cause', 'errors']

/**
 * Classes that store entries in a list, in which a key can occur more than once. Additional fields of a
 * subclass are not copied.
 */
const ENTRY_LISTS: readonly string[] = ['Headers', 'URLSearchParams', 'FormData']
/**
 * Maximum number of items to request from an iterator that is not built in and therefore may never end. A
 * size limit may apply earlier.
 */
const ENTRIES_MAX = 2 ** 20
/** Built-in iterators, which always end because they yield only the items of a collection. */
const FINITE: readonly unknown[] = [Map.prototype[Symbol.iterator], Set.prototype[Symbol.iterator]]

const SCALAR_BYTES = 9
/** Size that is assumed for a marker. Only a marker with a long reason can be larger. */
const MARKER_BYTES = 64
/** Maximum size of a marker without the reason. */
const MARKER_HEAD_BYTES = 24
/** The copier that the next canonicalisation uses; undefined while it is in use. */
let idle: Copier | undefined

/** Returns the canonical copy of any value, with its size and counts. */
export function canonicalise(value: unknown): Canonical {
	if (value === undefined) return NOTHING
	const copier = idle ?? new Copier(DATA_BYTES_MAX, DATA_DEPTH_MAX)
	// A getter or `toJSON` may start another canonicalisation before this one ends.
	idle = undefined
	copier.reset()
	const copy = copier.copy(value, 0)
	idle = copier
	return { value: copy, bytes: copier.bytes, markers: copier.markers, replaced: copier.replaced }
}

/**
 * Returns the canonical copy of a state that is only inspected and not recorded. The copy may have any size.
 * Its depth is limited, so that recursion over it does not overflow the stack.
 */
export function canonicalState(state: unknown): unknown {
	return state === undefined
		? undefined
		: new Copier(Number.POSITIVE_INFINITY, STATE_DEPTH_MAX).copy(state, 0)
}

/** Returns the marker for a value that cannot be stored. */
export function marker(reason: string): Marker {
	return Object.freeze({ $unserializable: reason })
}

/** The state of one canonicalisation. */
class Copier extends ObjectBuilder {
	markers = 0
	/** The objects and arrays that contain the current value, outermost first. */
	readonly #path: object[] = []
	/** Incomplete lists of items, and objects that were created from them. */
	#cut: WeakSet<object> | undefined
	readonly #bytesMax: number
	readonly #depthMax: number

	constructor(bytesMax: number, depthMax: number) {
		super()
		this.#bytesMax = bytesMax
		this.#depthMax = depthMax
	}

	override reset(): void {
		super.reset()
		this.markers = 0
		this.#cut = undefined
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
				return this.#marker(value === WITHHELD ? 'withheld' : typeof value)
			default:
				if (value === null) {
					this.bytes += 1
					return null
				}
				return this.#object(value as object, depth)
		}
	}

	#object(value: object, depth: number): unknown {
		if (this.#isFull(0)) return this.#marker('too large', value)
		if (depth >= this.#depthMax) return this.#marker('too deep', value)
		if (this.#path.includes(value)) return this.#marker('cycle')
		this.#path.push(value)
		const { bytes, markers } = this
		const { held } = this
		try {
			return this.#container(value, depth)
		} catch (thrown) {
			this.drop(held)
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
		if (typeof toJson === 'object') hush(toJson)
		// If the result of toJSON has a toJSON method, that method is not called, because such calls could
		// continue indefinitely.
		if (typeof toJson === 'function') return this.#answer(toJson.call(value, ''), value, depth)
		return this.#anyFields(value, prototype, depth)
	}

	#answer(given: unknown, asked: object, depth: number): unknown {
		const answer = withoutCredentials(given, asked)
		if (answer === asked) return this.#anyFields(asked, Object.getPrototypeOf(asked), depth)
		if (typeof answer !== 'object' || answer === null) return this.copy(answer, depth)
		if (this.#path.includes(answer)) return this.#marker('cycle')
		if (Array.isArray(answer)) return this.#array(answer, depth)
		return this.#knownType(answer, depth) ?? this.#anyFields(answer, Object.getPrototypeOf(answer), depth)
	}

	/** Copies a value whose built-in type has its own canonical form. Returns undefined for any other value. */
	#knownType(value: object, depth: number): unknown {
		if (types.isNativeError(value) || value instanceof Error) return this.#error(value as Error, depth)
		if (types.isDate(value)) return this.#date(value)
		if (types.isAnyArrayBuffer(value)) return this.#copyBytes(new Uint8Array(value))
		if (ArrayBuffer.isView(value)) return this.#view(value, depth)
		if (types.isMap(value)) return this.#pairs(this.#entriesOf(value), depth)
		if (types.isSet(value))
			return this.#array(
				this.#itemsOf(value, (item) => item, leastBytes),
				depth,
			)
		if (types.isRegExp(value)) return this.#text(String(value))
		if (types.isBoxedPrimitive(value)) return this.copy(value.valueOf(), depth)
		if (types.isPromise(value) || types.isWeakMap(value) || types.isWeakSet(value))
			return this.#marker('not data', value)
		if (types.isGeneratorObject(value) || value instanceof WeakRef) return this.#marker('not data')
		const entries = propertyOf(value, 'entries')
		if (typeof entries === 'function') {
			const tag = tagOf(value) ?? ''
			if (tag === 'Headers') return this.#pairs(this.#entriesOf(value, headerOf), depth)
			if (ENTRY_LISTS.includes(tag)) return this.#pairs(this.#entriesOf(value), depth)
		}
		const form = webFormOf(value)
		if (form !== undefined) return this.#fields(form, depth)
		return isTransport(value) ? this.#marker('not data') : undefined
	}

	/**
	 * Copies the own enumerable fields. If an object has no such fields and is not a plain object, its state is
	 * stored elsewhere. In that case, the entries of an object that iterates like a Map are copied. Any other
	 * object becomes a marker instead of an empty object.
	 */
	#anyFields(value: object, prototype: unknown, depth: number): unknown {
		if (prototype === Object.prototype) {
			const fields = this.#fields(value, depth)
			// `Math` and similar objects have no fields, but are not empty.
			if (fields !== NO_FIELDS || Object.keys(value).length > 0 || isPlain(value)) return fields
		} else {
			const keys = Object.keys(value)
			const fields = keys.length === 0 ? undefined : this.#listed(value, keys, depth)
			if (fields !== undefined && hasAny(fields)) return fields
			if (isPlain(value)) return fields ?? this.#listed(value, keys, depth)
		}
		const entries = propertyOf(value, 'entries')
		const iterator = propertyOf(value, Symbol.iterator)
		if (typeof entries === 'function' && entries === iterator) return this.#entries(value, depth)
		return this.#marker(`no fields: ${classOf(value)}`)
	}

	/**
	 * Returns as many items of an iterable as fit into the copy. Stops when the copy is full, so that the work
	 * is bounded even for an endless iterable.
	 *
	 * @param bytesOf Function that returns a lower bound on the size of an item's copy.
	 */
	#itemsOf<T>(source: object, read: (item: unknown) => T, bytesOf: (item: T) => number): readonly T[] {
		const items: T[] = []
		const hasEnd = FINITE.includes(propertyOf(source, Symbol.iterator))
		const max = hasEnd ? Number.POSITIVE_INFINITY : ENTRIES_MAX
		let left = this.#bytesMax - this.bytes
		for (const given of source as Iterable<unknown>) {
			if (left < 0 || items.length === max) {
				this.#cut ??= new WeakSet()
				this.#cut.add(items)
				break
			}
			const item = read(given)
			items.push(item)
			left -= bytesOf(item)
		}
		return items
	}

	#entriesOf(source: object, read = entryOf): readonly (readonly [unknown, unknown])[] {
		return this.#itemsOf(source, read, leastBytesOfEntry)
	}

	/**
	 * Copies the entries of an object that iterates like a Map. An incomplete list of entries becomes a marker,
	 * because the first entries of an endless iteration are meaningless.
	 */
	#entries(source: object, depth: number): unknown {
		const entries = this.#entriesOf(source)
		return this.#cut?.has(entries) ? this.#marker('too large') : this.#pairs(entries, depth)
	}

	#array(source: readonly unknown[], depth: number): unknown {
		this.bytes += HEAD_BYTES
		const copy: unknown[] = []
		const { length: given } = source
		// A proxy may report any value as its length.
		const length = typeof given === 'number' ? given : 0
		hush(given)
		let isCut = this.#cut?.has(source) ?? false
		for (let index = 0; index < length; index++) {
			if (this.#isFull(0)) {
				isCut = true
				break
			}
			copy.push(this.#safely(source, index, depth))
		}
		if (isCut) copy.push(this.#marker('too large'))
		return Object.freeze(copy)
	}

	/**
	 * Copies the own enumerable fields of an object. Use it only for plain objects: a for-in loop is the
	 * fastest way to read their fields, but it also searches all prototypes of other objects.
	 */
	#fields(source: object, depth: number): object {
		const place = this.begin()
		let fields = this.noFields
		let isCut = this.#cut?.has(source) ?? false
		for (const key in source) {
			// V8 optimises away this call, but not a call to `Object.hasOwn`.
			// biome-ignore lint/suspicious/noPrototypeBuiltins: see above
			if (!Object.prototype.hasOwnProperty.call(source, key)) continue
			if (this.#isFull(key.length)) {
				isCut = true
				break
			}
			let value: unknown
			let marked: unknown
			try {
				value = (source as Record<string, unknown>)[key]
			} catch (thrown) {
				marked = this.#marker(`threw ${nameOf(thrown)}`)
			}
			if (value !== undefined) fields = this.keep(fields, key, this.copy(value, depth + 1), source)
			else if (marked !== undefined) fields = this.keep(fields, key, marked, source)
		}
		return this.finish(place, fields, isCut ? this.#marker('too large') : undefined)
	}

	/** Copies the fields with the given keys from an object. */
	#listed(source: object, keys: readonly string[], depth: number): object {
		const place = this.begin()
		let fields = this.noFields
		let isCut = false
		for (const key of keys) {
			if (this.#isFull(key.length)) {
				isCut = true
				break
			}
			const value = this.#safely(source, key, depth, true)
			if (value !== undefined) fields = this.keep(fields, key, value, source)
		}
		return this.finish(place, fields, isCut ? this.#marker('too large') : undefined)
	}

	/**
	 * Copies one property. An error from its getter affects only this property. An undefined field is omitted,
	 * and an undefined element becomes null.
	 */
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
		const source = withParts(error, others)
		return this.#listed(source, [...fields, ...others], depth)
	}

	/**
	 * Copies entries as a plain object if their keys are distinct strings, and as `{ $map: entries }`
	 * otherwise.
	 */
	#pairs(entries: readonly (readonly [unknown, unknown])[], depth: number): unknown {
		// The object has no prototype, because a key may be `__proto__`.
		const named: Record<string, unknown> = Object.create(null)
		for (const [key, value] of entries) {
			if (typeof key !== 'string' || key in named) return this.#fields({ $map: entries }, depth)
			named[key] = value
		}
		if (this.#cut?.has(entries)) this.#cut.add(named)
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
		return this.wellFormed(text)
	}

	#isFull(bytes: number): boolean {
		return this.bytes + bytes > this.#bytesMax
	}

	/** @param left The replaced value. If it is a promise, nothing else handles its rejection. */
	#marker(reason: string, left?: unknown): Marker {
		hush(left)
		this.markers++
		this.bytes += Math.max(MARKER_BYTES, MARKER_HEAD_BYTES + Buffer.byteLength(reason))
		return marker(reason)
	}
}

/** Returns a lower bound on the size of a value's copy. */
function leastBytes(value: unknown): number {
	if (typeof value === 'string') return Math.min(HEAD_BYTES + value.length, MARKER_BYTES)
	return typeof value === 'number' ? SCALAR_BYTES : 1
}

function entryOf(item: unknown): readonly [unknown, unknown] {
	const [key, value] = item as readonly unknown[]
	return [key, value]
}

/** Returns an entry of headers. The value of a header that identifies a user is withheld. */
function headerOf(item: unknown): readonly [unknown, unknown] {
	const [name, value] = item as readonly unknown[]
	return [name, isCredential(name) ? WITHHELD : value]
}

/** Returns the fields of an error, in which the parts that may contain secrets are replaced. */
function withParts(error: Error, keys: readonly string[]): object {
	const parts = errorParts(error, keys)
	if (parts === undefined) return error
	const shown = Object.create(null)
	for (const key of [...ERROR_FIELDS, ...keys]) {
		const get = () => (error as unknown as Record<string, unknown>)[key]
		Object.defineProperty(shown, key, parts.has(key) ? { value: parts.get(key) } : { get })
	}
	return shown
}

function leastBytesOfEntry([key, value]: readonly [unknown, unknown]): number {
	return leastBytes(key) + leastBytes(value)
}
