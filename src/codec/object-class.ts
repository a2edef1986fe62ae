/** Determines the names and classes of values from foreign code, for use in markers. */
import { errorNameOf, propertyOf } from '../guard/values.ts'
import { toWellFormed } from '../text/well-formed.ts'

/** Returns the name of a thrown value, cut to 40 characters. */
export function nameOf(thrown: unknown): string {
	return toWellFormed(errorNameOf(thrown).slice(0, 40))
}

/** Returns whether an object has an own or inherited enumerable field. */
export function hasAny(fields: object): boolean {
	for (const _key in fields) return true
	return false
}

/**
 * Returns whether an object without fields is really empty. This is true for a plain object from any realm,
 * and for an object without a prototype or with an empty one.
 */
export function isPlain(value: object): boolean {
	const prototype: unknown = Object.getPrototypeOf(value)
	if (typeof prototype !== 'object' || prototype === null) return true
	if (Object.getPrototypeOf(prototype) !== null) return false
	const isRoot = Object.hasOwn(prototype, 'isPrototypeOf') || Reflect.ownKeys(prototype).length === 0
	// `Math` and similar objects have a tag but no enumerable fields.
	return isRoot && tagOf(value) === undefined
}

/** Returns the tag that `Object.prototype.toString` uses, if the object has one. */
export function tagOf(value: object): string | undefined {
	const tag = propertyOf(value, Symbol.toStringTag)
	return typeof tag === 'string' ? tag : undefined
}

/** Returns the name of an object's class, cut to 40 characters. */
export function classOf(value: object): string {
	const named = propertyOf(propertyOf(value, 'constructor'), 'name')
	const isName = typeof named === 'string' && named !== '' && named !== 'Object'
	return toWellFormed((isName ? named : (tagOf(value) ?? 'Object')).slice(0, 40))
}
