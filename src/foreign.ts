/**
 * The one door for what code of others gives back: what it returns, throws, resolves with, or reads the time as.
 *
 * Appenders, listeners, hooks, getters, errors, promises and targets may be anything: a revoked proxy, a getter that throws, a thenable
 * that settles twice, never, or with itself, a symbol as an error. Nothing in here throws, and everything in here ends: what comes out is a
 * plain value of the type that was asked for. Whoever calls code of others does so in a `try`, and reads what it gave through this module.
 *
 * The invariant of promises: each promise that code of others hands over is waited for, or passed to {@link discard} or {@link hush}. That holds for
 * what a call returns, throws or resolves with, for the reason of a rejection, and for a property where no promise is expected. The functions
 * of this module do it for everything that they read or refuse; a caller does it for a value that it throws away itself.
 */
import { types } from 'node:util'
import { FOREIGN_TEXT_LENGTH_MAX, THENABLE_DEPTH_MAX, TIME_MAX_MS, TIMER_MS_MAX } from './limits.ts'

/** Promises that are handled already: one that rejects with itself is not followed without end. */
const hushed = new WeakSet<object>()

/**
 * Handles a promise of the language that nobody takes, so that its rejection does not end the process; so too where the reason is another one.
 * Anything else is left alone, and never asked for a `then`.
 */
export function hush(value: unknown): void {
	if (!types.isPromise(value) || hushed.has(value)) return
	hushed.add(value)
	try {
		// Not its own `then`, which may be anything.
		Promise.prototype.then.call(value, ignore, hush)
	} catch (thrown) {
		// Its constructor cannot be read, or makes no promises.
		hush(thrown)
	}
}

/** What `read` gives, or `otherwise` where it throws. */
export function attempt<T>(read: () => T, otherwise: T): T {
	try {
		return read()
	} catch (thrown) {
		hush(thrown)
		return otherwise
	}
}

/** A property of anything that is no promise; undefined where there is none, or where it cannot be read. */
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

/** What an object has itself under a name, where that is a value; undefined for a getter, which may give something else each time. */
export function ownValueOf(value: object, name: string): unknown {
	const own = attempt<unknown>(() => Object.getOwnPropertyDescriptor(value, name)?.value, undefined)
	hush(own)
	return own
}

/** Whether a value is an instance of a class, as far as it lets itself be asked. */
export function isInstance<T>(value: unknown, type: abstract new (...args: never[]) => T): value is T {
	return attempt(() => value instanceof type, false)
}

/** Whether a value is an array, also where it does not let itself be asked. */
export function isList(value: unknown): value is unknown[] {
	try {
		return Array.isArray(value)
	} catch {
		return false
	}
}

/** The text of anything that was thrown. A long one is cut. */
export function messageOf(thrown: unknown): string {
	hush(thrown)
	const text = isInstance(thrown, Error)
		? propertyOf(thrown, 'message')
		: attempt(() => textOf(thrown), undefined)
	if (typeof text !== 'string') return 'an error that cannot be shown'
	return text.length <= FOREIGN_TEXT_LENGTH_MAX ? text : `${text.slice(0, FOREIGN_TEXT_LENGTH_MAX - 1)}…`
}

/** As `String` does, without losing a promise on the way; undefined for what has no text. @throws {unknown} what its own code throws. */
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

/** As `Object.prototype.toString` does, without losing a promise on the way. @throws {unknown} what a getter throws. */
export function tagTextOf(value: object): string {
	const tag = (value as { readonly [Symbol.toStringTag]?: unknown })[Symbol.toStringTag]
	hush(tag)
	if (typeof tag === 'string') return `[object ${tag}]`
	return tag === undefined ? Object.prototype.toString.call(value) : '[object Object]'
}

/** The name of an error; the type of anything else that was thrown. */
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

/** Whether `await` would wait for a value. What does not even let itself be asked is a promise that rejects. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
	if ((typeof value !== 'object' || value === null) && typeof value !== 'function') return false
	try {
		const { then } = value as Partial<PromiseLike<unknown>>
		if (!types.isPromise(then)) return typeof then === 'function'
		// Whoever resolves with it would lose that one: it is refused.
		hush(then)
		return true
	} catch (thrown) {
		hush(thrown)
		return true
	}
}

/**
 * Calls one of two functions, once and in a later microtask, when a value has settled; neither when it never does. As `await` does, but
 * ends for a thenable that resolves with itself. The two must not throw.
 */
