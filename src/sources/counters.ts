/** Counts what became of the samples of one source. The counters continue through pauses and restarts. */

/** Samples that were received and not stored, by cause. */
export interface DroppedCounts {
	/** The queue had no room for another sample of this source. */
	overflow: number
	/** The sample's own time was before 1991, or more than 1,800 s from the present. */
	timestamp: number
	/** The sample was older than one that is stored already. */
	order: number
	/** The value had a different type from the first one, or was not a value. */
	type: number
	/** The loop did not take the sample: it is closed, or its level or its `transform` keeps samples out. */
	refused: number
}

/** The counters of one source: `received` = `stored` + all of `dropped` + samples in the queue or waiting for room in it. */
export interface SourceCounts {
	received: number
	stored: number
	dropped: DroppedCounts
	/** `{ $unserializable }` markers in its values, each in place of something that a record cannot hold. */
	unserializable: number
	/** Times that the source had to wait for room in the queue. Waiting loses nothing. */
	waits: number
	/** Periods of a scan without a read: the previous read was still running, or the process was busy. */
	missedScans: number
	/** Upper estimate of the bytes that the stored samples take in a chain. */
	storedBytes: number
	firstEventMs: number | undefined
	lastEventMs: number | undefined
	/** Connections that were established and then lost. */
	disconnects: number
	lastDisconnectMs: number | undefined
	/** Failed attempts to subscribe, failed reads and lost connections. */
	transientErrors: number
	lastError: string | undefined
	/** Type of the newest value, including a dropped one. */
	latestType: string | undefined
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
		firstEventMs: undefined,
		lastEventMs: undefined,
		disconnects: 0,
		lastDisconnectMs: undefined,
		transientErrors: 0,
		lastError: undefined,
		latestType: undefined,
	}
}

export function copyOf(counts: SourceCounts): SourceCounts {
	return { ...counts, dropped: { ...counts.dropped } }
}

export function droppedTotal({ dropped }: Pick<SourceCounts, 'dropped'>): number {
	return Object.values(dropped).reduce((sum, count) => sum + count, 0)
}
