/** The status of one source, as an operator sees it. */
import type { SourceEntry } from './entry.ts'
import type { ManagedSource } from './managed-source.ts'

/** The status of a source: its entry as of now, and what only this process knows. */
export interface SourceStatus extends SourceEntry {
	/**
	 * Samples that were received and neither stored nor dropped yet: in the queue, or waiting for room in it.
	 */
	readonly queued: number
	/** Why the source does not run although it is active. */
	readonly failure: string | undefined
}

/** The status of a source at this moment. */
export function statusOf(source: ManagedSource): SourceStatus {
	return { ...source.toEntry(), queued: source.queued, failure: source.failure }
}
