/**
 * The one door for what code of others gives back: what it returns, throws, resolves with, or reads the time as.
 *
 * Appenders, listeners, hooks, getters, errors, promises and targets may be anything: a revoked proxy, a getter that throws, a thenable
 * that settles twice, never, or with itself, a symbol as an error. Nothing in here throws, and everything in here ends: what comes out is a
 * plain value of the type that was asked for. Whoever calls code of others does so in a `try`, and reads what it gave through this module.
 */
import { types } from 'node:util'
import { FOREIGN_TEXT_LENGTH_MAX, THENABLE_DEPTH_MAX, TIME_MAX_MS, TIMER_MS_MAX } from './limits.ts'

/** What `read` gives, or `otherwise` where it throws. */
export function attempt<T>(read: () => T, otherwise: T): T {
	try {
		return read()
	} catch {
		return otherwise
	}
}

/** A property of anything; undefined where there is none, or where it cannot be read. */
export function propertyOf(value: unknown, name: string): unknown {
	return attempt(() => (value as Record<string, unknown> | null | undefined)?.[name], undefined)
}

/** What an object has itself under a name, where that is a value; undefined for a getter, which may give something else each time. */
export function ownValueOf(value: object, name: string): unknown {
	return attempt(() => Object.getOwnPropertyDescriptor(value, name)?.value, undefined)
}

/** Whether a value is an instance of a class, as far as it lets itself be asked. */
export function isInstance<T>(value: unknown, type: abstract new (...args: never[]) => T): value is T {
	return attempt(() => value instanceof type, false)
}

/** The text of anything that was thrown. A long one is cut. */
export function messageOf(thrown: unknown): string {
	const text = attempt(() => (isInstance(thrown, Error) ? thrown.message : String(thrown)), undefined)
	if (typeof text !== 'string') return 'an error that cannot be shown'
	return text.length <= FOREIGN_TEXT_LENGTH_MAX ? text : `${text.slice(0, FOREIGN_TEXT_LENGTH_MAX - 1)}…`
}

/** The name of an error; the type of anything else that was thrown. */
export function errorNameOf(thrown: unknown): string {
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
	return attempt(() => typeof (value as Partial<PromiseLike<unknown>>).then === 'function', true)
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
	if (isPlainPromise(value)) value.then(fulfilled, rejected)
	else queueMicrotask(() => adopt(value, fulfilled, rejected, 0))
}

/** A promise of this very realm with nothing of its own: the usual case, and cheaper. */
function isPlainPromise(value: unknown): value is Promise<unknown> {
	if (!types.isPromise(value)) return false
	return attempt(() => value.constructor === Promise && value.then === Promise.prototype.then, false)
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
		value.then(resolved, failed)
	} catch (thrown) {
		failed(thrown)
	}
}

/** Looks at what was returned where nothing is expected, so that a promise that rejects is not left unhandled. */
export function discard(value: unknown): void {
	if (isThenable(value)) follow(value, ignore, ignore)
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
		if (typeof open !== 'function') throw new TypeError('what was given cannot be iterated')
		this.#isAsync = open === asynchronous
		this.#items = Reflect.apply(open, source, []) as Partial<AsyncIterator<unknown>>
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
		const given: unknown = this.#items.next?.()
		if (!this.#isAsync) discard(given)
		const step = (this.#isAsync ? await settle(given) : given) as IteratorResult<unknown> | null
		if (typeof step !== 'object' || step === null) throw new TypeError('an iterator must give objects')
		if (step.done) return OVER
		const { value } = step
		const item = isThenable(value) ? await settle(value) : value
		this.#isDone = false
		return { value: item as T, done: false }
	}

	async return(): Promise<IteratorResult<T, undefined>> {
		if (this.#isDone) return OVER
		this.#isDone = true
		const returned = await within(settle(this.#items.return?.()), this.#closeTimeoutMs)
		if (returned.is === 'rejected') throw returned.thrown
		if (returned.is === 'late') this.#left()
		return OVER
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
