/**
 * Promises that foreign code hands over and nobody waits for.
 *
 * Invariant: each promise that foreign code returns, throws or resolves with, gives as the reason of a
 * rejection, or holds in a property where no promise is expected, is waited for, or passed to {@link hush} or
 * to `discard`. The functions of this folder do it for everything that they read or refuse; a caller does it
 * for a value that it throws away itself.
 */
import { types } from 'node:util'

/** Promises that are handled already: one that rejects with itself is not followed without end. */
const hushed = new WeakSet<object>()

/**
 * Handles a promise of the language that nobody takes, so that its rejection does not end the process; so too
 * where the reason is another one. Anything else is left alone, and never asked for a `then`.
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

/** As {@link hush}, for several values, of which some may have been taken. */
export function hushAll(...values: readonly unknown[]): void {
	for (const value of values) hush(value)
}

export function ignore(): void {}
