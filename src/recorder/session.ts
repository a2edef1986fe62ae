/** Types for recorded history: sessions, events and checkpoints. */
import { invalidOption } from '../model/check.ts'
import { isTimeBound, type LogRecord } from '../model/record.ts'

/** An event of a session. */
export interface SessionEvent {
	/**
	 * Zero-based index of the event in the session. The index does not change when older events are dropped.
	 */
	readonly index: number
	/** The record of the event. */
	readonly record: LogRecord
}

/** A named snapshot of application state within a session. */
export interface Checkpoint<S = unknown> {
	/** Id of the checkpoint. */
	readonly id: string
	/** Label of the checkpoint, if any. */
	readonly label: string | undefined
	/** State of the application. */
	readonly state: S
	/** Index of the next event. */
	readonly eventIndex: number
	/** Time of the checkpoint, in milliseconds since 1970. */
	readonly tsMs: number
	/** Seq of the checkpoint record; 0 if no record was published. */
	readonly seq: number
}

/** The events that match a query, and the number of missing events. */
export interface EventSlice {
	/** The events, in order. */
	readonly events: readonly SessionEvent[]
	/**
	 * Number of matching events that were dropped from memory or are absent from the chain. Exact for a query
	 * by index, and an upper bound for a query by time or kind.
	 */
	readonly missing: number
}

/** A session in a chain. */
export interface SessionInfo {
	/** Id of the session. */
	readonly id: string
	/** Epoch of the chain in which the session was recorded. */
	readonly epoch: number
	/**
	 * Time of the start record. If that record is absent, the time of the session's first record that is
	 * present.
	 */
	readonly startedMs: number
	/** Time of the stop record; undefined if the session is active or its process died. */
	readonly stoppedMs: number | undefined
	/** Seq of the start record. If that record is absent, the seq before the session's first event. */
	readonly startSeq: number
	/** Seq of the stop record. If there is no stop record, the seq of the session's last record. */
	readonly endSeq: number
	/** Index of the session's first event in this chain; greater than 0 for an imported session. */
	readonly firstIndex: number
}

/** A session as plain JSON data, for `Recorder.import`. */
export interface Session {
	/** Id of the session. */
	readonly id: string
	/** Time of the start, in milliseconds since 1970. */
	readonly startedMs: number
	/** Time of the stop, in milliseconds since 1970; null for an active session. */
	readonly stoppedMs: number | null
	/** The events. Their records are in the JSON dialect. */
	readonly events: readonly { readonly index: number; readonly record: Readonly<Record<string, unknown>> }[]
	/** The checkpoints. Their `state` is in the JSON dialect. */
	readonly checkpoints: readonly {
		readonly id: string
		readonly label: string | null
		readonly state: unknown
		readonly eventIndex: number
		readonly tsMs: number
		readonly seq: number
	}[]
	/** Number of events of this session that are not in `events`. */
	readonly droppedEvents: number
	/** Number of checkpoints of this session that are not in `checkpoints`. */
	readonly droppedCheckpoints: number
}

/**
 * Converts a time to milliseconds since 1970.
 *
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export function checkTime(name: string, time: number | Date): number {
	const ms = time instanceof Date ? time.getTime() : time
	if (isTimeBound(ms)) return ms
	throw invalidOption(name, time, 'a valid Date, Infinity, -Infinity, or milliseconds in the range of a Date')
}
