/** The types of recorded history: sessions, their events, their checkpoints. */
import { invalidOption } from '../model/check.ts'
import { isTimeBound, type LogRecord } from '../model/record.ts'

/** An event of a session. */
export interface SessionEvent {
	/** Position in the session, from 0; it does not change when older events are dropped. */
	readonly index: number
	/** The record of the event. */
	readonly record: LogRecord
}

/** A named snapshot of application state within a session. */
export interface Checkpoint<S = unknown> {
	/** Id of the checkpoint. */
	readonly id: string
	/** Label of the checkpoint, if it has one. */
	readonly label: string | undefined
	/** The state of the application. */
	readonly state: S
	/** Index of the next event. */
	readonly eventIndex: number
	/** Time of the checkpoint, in ms since 1970. */
	readonly tsMs: number
	/** Seq of its record in the chain; 0 without a chain. */
	readonly seq: number
}

/** Events that match a query, and the number of missing ones. */
export interface EventSlice {
	/** The events, in order. */
	readonly events: readonly SessionEvent[]
	/**
	 * Number of matching events that were dropped from memory or are absent from the chain. Exact for a query
	 * by index, an upper bound for a query by time or kind.
	 */
	readonly missing: number
}

/** A session in a chain. */
export interface SessionInfo {
	/** Id of the session. */
	readonly id: string
	/** Epoch of the chain in which it was recorded. */
	readonly epoch: number
	/**
	 * Time of the record that started it; if that record is absent, the time of the first record that is
	 * present.
	 */
	readonly startedMs: number
	/** Time of the record that stopped it; undefined for an active session and if its process died. */
	readonly stoppedMs: number | undefined
	/**
	 * Seq of the record that started it. If that record is absent, the seq of the record before its first
	 * event, as far as known.
	 */
	readonly startSeq: number
	/** Seq of the record that stopped it, or of its last record. */
	readonly endSeq: number
	/** Index of its first event in this chain; above 0 for an imported session. */
	readonly firstIndex: number
}

/** A session as plain JSON data, for `Recorder.import`. */
export interface Session {
	/** Id of the session. */
	readonly id: string
	/** Time of its start, in ms since 1970. */
	readonly startedMs: number
	/** Time of its stop, in ms since 1970; null for an active session. */
	readonly stoppedMs: number | null
	/** The events, with their records in the JSON dialect. */
	readonly events: readonly { readonly index: number; readonly record: Readonly<Record<string, unknown>> }[]
	/** The checkpoints, with their `state` in the JSON dialect. */
	readonly checkpoints: readonly {
		readonly id: string
		readonly label: string | null
		readonly state: unknown
		readonly eventIndex: number
		readonly tsMs: number
		readonly seq: number
	}[]
	/**
	 * Number of events of this session that are not in `events`: every index below the next one is in
	 * `events` or counted here.
	 */
	readonly droppedEvents: number
	/** Number of checkpoints of this session that are not in `checkpoints`. */
	readonly droppedCheckpoints: number
}

/**
 * Returns a time as milliseconds.
 *
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export function checkTime(name: string, time: number | Date): number {
	const ms = time instanceof Date ? time.getTime() : time
	if (isTimeBound(ms)) return ms
	throw invalidOption(
		name,
		time,
		'a valid Date, or milliseconds since 1970 that a Date can hold, or infinite',
	)
}
