/**
 * Handles promises of foreign code that nothing waits for.
 *
 * Invariant: each promise that foreign code returns, throws, resolves or rejects with, or holds in a property
 * where no promise is expected, is waited for, or passed to {@link hush} or `discard`. The functions of this
 * folder do so for everything that they read or refuse; a caller does so for a value that it discards itself.
 */
import { types } from 'node:util'

/** Promises that are handled: one that rejects with itself is not followed without end. */
const hushed = new WeakSet<object>()

/**
 * Handles a native promise that nothing waits for, so that its rejection does not end the process, and so its
 * reason where that is another promise. Anything else is left alone; its `then` is not read.
 */
export function hush(value: unknown): void {
	if (!types.isPromise(value) || hushed.has(value)) return
	hushed.add(value)
	try {
		// Its own `then` may be anything.
		Promise.prototype.then.call(value, ignore, hush)
	} catch (thrown) {
		// Its constructor cannot be read, or makes no promises.
		hush(thrown)
	}
}

/** As {@link hush}, for several values, some of which may be in use. */
export function hushAll(...values: readonly unknown[]): void {
	for (const value of values) hush(value)
}

export function ignore(): void {}
