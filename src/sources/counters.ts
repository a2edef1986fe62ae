/** Counts the samples from one source by outcome. The counters survive pauses and restarts. */

/** Number of samples that were received but not stored, by cause. */
export interface DroppedCounts {
	/** Samples that did not fit in the queue. */
	overflow: number
	/**
	 * Samples with an invalid time, a time before 1991, or a time more than 1,800 s from the current time. The
	 * first sample of a connection may be older.
	 */
	timestamp: number
	/** Samples that are older than a sample that was queued before them. */
	order: number
	/** Samples that have no value, or whose value has a different type than the first value. */
	type: number
	/**
	 * Samples that the loop did not accept, because it was closed, or because its level or `transform` excluded
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
	 * Number of times that the source had to wait for space in the queue. A waiting sample is dropped only if
	 * the subscription ends first.
	 */
	waits: number
	/**
	 * Number of scan periods in which the source was not read because the previous read had not ended or the
	 * process was busy.
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
	/** Number of errors, such as failed subscription attempts, failed reads and lost connections. */
	transientErrors: number
	/** Message of the last error counted in `transientErrors`. */
	lastError: string | undefined
	/** Type of the newest value, even if its sample was dropped. */
	latestType: string | undefined
}

/** Returns the initial counters. */
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

/** Returns a deep copy of the counters. */
export function copyOf(counts: SourceCounts): SourceCounts {
	return { ...counts, dropped: { ...counts.dropped } }
}

/** Returns the total number of dropped samples, across all causes. */
export function droppedTotal({ dropped }: Pick<SourceCounts, 'dropped'>): number {
	return Object.values(dropped).reduce((sum, count) => sum + count, 0)
}
