/** A source that is asked by calling a function. */
import { checkFunction } from '../../model/check.ts'
import type { Source } from '../source.ts'

/** Scans a function: its result, or what its promise resolves with, is the value. The signal says when nobody waits for it any more. */
export function fromFunction(read: (signal: AbortSignal) => unknown): Source {
	checkFunction('read', read)
	return { read }
}
