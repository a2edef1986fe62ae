/** The state before the first record. */
import { isDeepStrictEqual } from 'node:util'

/**
 * A copy of it, so that a fold that changes the state it gets leaves the caller's own as it was. What `structuredClone` would not give
 * back as it is - a function, an instance of a class, an object without a prototype - is no data, and handed on itself.
 */
export function copyOfInitial<S>(initial: S): S {
	try {
		const copy = structuredClone(initial)
		return isDeepStrictEqual(copy, initial) ? copy : initial
	} catch {
		return initial
	}
}