export function follow(
	value: unknown,
	fulfilled: (result: unknown) => void,
	rejected: (thrown: unknown) => void,
): void {
	const failed = (thrown: unknown) => {
		hush(thrown)
		rejected(thrown)
	}
	if (isPlainPromise(value)) {
		value.then(fulfilled, failed)
		return
	}
	// It may have a `then` that does not handle what it rejects with.
	hush(value)
	queueMicrotask(() => adopt(value, fulfilled, failed, 0))
}

/** A promise of this very realm with nothing of its own: the usual case, and cheaper. */
function isPlainPromise(value: unknown): value is Promise<unknown> {
	if (!types.isPromise(value)) return false
	return propertyOf(value, 'constructor') === Promise && propertyOf(value, 'then') === Promise.prototype.then
}

function adopt(
	value: unknown,
	fulfilled: (result: unknown) => void,
	rejected: (thrown: unknown) => void,
	depth: number,
): void {
	if (!isThenable(value)) {
		fulfilled(value)
		return
	}
	let isSettled = false
	const once = (settle: (result: unknown) => void) => (result: unknown) => {
		// Also what comes a second time.
		hush(result)
		if (isSettled) return
		isSettled = true
		settle(result)
	}
	const resolved = once((result) => {
		if (depth < THENABLE_DEPTH_MAX) queueMicrotask(() => adopt(result, fulfilled, rejected, depth + 1))
		else rejected(new TypeError('a thenable resolves with thenables without end'))
	})
	const failed = once(rejected)
	try {
		const { then } = value as { readonly then: unknown }
		hush(then)
		hush(Reflect.apply(then as () => unknown, value, [resolved, failed]))
	} catch (thrown) {
		failed(thrown)
	}
}

/** As {@link hush}, for several values, of which some may have been taken. */
export function hushAll(...values: readonly unknown[]): void {
	for (const value of values) hush(value)
}

/**
 * A method of anything, bound to it; undefined where there is none.
 *
 * @throws {unknown} A `TypeError` for what is no function, and what its getter throws.
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

/** Looks at what was returned where nothing is expected, so that no promise that rejects is left unhandled: as {@link hush}, and it asks any thenable. */
export function discard(value: unknown): void {
	if (types.isPromise(value)) hush(value)
	else if (isThenable(value)) follow(value, ignore, ignore)
}

function ignore(): void {}

/** A promise of our own for anything that was returned. */
export function settle(value: unknown): Promise<unknown> {
	return new Promise((resolve, reject) => follow(value, resolve, reject))
}

/** What became of a wait. */
export type Outcome<T> =
	| { readonly is: 'fulfilled'; readonly value: T }
	| { readonly is: 'rejected'; readonly thrown: unknown }
	| { readonly is: 'late' }

/** Waits for one of our own promises, no longer than so many milliseconds. Keeps the process alive meanwhile; never rejects. */
export function within<T>(promise: Promise<T>, ms: number): Promise<Outcome<T>> {
	return new Promise((resolve) => {
		const timer = setTimeout(() => resolve({ is: 'late' }), Math.min(ms, TIMER_MS_MAX))
		promise.then(
			(value) => {
				clearTimeout(timer)
				resolve({ is: 'fulfilled', value })
			},
			(thrown: unknown) => {
				clearTimeout(timer)
				resolve({ is: 'rejected', thrown })
			},
		)
	})
}

/**
 * The items of anything iterable, for `for await`. As the language does it, but it ends for a thenable that resolves with itself, and a source that
 * does not end when it is told to is left to itself.
 *
 * @param left is called then.
 */
export class ForeignItems<T> implements AsyncIterableIterator<T, undefined> {
	readonly #items: Partial<AsyncIterator<unknown>>
	readonly #isAsync: boolean
	readonly #closeTimeoutMs: number
	readonly #left: () => void
	#isDone = false

