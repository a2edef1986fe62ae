/** Counts the samples of one source by their outcome. The counters survive pauses and restarts. */

/** Number of samples that were received but not stored, by cause. */
export interface DroppedCounts {
	/** Samples for which the queue had no room. */
	overflow: number
	/** Samples with a time before 1991, or more than 1,800 s from the current time. */
	timestamp: number
	/** Samples that are older than a sample that is already stored. */
	order: number
	/** Samples without a value, or whose value has a different type from the first value. */
	type: number
	/**
	 * Samples that the loop did not accept because it is closed, or because its level or `transform` excludes
	 * samples.
	 */
	refused: number
}

/**
 * The counters of one source. At every moment, `received` equals the sum of `stored`, all `dropped` counts,
 * and the samples that are in the queue or wait for room in the queue.
 */
export interface SourceCounts {
	/** Number of samples that arrived, valid or not. */
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
	/** Number of times that the source had to wait for room in the queue. Waiting does not lose samples. */
	waits: number
	/**
	 * Number of scan periods without a read, because the previous read was still running or the process was
	 * busy.
	 */
	missedScans: number
	/** Upper estimate of the size of the stored samples in a chain, in bytes. */
	storedBytes: number
	/** Time of the first sample, in ms since 1970. */
	firstEventMs: number | undefined
	/** Time of the last sample, in ms since 1970. */
	lastEventMs: number | undefined
	/** Number of connections that were established and then lost. */
	disconnects: number
	/** Time of the last lost connection, in ms since 1970. */
	lastDisconnectMs: number | undefined
	/** Number of failed attempts to subscribe, failed reads and lost connections. */
	transientErrors: number
	/** Message of the last of these failures. */
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

/** Returns a copy that later counts do not change. */
export function copyOf(counts: SourceCounts): SourceCounts {
	return { ...counts, dropped: { ...counts.dropped } }
}

/** Returns the number of samples that were not stored, over all causes. */
export function droppedTotal({ dropped }: Pick<SourceCounts, 'dropped'>): number {
	return Object.values(dropped).reduce((sum, count) => sum + count, 0)
}
