/** The status of one source, as an operator sees it. */
import type { SourceEntry } from './entry.ts'
import type { ManagedSource } from './managed-source.ts'

/** The status of a source: its current entry, and state that only this process has. */
export interface SourceStatus extends SourceEntry {
	/**
	 * Number of samples that were received and neither stored nor dropped yet: in the queue, or waiting for
	 * room in it.
	 */
	readonly queued: number
	/** Reason why the source does not run although it is active. */
	readonly failure: string | undefined
}

/** Returns the status of a source at this moment. */
export function statusOf(source: ManagedSource): SourceStatus {
	return { ...source.toEntry(), queued: source.queued, failure: source.failure }
}
