/** A source that calls a function. */
import { checkFunction } from '../../model/check.ts'
import type { Source } from '../source.ts'

/**
 * Returns a source that calls a function once per interval. The value of a sample is the function's result,
 * or the value to which the returned promise resolves. The signal is aborted when the result is no longer
 * needed.
 *
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export function fromFunction(read: (signal: AbortSignal) => unknown): Source {
	checkFunction('read', read)
	return { read }
}