	/** @throws {unknown} what the source throws, and a `TypeError` for one that cannot be iterated. */
	constructor(source: unknown, closeTimeoutMs: number, left: () => void) {
		const { [Symbol.asyncIterator]: asynchronous, [Symbol.iterator]: synchronous } = source as {
			readonly [name: symbol]: unknown
		}
		const open = asynchronous ?? synchronous
		hush(asynchronous)
		hush(synchronous)
		if (typeof open !== 'function') throw new TypeError('what was given cannot be iterated')
		this.#isAsync = open === asynchronous
		this.#items = keptPromise(() => Reflect.apply(open, source, [])) as Partial<AsyncIterator<unknown>>
		discard(this.#items)
		this.#closeTimeoutMs = closeTimeoutMs
		this.#left = left
	}

	[Symbol.asyncIterator](): this {
		return this
	}

	async next(): Promise<IteratorResult<T, undefined>> {
		if (this.#isDone) return OVER
		// What throws, or ends, is not told to end.
		this.#isDone = true
		const given = keptPromise(() => methodOf(this.#items, 'next')?.())
		if (!this.#isAsync) discard(given)
		const step = (this.#isAsync ? await settle(given) : given) as IteratorResult<unknown> | null
		if (typeof step !== 'object' || step === null) throw new TypeError('an iterator must give objects')
		const { done, value } = step
		hush(done)
		if (done) {
			hush(value)
			return OVER
		}
		const item = isThenable(value) ? await settle(value) : value
		this.#isDone = false
		return { value: item as T, done: false }
	}

	async return(): Promise<IteratorResult<T, undefined>> {
		if (this.#isDone) return OVER
		this.#isDone = true
		const returned = await within(
			settle(keptPromise(() => methodOf(this.#items, 'return')?.())),
			this.#closeTimeoutMs,
		)
		if (returned.is === 'rejected') throw returned.thrown
		if (returned.is === 'late') this.#left()
		return OVER
	}
}

/** What `act` gives; a promise that it throws goes on as it is, and is handled. */
function keptPromise(act: () => unknown): unknown {
	try {
		return act()
	} catch (thrown) {
		hush(thrown)
		throw thrown
	}
}

const OVER = { value: undefined, done: true } as const

/** A wait for code of others that can be given up from outside, so that closing has an end. One at a time. */
export class Abandonable {
	#abandon: (reason: unknown) => void = () => {}

	/** Settles as the value does, or rejects with the reason that {@link abandon} is given. */
	wait(value: unknown): Promise<unknown> {
		return new Promise((resolve, reject) => {
			this.#abandon = reject
			follow(value, resolve, reject)
		})
	}

	/** Ends the wait that is going on, if there is one. */
	abandon(reason: unknown): void {
		this.#abandon(reason)
	}
}

/** A clock that somebody gave, of which every reading is a time that a record can have. */
export interface SoundClock {
	(): number
	/** Readings that `Date.now` stood in for. */
	readonly failures: number
}

/**
 * Every reading is a number from 0 to the latest time that a `Date` holds; for a clock that throws, gives none, or is asked from within itself,
 * `Date.now` stands in.
 *
 * @param failed hears of each reading that was none.
 */
export function soundClock(clock: () => unknown, failed: (thrown: unknown) => void): SoundClock {
	let isAsking = false
	let failures = 0
	const sound = () => {
		if (isAsking) return Date.now()
		isAsking = true
		try {
			const tsMs = clock()
			if (isTime(tsMs)) return Math.max(0, tsMs)
			discard(tsMs)
			throw new TypeError(`a clock must give milliseconds since 1970, not ${messageOf(tsMs)}`)
		} catch (thrown) {
			hush(thrown)
			failures++
			failed(thrown)
			return Date.now()
		} finally {
			isAsking = false
		}
	}
	return Object.defineProperty(sound, 'failures', { get: () => failures }) as unknown as SoundClock
}

/** Whether a value can be the time of a record, once its fraction is cut off and what is before 1970 is 0. */
export function isTime(tsMs: unknown): tsMs is number {
	return typeof tsMs === 'number' && tsMs <= TIME_MAX_MS
}
