/**
 * Builds the objects of canonical copies from their copied fields, and counts the bytes of everything copied.
 * Objects whose keys occur often are created by generated functions, because V8 creates an object from a
 * literal much faster than key by key.
 */
import { isWellFormed, toWellFormed } from '../text/well-formed.ts'
import { beginCopy, leaveShape, nextPlace, type ObjectShape, objectShapes } from './object-shapes.ts'
import { Shape } from './shapes.ts'

/** Maximum number of bytes before the content of a value: the lead byte and the size. */
export const HEAD_BYTES = 5
export const BYTES_PER_UNIT_MAX = 3
/** The copy of every object without fields. */
export const NO_FIELDS: object = Object.freeze({})

/** Length below which the size of a string is estimated from its length. */
const ESTIMATE_LENGTH = 64
/** Maximum length of the list of copied fields at the start of a copy. A longer list is emptied. */
const VALUES_KEPT_MAX = 256

/** The replacement for a value, or for fields, that cannot be stored, with the reason. */
export interface Marker {
	readonly $unserializable: string
}

/** The keys that an unfinished object has so far. */
export type FieldsSoFar = ObjectShape

/**
 * Stands for the keys of an unfinished object that is created key by key. Its only value in the list is the
 * object itself.
 */
const KEY_BY_KEY: FieldsSoFar = new Shape(0, '', new Shape())

export class ObjectBuilder {
	/** Upper bound on the MessagePack size of everything copied so far, in bytes. */
	bytes = 0
	/** Number of strings and keys in which lone surrogates were replaced. */
	replaced = 0
	/** The copied fields of the unfinished objects, outermost object first. */
	readonly #values: unknown[] = []
	/** Number of values that belong to unfinished objects. Later values in the list are unused. */
	#held = 0
	/** Last number that was appended to a key to rename it. */
	#renamed = 1

	/** Prepares for another copy. */
	reset(): void {
		beginCopy()
		this.bytes = 0
		this.replaced = 0
		this.#renamed = 1
		if (this.#values.length > VALUES_KEPT_MAX) this.#values.length = 0
	}

	/** Number of copied fields that are held for unfinished objects. */
	get held(): number {
		return this.#held
	}

	/** Drops the fields of objects that will never be finished, until `held` fields remain. */
	drop(held: number): void {
		this.#held = held
	}

	/** The keys of a new object. */
	get noFields(): FieldsSoFar {
		return objectShapes.root
	}

	/** Begins an object. Returns its place, which {@link finish} needs. */
	begin(): number {
		this.bytes += HEAD_BYTES
		return nextPlace()
	}

	/**
	 * Adds one copied field to the innermost unfinished object. Returns the object's keys so far.
	 *
	 * @param source The object that is being copied. A renamed key never equals one of its keys.
	 */
	keep(fields: FieldsSoFar, key: string, value: unknown, source: object): FieldsSoFar {
		const next = fields === KEY_BY_KEY ? undefined : objectShapes.after(fields, key)
		if (next !== undefined) {
			this.bytes += HEAD_BYTES + key.length * BYTES_PER_UNIT_MAX
			this.#values[this.#held++] = value
			return next
		}
		const copy = this.#take(fields)
		copy[this.#nameOf(key, copy, source)] = value
		this.#values[this.#held++] = copy
		return KEY_BY_KEY
	}

	/**
	 * Finishes the innermost object and returns it, frozen.
	 *
	 * @param place The place from {@link begin}.
	 * @param marker Marker to add if fields are missing.
	 */
	finish(place: number, fields: FieldsSoFar, marker: Marker | undefined): object {
		const isKnown = marker === undefined && fields !== KEY_BY_KEY
		const object = isKnown ? this.#finishKnown(fields) : this.#finishAny(fields, marker)
		leaveShape(place, object, isKnown ? fields : undefined)
		return object
	}

	#finishKnown(fields: FieldsSoFar): object {
		if (fields.size === 0) return NO_FIELDS
		const functions = objectShapes.functionOf(fields)
		if (functions === undefined) return this.#finishAny(fields, undefined)
		this.#held -= fields.size
		return functions.create(this.#values, this.#held)
	}

	#finishAny(fields: FieldsSoFar, marker: Marker | undefined): object {
		return Object.freeze(Object.assign(this.#take(fields), marker))
	}

	/** Removes the fields of the innermost unfinished object from the list, and returns them as an object. */
	#take(fields: FieldsSoFar): Record<string, unknown> {
		this.#held -= fields.size
		if (fields === KEY_BY_KEY) return this.#values[this.#held] as Record<string, unknown>
		const copy: Record<string, unknown> = {}
		const { keys } = fields
		for (let index = 0; index < keys.length; index++) copy[keys[index]!] = this.#values[this.#held + index]
		return copy
	}

	/** Returns the unique name for a key in the copy. If the key cannot be stored, the name differs from it. */
	#nameOf(key: string, copy: object, source: object): string {
		const stored = this.#storable(key)
		const name = stored === key ? key : this.#freeName(stored, copy, source)
		const isShort = name.length < ESTIMATE_LENGTH
		this.bytes += HEAD_BYTES + (isShort ? name.length * BYTES_PER_UNIT_MAX : Buffer.byteLength(name))
		return name
	}

	/**
	 * Returns `name`, with a number appended if the source or the copy already has a field of that name. Each
	 * number is tried only once, even if many keys have the same name.
	 */
	#freeName(name: string, copy: object, source: object): string {
		let free = name
		while (Object.hasOwn(source, free) || Object.hasOwn(copy, free)) free = `${name}${++this.#renamed}`
		return free
	}

	/**
	 * Returns a key that readers accept. JavaScript readers of MessagePack do not create a key named
	 * `__proto__`.
	 */
	#storable(key: string): string {
		return key === '__proto__' ? '__proto_' : this.wellFormed(key)
	}

	/** Replaces lone surrogates, and counts the string if it contained any. */
	wellFormed(text: string): string {
		if (isWellFormed(text)) return text
		this.replaced++
		return toWellFormed(text)
	}
}
