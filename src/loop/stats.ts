/** The statistics that a loop's `stats()` method returns. Every kind of loss has its own counter. */
import type { OutboxStats } from '../outbox/outbox-stats.ts'
import type { DroppedCounts } from './sampling.ts'

/** Counts of lines and records since the loop was created. */
export interface LoopCounts {
	/** Records stamped. */
	readonly published: number
	/** Lines that were not published because they were below the level. */
	readonly belowLevel: number
	/** Lines for which `transform` returned null. */
	readonly transformDropped: number
	/** Records published without message and data because `transform` threw or did not return a line. */
	readonly transformErrors: number
	/** Lines that `sampling` did not select. */
	readonly sampledOut: number
	/** Lines beyond a `rateLimit`. */
	readonly rateLimited: number
	/** Calls to `clock`, `context`, a serializer or a censor that threw or returned an invalid value. */
	readonly hookErrors: number
	/**
	 * Lines that were not objects, or had a field with an invalid value. Their records contain the value: as
	 * the message, or in the data.
	 */
	readonly invalidLines: number
	/** `{ $unserializable }` markers in published data. */
	readonly unserializable: number
	/** Values in data that `redact` replaced or removed. */
	readonly redacted: number
	/** Strings in which lone surrogates were replaced. */
	readonly replacedSurrogates: number
	/** Messages that were truncated to 262,144 UTF-16 units. */
	readonly truncatedMessages: number
	/** Listener calls that threw or rejected. */
	readonly listenerErrors: number
	/**
	 * Records that listeners published beyond `nestedDepthMax` or `nestedDeliveriesMax`. These records are
	 * kept, but not delivered to listeners.
	 */
	readonly recursionCut: number
	/** Records that were evicted before a subscription fetched them, summed over all subscriptions. */
	readonly lagged: number
	/** Lines dropped because they were published through a closed loop or child. */
	readonly publishedAfterClose: number
}

/** Statistics for the ring of a loop. */
export interface RingStats {
	/** Records in the ring. */
	readonly records: number
	/** Estimated size of the records in bytes: their messages and data, plus 128 bytes per record. */
	readonly bytes: number
	/** Value of the option `ringCapacity`. */
	readonly capacity: number
	/** Value of the option `ringBytesMax`; undefined for no bound. */
	readonly bytesMax: number | undefined
	/**
	 * Records evicted to make room for newer records. An evicted record is lost only if the appender had not
	 * accepted it.
	 */
	readonly evicted: number
}

/** Statistics for a loop and its children. */
export interface LoopStats extends LoopCounts {
	/** Epoch of the loop's records, as declared by the appender. */
	readonly epoch: number
	/** Seq of the last stamped record. Before the first record, one less than the appender's `nextSeq`. */
	readonly lastSeq: number
	/** Lines dropped by each rule of `sampling` and `rateLimit`, by the name of the rule. */
	readonly droppedByKind: Readonly<Record<string, DroppedCounts>>
	readonly ring: RingStats
	readonly appender: OutboxStats
}

/** Mutable counters. */
export type Counters = { -readonly [Name in keyof LoopCounts]: number }

export function newCounters(): Counters {
	return {
		published: 0,
		belowLevel: 0,
		transformDropped: 0,
		transformErrors: 0,
		sampledOut: 0,
		rateLimited: 0,
		hookErrors: 0,
		invalidLines: 0,
		unserializable: 0,
		redacted: 0,
		replacedSurrogates: 0,
		truncatedMessages: 0,
		listenerErrors: 0,
		recursionCut: 0,
		lagged: 0,
		publishedAfterClose: 0,
	}
}
