/** The status of one source, as an operator sees it. */
import type { SourceEntry } from './entry.ts'
import type { ManagedSource } from './managed-source.ts'

/** The status of a source: its current entry, and the state that exists only in this process. */
export interface SourceStatus extends SourceEntry {
	/**
	 * Number of received samples that have not been stored or dropped yet. These samples are in the queue or
	 * waiting to enter it.
	 */
	readonly queued: number
	/** Reason why `restore` could not start the source; undefined once the source has started. */
	readonly failure: string | undefined
}

/** Returns the current status of a source. */
export function statusOf(source: ManagedSource): SourceStatus {
	return { ...source.toEntry(), queued: source.queued, failure: source.failure }
}
