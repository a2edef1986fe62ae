/** A source that calls a function. */
import { checkFunction } from '../../model/check.ts'
import type { Source } from '../source.ts'

/**
 * Returns a source that calls a function once per interval: its result, or what its promise resolves to, is
 * the value. The signal is aborted when the result is no longer wanted.
 *
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export function fromFunction(read: (signal: AbortSignal) => unknown): Source {
	checkFunction('read', read)
	return { read }
}
