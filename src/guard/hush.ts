/**
 * Handles promises from foreign code that nothing awaits.
 *
 * Invariant: every promise from foreign code is either awaited or passed to {@link hush} or `discard`. This
 * includes promises that foreign code returns, throws, resolves with, rejects with, or stores in a property
 * where no promise is expected. The functions in this folder handle promises in every value that they read or
 * refuse. Callers handle promises in the values that they discard.
 */
import { types } from 'node:util'

/** Promises that have already been handled. Prevents an endless loop if a promise rejects with itself. */
const hushed = new WeakSet<object>()

/**
 * Handles a native promise that nothing awaits, so that its rejection does not end the process. If the
 * rejection reason is itself a promise, that promise is also handled. Any other value is ignored, and its
 * `then` is not read.
 */
export function hush(value: unknown): void {
	if (!types.isPromise(value) || hushed.has(value)) return
	hushed.add(value)
	try {
		// The promise may override `then`.
		Promise.prototype.then.call(value, ignore, hush)
	} catch (thrown) {
		// The promise's constructor is unreadable or does not create promises.
		hush(thrown)
	}
}

/** Applies {@link hush} to several values. A value that is still in use is not affected. */
export function hushAll(...values: readonly unknown[]): void {
	for (const value of values) hush(value)
}

export function ignore(): void {}
