/** Copies the initial state of a projection. */
import { isDeepStrictEqual } from 'node:util'

/**
 * Returns a copy of the initial state, so that a fold that mutates its state does not change the caller's
 * object. A value that `structuredClone` does not copy faithfully (a function, a class instance, an object
 * without a prototype) is returned unchanged.
 */
export function copyOfInitial<S>(initial: S): S {
	try {
		const copy = structuredClone(initial)
		return isDeepStrictEqual(copy, initial) ? copy : initial
	} catch {
		return initial
	}
}
