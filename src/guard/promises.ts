/**
 * Waits for promises and thenables from foreign code. They may settle twice, never settle, or resolve with
 * themselves.
 */
import { types } from 'node:util'
import { TIMER_MS_MAX } from '../platform/time-limits.ts'
import { hush, ignore } from './hush.ts'
import { propertyOf } from './values.ts'

/** Maximum number of thenables to follow if each of them resolves with another thenable. */
const THENABLE_DEPTH_MAX = 32

/**
 * Returns whether `await` would wait for a value. Also returns true if `then` is unreadable, because `await`
 * would reject.
 */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
	if ((typeof value !== 'object' || value === null) && typeof value !== 'function') return false
	try {
		const { then } = value as Partial<PromiseLike<unknown>>
		if (!types.isPromise(then)) return typeof then === 'function'
		// A promise that resolves with this value would leave the promise in `then` unhandled, so callers refuse
		// the value.
		hush(then)
		return true
	} catch (thrown) {
		hush(thrown)
		return true
	}
}

/**
 * Calls one of two functions, once and in a later microtask, when a value settles. Calls neither function if
 * the value never settles. Behaves like `await`, except that `rejected` is called for a thenable that
 * resolves with itself. Neither function may throw.
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
	// The value's own `then` may leave the rejection unhandled.
	hush(value)
	queueMicrotask(() => adopt(value, fulfilled, failed, 0))
}

/**
 * Returns whether a value is an unmodified promise from this realm. Such promises are common and cheaper to
 * follow.
 */
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
		// Also handles the argument of a second call.
		hush(result)
		if (isSettled) return
		isSettled = true
		settle(result)
	}
	const resolved = once((result) => {
		if (depth < THENABLE_DEPTH_MAX) queueMicrotask(() => adopt(result, fulfilled, rejected, depth + 1))
		else rejected(new TypeError('a thenable keeps resolving with other thenables'))
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

/**
 * Handles an unexpected result, so that no rejection remains unhandled. Unlike {@link hush}, it also handles
 * thenables.
 */
export function discard(value: unknown): void {
	if (types.isPromise(value)) hush(value)
	else if (isThenable(value)) follow(value, ignore, ignore)
}

/** Returns a native promise for any result from foreign code. */
export function settle(value: unknown): Promise<unknown> {
	return new Promise((resolve, reject) => follow(value, resolve, reject))
}

/** The outcome of a wait. */
export type Outcome<T> =
	| { readonly is: 'fulfilled'; readonly value: T }
	| { readonly is: 'rejected'; readonly thrown: unknown }
	| { readonly is: 'late' }

/**
 * Waits at most `ms` milliseconds for a native promise, and keeps the process alive during the wait. Never
 * rejects.
 */
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
 * A wait for foreign code. The caller can abandon the wait, so that closing cannot hang. Supports one wait at
 * a time.
 */
export class Abandonable {
	#abandon: (reason: unknown) => void = () => {}

	/** Settles in the same way as the value, or rejects with the reason passed to {@link abandon}. */
	wait(value: unknown): Promise<unknown> {
		return new Promise((resolve, reject) => {
			this.#abandon = reject
			follow(value, resolve, reject)
		})
	}

	/** Ends the current wait, if any. */
	abandon(reason: unknown): void {
		this.#abandon(reason)
	}
}
