/** The shapes of recorded history: sessions, their events, their checkpoints. */
import { invalidOption } from '../model/check.ts'
import { isTimeBound, type LogRecord } from '../model/record.ts'

/** The kinds of the records that sessions leave in a chain. */
export const SESSION_KIND = '$session'
export const CHECKPOINT_KIND = '$checkpoint'

/** A record of a session. */
export interface SessionEvent {
	/** From 0 in its session; goes on when the oldest are dropped. */
	readonly index: number
	readonly record: LogRecord
}

/** A named snapshot of application state within a session. */
export interface Checkpoint<S = unknown> {
	readonly id: string
	readonly label: string | undefined
	readonly state: S
	/** Of the event that came next. */
	readonly eventIndex: number
	readonly tsMs: number
	/** Of its own record in the chain; 0 where it is in none. */
	readonly seq: number
}

/** An answer, and how complete it is. */
export interface EventSlice {
	readonly events: readonly SessionEvent[]
	/**
	 * Events that were asked for and are not there any more: dropped, or absent from the chain. Asked by index so many, asked by time or
	 * kind at the most so many.
	 */
	readonly missing: number
}

/** One session of a chain. */
export interface SessionInfo {
	readonly id: string
	readonly epoch: number
	/** Where its beginning is gone, the time of the first record that is left. */
	readonly startedMs: number
	/** Null when it is active, or its process died. */
	readonly stoppedMs: number | null
	/** Of the record that began it. Where that is gone: what is before its first event, by the count of its next mark. */
	readonly startSeq: number
	/** Of the record that ended it, or of the last one that it holds. */
	readonly endSeq: number
	/** Index of its first event here: above 0 where it was imported. */
	readonly firstIndex: number
}

/** A session as plain data: `JSON.stringify` keeps all of it, and what it makes of it can be imported. */
export interface Session {
	readonly id: string
	readonly startedMs: number
	/** Null while it is active. */
	readonly stoppedMs: number | null
	/** Records as the JSON dialect has them, with their index. */
	readonly events: readonly { readonly index: number; readonly record: Readonly<Record<string, unknown>> }[]
	/** `state` as the JSON dialect has it. */
	readonly checkpoints: readonly {
		readonly id: string
		readonly label: string | null
		readonly state: unknown
		readonly eventIndex: number
		readonly tsMs: number
		readonly seq: number
	}[]
	/** Of this session, and in it no more: of every index below the next one there is an event, or it is counted here. */
	readonly droppedEvents: number
	readonly droppedCheckpoints: number
}

/** @throws {MeshChainError} `INVALID_OPTION` */
export function checkTime(name: string, time: number | Date): number {
	const ms = time instanceof Date ? time.getTime() : time
	if (isTimeBound(ms)) return ms
	throw invalidOption(name, time, 'milliseconds since 1970 that a Date can hold, infinite, or a valid Date')
}
