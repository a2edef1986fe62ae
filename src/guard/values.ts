/**
 * Reads values from foreign code: results, errors and properties.
 *
 * Foreign code is all code outside mesh-chain: appenders, listeners, hooks, clocks, targets and sources, and
 * the getters and methods of any value. Its values can be anything, such as a revoked proxy, an object with a
 * getter that throws, or a thrown symbol. Every function in this folder terminates and returns a value of its
 * declared type. A function throws only if its docstring documents the error. Callers invoke foreign code
 * within a `try` block, and read its values with these functions.
 */
import { types } from 'node:util'
import { hush } from './hush.ts'

/**
 * Maximum length of a string from foreign code, such as an error message, in UTF-16 units. Longer strings are
 * truncated.
 */
export const FOREIGN_TEXT_LENGTH_MAX = 8192

/** Returns the result of `read`, or `otherwise` if `read` throws. */
export function attempt<T>(read: () => T, otherwise: T): T {
	try {
		return read()
	} catch (thrown) {
		hush(thrown)
		return otherwise
	}
}

/** Returns a property of any value, or undefined if the property is missing, unreadable or a promise. */
export function propertyOf(value: unknown, name: string | symbol): unknown {
	try {
		const property = (value as Record<string | symbol, unknown> | null | undefined)?.[name]
		if (!types.isPromise(property)) return property
		hush(property)
	} catch (thrown) {
		hush(thrown)
	}
	return undefined
}

/** Returns the value of an own property; undefined for a getter, because its value may change. */
export function ownValueOf(value: object, name: string): unknown {
	const own = attempt<unknown>(() => Object.getOwnPropertyDescriptor(value, name)?.value, undefined)
	hush(own)
	return own
}

/** Returns whether a value is an instance of a class; false if the check throws. */
export function isInstance<T>(value: unknown, type: abstract new (...args: never[]) => T): value is T {
	return attempt(() => value instanceof type, false)
}

/** Returns whether a value is an array; false if the check throws. */
export function isList(value: unknown): value is unknown[] {
	try {
		return Array.isArray(value)
	} catch {
		return false
	}
}

/** Returns the message of any thrown value. Long messages are truncated. */
export function messageOf(thrown: unknown): string {
	hush(thrown)
	const text = isInstance(thrown, Error)
		? propertyOf(thrown, 'message')
		: attempt(() => textOf(thrown), undefined)
	if (typeof text !== 'string') return 'an error that cannot be shown'
	return text.length <= FOREIGN_TEXT_LENGTH_MAX ? text : `${text.slice(0, FOREIGN_TEXT_LENGTH_MAX - 1)}…`
}

/**
 * Converts a value to a string, like `String`, and handles promises. Returns undefined for a value without a
 * string form.
 *
 * @throws {unknown} Any error from the value's own code.
 */
export function textOf(value: unknown): unknown {
	if ((typeof value !== 'object' || value === null) && typeof value !== 'function') return String(value)
	const toPrimitive = propertyOf(value, Symbol.toPrimitive)
	const toText = toPrimitive ?? propertyOf(value, 'toString')
	if (typeof toText !== 'function') return undefined
	if (toText === Object.prototype.toString) return tagTextOf(value)
	const text: unknown = Reflect.apply(toText, value, toPrimitive === undefined ? [] : ['string'])
	hush(text)
	return (typeof text === 'object' && text !== null) || typeof text === 'function' ? undefined : String(text)
}

/**
 * Works like `Object.prototype.toString`, and handles promises.
 *
 * @throws {unknown} Any error from a getter.
 */
export function tagTextOf(value: object): string {
	const tag = (value as { readonly [Symbol.toStringTag]?: unknown })[Symbol.toStringTag]
	hush(tag)
	if (typeof tag === 'string') return `[object ${tag}]`
	return tag === undefined ? Object.prototype.toString.call(value) : '[object Object]'
}

/** Returns the name of an error, or the type of any other thrown value. */
export function errorNameOf(thrown: unknown): string {
	hush(thrown)
	if (!isInstance(thrown, Error)) return typeof thrown
	const name = propertyOf(thrown, 'name')
	return typeof name === 'string' && name !== '' ? name.slice(0, FOREIGN_TEXT_LENGTH_MAX) : 'Error'
}

/** Returns the `code` of an error if the code is a string. */
export function codeOf(thrown: unknown): string | undefined {
	const code = propertyOf(thrown, 'code')
	return typeof code === 'string' ? code.slice(0, FOREIGN_TEXT_LENGTH_MAX) : undefined
}

/**
 * Returns a method of any value, bound to that value, or undefined if the method is missing.
 *
 * @throws {unknown} A `TypeError` if the value has no properties or the property is not a function, or any
 * error from the property's getter.
 */
export function methodOf(
	value: unknown,
	name: string | symbol,
): ((...args: unknown[]) => unknown) | undefined {
	const method = (value as Readonly<Record<string | symbol, unknown>>)[name]
	if (method === undefined || method === null) return undefined
	if (typeof method === 'function') return (...args) => Reflect.apply(method, value, args)
	hush(method)
	throw new TypeError(`${String(name)} must be a function`)
}

/** Returns whether a value is an object literal, or an object without a prototype. Never throws. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
	if (typeof value !== 'object' || value === null) return false
	const prototype = attempt<unknown>(() => Object.getPrototypeOf(value), undefined)
	return prototype === Object.prototype || prototype === null
}
