/**
 * Handles promises of foreign code that nothing awaits.
 *
 * Invariant: every promise that foreign code returns, throws, resolves with, rejects with, or holds in a
 * property where no promise is expected, is awaited or passed to {@link hush} or `discard`. The functions of
 * this folder do this for every value that they read or refuse. A caller does it for a value that it
 * discards.
 */
import { types } from 'node:util'

/** Promises already handled. Prevents an endless loop over a promise that rejects with itself. */
const hushed = new WeakSet<object>()

/**
 * Handles a native promise that nothing awaits, so that its rejection does not end the process. A rejection
 * reason that is itself a promise is handled too. Any other value is ignored; its `then` is not read.
 */
export function hush(value: unknown): void {
	if (!types.isPromise(value) || hushed.has(value)) return
	hushed.add(value)
	try {
		// The promise may have a `then` of its own.
		Promise.prototype.then.call(value, ignore, hush)
	} catch (thrown) {
		// The promise's constructor cannot be read, or does not create promises.
		hush(thrown)
	}
}

/** Applies {@link hush} to several values, some of which may be in use. */
export function hushAll(...values: readonly unknown[]): void {
	for (const value of values) hush(value)
}

export function ignore(): void {}
