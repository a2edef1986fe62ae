/** The figures of a loop, as `stats()` shows them. Every loss has its own counter. */
import type { OutboxStats } from '../outbox/outbox-stats.ts'

/** What happened to lines and records so far, each counted in one place. */
export interface LoopCounts {
	/** Records stamped. */
	readonly published: number
	/** Lines below the level: nothing was built for them. */
	readonly belowLevel: number
	/** Lines for which `transform` gave null. */
	readonly transformDropped: number
	/** Records without their message and data, because `transform` threw or gave no line. */
	readonly transformErrors: number
	/** Times that `clock` or `context` threw or gave something of no use. */
	readonly hookErrors: number
	/** `{ $unserializable }` markers left in data. */
	readonly unserializable: number
	/** Texts in which lone surrogates were replaced. */
	readonly replacedSurrogates: number
	/** Messages that were cut. */
	readonly truncatedMessages: number
	/** Times that a listener threw or rejected. */
	readonly listenerErrors: number
	/** Records that listeners published from listeners beyond `nestedDepthMax` or `nestedDeliveriesMax`: kept, but not delivered. */
	readonly recursionCut: number
	/** Records that left the ring before a subscription came by, summed over all subscriptions. */
	readonly lagged: number
	/** Lines dropped because the loop, or the child they came through, was closed. */
	readonly publishedAfterClose: number
}

export interface RingStats {
	readonly records: number
	/** An estimate: what the texts and the data of the records take, and a constant for each record. */
	readonly bytes: number
	readonly capacity: number
	/** Undefined where there is no bound. */
	readonly bytesMax: number | undefined
	/** Records that made way for newer ones. That is no loss where the appender has them. */
	readonly evicted: number
}

export interface LoopStats extends LoopCounts {
	readonly epoch: number
	/** The seq of the last record stamped; one less than the appender's `nextSeq` before the first. */
	readonly lastSeq: number
	readonly ring: RingStats
	readonly appender: OutboxStats
}

/** The counters while they count. */
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
