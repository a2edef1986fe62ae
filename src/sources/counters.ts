/** Counts the samples of one source by their outcome. The counters continue through pauses and restarts. */

/** Samples that were received and not stored, by cause. */
export interface DroppedCounts {
	/** Sample for which the queue had no room. */
	overflow: number
	/** Time of the sample before 1991, or more than 1,800 s from the present. */
	timestamp: number
	/** Sample older than one that is already stored. */
	order: number
	/** Value of another type than the first one, or not a value. */
	type: number
	/**
	 * Sample that the loop did not take, because it is closed or its level or `transform` excludes samples.
	 */
	refused: number
}

/**
 * The counters of one source: `received` = `stored` + all of `dropped` + samples that are queued or wait for
 * room in the queue.
 */
export interface SourceCounts {
	/** Samples that arrived, valid or not. */
	received: number
	/** Samples that the loop took. */
	stored: number
	/** Samples that were not stored, by cause. */
	dropped: DroppedCounts
	/** `{ $unserializable }` markers in its values, each for something that a record cannot hold. */
	unserializable: number
	/** Times that the source had to wait for room in the queue. Waiting loses nothing. */
	waits: number
	/**
	 * Periods of a scan without a read, because the previous read was still running or the process was busy.
	 */
	missedScans: number
	/** Upper estimate of the bytes of the stored samples in a chain. */
	storedBytes: number
	/** Time of the first sample, in ms since 1970. */
	firstEventMs: number | undefined
	/** Time of the last sample, in ms since 1970. */
	lastEventMs: number | undefined
	/** Connections that were established and then lost. */
	disconnects: number
	/** Time of the last lost connection, in ms since 1970. */
	lastDisconnectMs: number | undefined
	/** Failed attempts to subscribe, failed reads and lost connections. */
	transientErrors: number
	/** Message of the last such failure. */
	lastError: string | undefined
	/** Type of the newest value, including a dropped one. */
	latestType: string | undefined
}

/** Returns counters at zero. */
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

/** Returns the number of samples that were not stored, for any cause. */
export function droppedTotal({ dropped }: Pick<SourceCounts, 'dropped'>): number {
	return Object.values(dropped).reduce((sum, count) => sum + count, 0)
}
