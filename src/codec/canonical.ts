/**
 * Brings `data` into its one canonical form, by copy: what ring, listeners, appenders and chain hold is the same, and no later
 * mutation changes it. Never throws and never changes what it is given; what cannot be carried leaves a marker,
 * `{ $unserializable: reason }`, in its place. The table of types is in `docs/FORMAT.md`.
 */
import { types } from 'node:util'
import { hush } from '../guard/hush.ts'
import { errorNameOf, propertyOf } from '../guard/values.ts'
import { DATA_BYTES_MAX, DATA_DEPTH_MAX, STATE_DEPTH_MAX } from '../model/limits.ts'

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
/** Items that are asked of an iterator that is not the language's own, where no size ends it sooner: there may be no end to them. */
const ENTRIES_MAX = 2 ** 20
/** Iterators that have as many items as what they were made of. */
const FINITE: readonly unknown[] = [Map.prototype[Symbol.iterator], Set.prototype[Symbol.iterator]]

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
	/** Lists of items, and objects made of them, that are not all that there was. */
	#cut: WeakSet<object> | undefined
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
		if (this.#isFull(0)) return this.#marker('too large', value)
		if (depth >= this.#depthMax) return this.#marker('too deep', value)
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
		if (typeof toJson === 'object') hush(toJson)
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
		if (typeof entries === 'function' && ENTRY_LISTS.includes(tagOf(value) ?? ''))
			return this.#pairs(this.#entriesOf(value), depth)
		return undefined
	}

	/** Its own enumerable fields. What has none that are set, and is no plain object, keeps what it is elsewhere: it is no empty one. */
	#anyFields(value: object, depth: number): unknown {
		const keys = Object.keys(value)
		const fields = keys.length === 0 ? undefined : this.#named(value, keys, depth)
		if (fields !== undefined && (Object.getPrototypeOf(value) === Object.prototype || hasAny(fields)))
			return fields
		if (isPlain(value)) return fields ?? this.#named(value, keys, depth)
		const entries = propertyOf(value, 'entries')
		const iterator = propertyOf(value, Symbol.iterator)
		if (typeof entries === 'function' && entries === iterator) return this.#entries(value, depth)
		return this.#marker(`no fields: ${classOf(value)}`)
	}

	/**
	 * The items of what iterates, as far as they can fit: what is copied of them is full no later than that. So the work has a bound, however many
	 * there are.
	 *
	 * @param bytesOf no more than what the copy of an item takes.
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

	#entriesOf(source: object): readonly (readonly [unknown, unknown])[] {
		return this.#itemsOf(source, entryOf, leastBytesOfEntry)
	}

	/** What a class iterates over as a Map does. It may have no end, and then the first of its entries say nothing. */
	#entries(source: object, depth: number): unknown {
		const entries = this.#entriesOf(source)
		return this.#cut?.has(entries) ? this.#marker('too large') : this.#pairs(entries, depth)
	}

	#array(source: readonly unknown[], depth: number): unknown {
		this.bytes += HEAD_BYTES
		const copy: unknown[] = []
		const { length: given } = source
		// That of a proxy may be anything.
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

	#fields(source: object, depth: number): unknown {
		return this.#named(source, Object.keys(source), depth)
	}

	#named(source: object, keys: readonly string[], depth: number): object {
		this.bytes += HEAD_BYTES
		const copy: Record<string, unknown> = {}
		let isCut = this.#cut?.has(source) ?? false
		for (const key of keys) {
			if (this.#isFull(key.length)) {
				isCut = true
				break
			}
			this.#field(copy, key, source, depth)
		}
		if (isCut) {
			copy['$unserializable'] = 'too large'
			this.markers++
			this.bytes += MARKER_BYTES
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

	/** A plain object where all keys are different texts, and a list of pairs otherwise. */
	#pairs(entries: readonly (readonly [unknown, unknown])[], depth: number): unknown {
		// Not an object literal: a key may be `__proto__`.
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

	/** @param left what the marker stands for: nobody else looks at it. */
	#marker(reason: string, left?: unknown): unknown {
		hush(left)
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
	return toWellFormed(errorNameOf(thrown).slice(0, 40))
}

/** No more than what a copy takes. */
function leastBytes(value: unknown): number {
	if (typeof value === 'string') return Math.min(HEAD_BYTES + value.length, MARKER_BYTES)
	return typeof value === 'number' ? SCALAR_BYTES : 1
}

function entryOf(item: unknown): readonly [unknown, unknown] {
	const [key, value] = item as readonly unknown[]
	return [key, value]
}

function leastBytesOfEntry([key, value]: readonly [unknown, unknown]): number {
	return leastBytes(key) + leastBytes(value)
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
	const tag = propertyOf(value, Symbol.toStringTag)
	return typeof tag === 'string' ? tag : undefined
}

function classOf(value: object): string {
	const named = propertyOf(propertyOf(value, 'constructor'), 'name')
	const isName = typeof named === 'string' && named !== '' && named !== 'Object'
	return toWellFormed((isName ? named : (tagOf(value) ?? 'Object')).slice(0, 40))
}
