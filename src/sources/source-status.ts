/** The status of one source, as an operator sees it. */
import type { SourceEntry } from './entry.ts'
import type { ManagedSource } from './managed-source.ts'

/** The status of a source: its current entry, and the state that only this process has. */
export interface SourceStatus extends SourceEntry {
	/**
	 * Number of received samples that are neither stored nor dropped yet. They are in the queue or wait for
	 * room in the queue.
	 */
	readonly queued: number
	/** Reason why an active source is not running. */
	readonly failure: string | undefined
}

/** Returns the status of a source at this moment. */
export function statusOf(source: ManagedSource): SourceStatus {
	return { ...source.toEntry(), queued: source.queued, failure: source.failure }
}
