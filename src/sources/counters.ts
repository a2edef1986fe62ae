/** Counts the samples of one source by their outcome. The counters survive pauses and restarts. */

/** Number of samples that were received but not stored, by cause. */
export interface DroppedCounts {
	/** Samples that did not fit in the queue. */
	overflow: number
	/**
	 * Samples with a time before 1991, or more than 1,800 s from the current time. The first sample of a
	 * connection may be older.
	 */
	timestamp: number
	/** Samples that are older than a sample that is already stored. */
	order: number
	/** Samples that have no value, or whose value has a different type from the first value. */
	type: number
	/**
	 * Samples that the loop did not accept because it is closed, or because its level or `transform` excludes
	 * them.
	 */
	refused: number
}

/**
 * The counters of one source. At any time, `received` equals the sum of `stored`, all `dropped` counts, and
 * the number of samples that are in the queue or waiting to enter it.
 */
export interface SourceCounts {
	/** Number of samples that were received, including invalid samples. */
	received: number
	/** Number of samples that the loop accepted. */
	stored: number
	/** Number of samples that were not stored, by cause. */
	dropped: DroppedCounts
	/**
	 * Number of `{ $unserializable }` markers in the values. Each marker replaces a value that a record cannot
	 * contain.
	 */
	unserializable: number
	/**
	 * Number of times that the source had to wait for space in the queue. No samples are lost during a wait.
	 */
	waits: number
	/**
	 * Number of scan periods in which the source was not read because the previous read was still running or
	 * the process was busy.
	 */
	missedScans: number
	/** Estimated upper bound on the size of the stored samples in a chain, in bytes. */
	storedBytes: number
	/** Time of the first sample, in ms since 1970. */
	firstEventMs: number | undefined
	/** Time of the last sample, in ms since 1970. */
	lastEventMs: number | undefined
	/** Number of connections that were established and then lost. */
	disconnects: number
	/** Time of the last lost connection, in ms since 1970. */
	lastDisconnectMs: number | undefined
	/** Total number of failed subscription attempts, failed reads and lost connections. */
	transientErrors: number
	/** Message of the last error counted in `transientErrors`. */
	lastError: string | undefined
	/** Type of the newest value, even if its sample was dropped. */
	latestType: string | undefined
}

/** Returns counters that are all zero. */
export function newCounts(): SourceCounts {
	return {
		received: 0,
		stored: 0,
		dropped: { overflow: 0, timestamp: 0, order: 0, type: 0, refused: 0 },
		unserializable: 0,
		waits: 0,
		missedScans: 0,
		storedBytes: 0,
		firstEventMs: undefined,
		lastEventMs: undefined,
		disconnects: 0,
		lastDisconnectMs: undefined,
		transientErrors: 0,
		lastError: undefined,
		latestType: undefined,
	}
}

/** Returns a copy that is not affected by later counts. */
export function copyOf(counts: SourceCounts): SourceCounts {
	return { ...counts, dropped: { ...counts.dropped } }
}

/** Returns the total number of dropped samples, across all causes. */
export function droppedTotal({ dropped }: Pick<SourceCounts, 'dropped'>): number {
	return Object.values(dropped).reduce((sum, count) => sum + count, 0)
}
