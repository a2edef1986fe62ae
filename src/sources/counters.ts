/** What became of the samples of one source, each in one counter. They go on through pauses and restarts. */

/** Samples that were received and not stored, by cause. */
export interface DroppedCounts {
	/** The queue had no room for more of this source. */
	overflow: number
	/** The source's time was before 1991, or more than 1,800 s off. */
	timestamp: number
	/** Older than one that was stored already. */
	order: number
	/** Of another type than the first one, or no value. */
	type: number
	/** The loop did not take it: it is closed, or its level or its `transform` keeps samples out. */
	refused: number
}

/** `received` = `stored` + all of `dropped` + what is in the queue, or waits for room in it. */
export interface SourceCounts {
	received: number
	stored: number
	dropped: DroppedCounts
	/** `{ $unserializable }` markers left in its values, for what no record can hold. */
	unserializable: number
	/** Times that the source had to wait for room. Nothing is lost by that. */
	waits: number
	/** Periods of a scan that went by while the one before was still being answered, or the process was busy. */
	missedScans: number
	/** About how many bytes the stored samples take in a chain; rather too many than too few. */
	storedBytes: number
	firstEventMs: number | null
	lastEventMs: number | null
	/** Real losses: a connection that never was, is none. */
	disconnects: number
	lastDisconnectMs: number | null
	/** Attempts to subscribe, reads and connections that failed. */
	transientErrors: number
	lastError: string | null
	/** Of the last value, also of one that was dropped. */
	latestType: string | null
}

export function newCounts(): SourceCounts {
	return {
		received: 0,
		stored: 0,
		dropped: { overflow: 0, timestamp: 0, order: 0, type: 0, refused: 0 },
		unserializable: 0,
		waits: 0,
		missedScans: 0,
		storedBytes: 0,
		firstEventMs: null,
		lastEventMs: null,
		disconnects: 0,
		lastDisconnectMs: null,
		transientErrors: 0,
		lastError: null,
		latestType: null,
	}
}

export function copyOf(counts: SourceCounts): SourceCounts {
	return { ...counts, dropped: { ...counts.dropped } }
}

export function droppedTotal({ dropped }: Pick<SourceCounts, 'dropped'>): number {
	return Object.values(dropped).reduce((sum, count) => sum + count, 0)
}
