/**
 * Reads values of foreign code: its results, errors and properties.
 *
 * Foreign code is all code that is not mesh-chain's: appenders, listeners, hooks, clocks, getters, errors,
 * promises, targets, sources. Its values may be anything: a revoked proxy, a getter that throws, a symbol as
 * an error. No function of this folder throws unless it says so, each of them ends, and each returns a plain
 * value of the requested type. Foreign code is called within a `try`, and its values are read with this
 * folder.
 */
import { types } from 'node:util'
import { hush } from './hush.ts'

/** UTF-16 units of a text that foreign code gives, such as the message of an error. Longer ones are cut. */
export const FOREIGN_TEXT_LENGTH_MAX = 8192

/** The result of `read`, or `otherwise` where it throws. */
export function attempt<T>(read: () => T, otherwise: T): T {
	try {
		return read()
	} catch (thrown) {
		hush(thrown)
		return otherwise
	}
}

/** A property of anything; undefined where it is missing, a promise, or unreadable. */
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

/** The value of an own property; undefined for a getter, whose value may change. */
export function ownValueOf(value: object, name: string): unknown {
	const own = attempt<unknown>(() => Object.getOwnPropertyDescriptor(value, name)?.value, undefined)
	hush(own)
	return own
}

/** Whether a value is an instance of a class; false where asking throws. */
export function isInstance<T>(value: unknown, type: abstract new (...args: never[]) => T): value is T {
	return attempt(() => value instanceof type, false)
}

/** Whether a value is an array; false where asking throws. */
export function isList(value: unknown): value is unknown[] {
	try {
		return Array.isArray(value)
	} catch {
		return false
	}
}

/** The message of anything thrown. A long one is cut. */
export function messageOf(thrown: unknown): string {
	hush(thrown)
	const text = isInstance(thrown, Error)
		? propertyOf(thrown, 'message')
		: attempt(() => textOf(thrown), undefined)
	if (typeof text !== 'string') return 'an error that cannot be shown'
	return text.length <= FOREIGN_TEXT_LENGTH_MAX ? text : `${text.slice(0, FOREIGN_TEXT_LENGTH_MAX - 1)}…`
}

/**
 * As `String`, with promises handled; undefined for a value without a text.
 *
 * @throws {unknown} what its own code throws.
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

/** As `Object.prototype.toString`, with promises handled. @throws {unknown} what a getter throws. */
export function tagTextOf(value: object): string {
	const tag = (value as { readonly [Symbol.toStringTag]?: unknown })[Symbol.toStringTag]
	hush(tag)
	if (typeof tag === 'string') return `[object ${tag}]`
	return tag === undefined ? Object.prototype.toString.call(value) : '[object Object]'
}

/** The name of an error; the type of anything else thrown. */
export function errorNameOf(thrown: unknown): string {
	hush(thrown)
	if (!isInstance(thrown, Error)) return typeof thrown
	const name = propertyOf(thrown, 'name')
	return typeof name === 'string' && name !== '' ? name.slice(0, FOREIGN_TEXT_LENGTH_MAX) : 'Error'
}

/** The `code` of an error, where it is a text. */
export function codeOf(thrown: unknown): string | undefined {
	const code = propertyOf(thrown, 'code')
	return typeof code === 'string' ? code.slice(0, FOREIGN_TEXT_LENGTH_MAX) : undefined
}

/**
 * A method of anything, bound to it; undefined where there is none.
 *
 * @throws {unknown} A `TypeError` where it is not a function, and what its getter throws.
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
