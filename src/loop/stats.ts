/** The statistics of a loop, as `stats()` returns them. Every loss has its own counter. */
import type { OutboxStats } from '../outbox/outbox-stats.ts'

/** Counts of lines and records since the loop was made. Each is counted in one place only. */
export interface LoopCounts {
	/** Records stamped. */
	readonly published: number
	/** Lines below the level; nothing was built for them. */
	readonly belowLevel: number
	/** Lines for which `transform` returned null. */
	readonly transformDropped: number
	/** Records published without message and data, because `transform` threw or did not return a line. */
	readonly transformErrors: number
	/** Calls of `clock` or `context` that threw or returned something invalid. */
	readonly hookErrors: number
	/** `{ $unserializable }` markers in published data. */
	readonly unserializable: number
	/** Texts in which lone surrogates were replaced. */
	readonly replacedSurrogates: number
	/** Messages that were cut to 262,144 UTF-16 units. */
	readonly truncatedMessages: number
	/** Calls of listeners that threw or rejected. */
	readonly listenerErrors: number
	/**
	 * Records that listeners published beyond `nestedDepthMax` or `nestedDeliveriesMax`: kept, but not
	 * delivered.
	 */
	readonly recursionCut: number
	/** Records that left the ring before a subscription fetched them, summed over all subscriptions. */
	readonly lagged: number
	/** Lines dropped because the loop, or the child they came through, was closed. */
	readonly publishedAfterClose: number
}

/** The statistics of the ring of a loop. */
export interface RingStats {
	/** Records in the ring. */
	readonly records: number
	/** Estimated size of the records: their messages and data, plus 128 bytes for each. */
	readonly bytes: number
	/** The option `ringCapacity`. */
	readonly capacity: number
	/** The option `ringBytesMax`; undefined for no bound. */
	readonly bytesMax: number | undefined
	/** Records evicted for newer ones. They are not lost if the appender took them. */
	readonly evicted: number
}

/** All statistics of a loop and its children. */
export interface LoopStats extends LoopCounts {
	/** Epoch of the loop's records, from the appender. */
	readonly epoch: number
	/** Seq of the last stamped record. Before the first record, one less than the appender's `nextSeq`. */
	readonly lastSeq: number
	readonly ring: RingStats
	readonly appender: OutboxStats
}

/** The counters, mutable. */
export type Counters = { -readonly [Name in keyof LoopCounts]: number }

export function newCounters(): Counters {
	return {
		published: 0,
		belowLevel: 0,
		transformDropped: 0,
		transformErrors: 0,
		hookErrors: 0,
		unserializable: 0,
		replacedSurrogates: 0,
		truncatedMessages: 0,
		listenerErrors: 0,
		recursionCut: 0,
		lagged: 0,
		publishedAfterClose: 0,
	}
}
