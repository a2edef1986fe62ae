/**
 * The session records in a chain and their data. Any program can write records of these kinds, for example
 * through an import. A record therefore counts as a session record only if every field has the correct type.
 */
import type { CheckpointRecord, RepeatedCheckpoint, SessionRecord } from '../model/own-events.ts'
import { isSeq, type LogRecord } from '../model/record.ts'
import type { Checkpoint } from './session.ts'

/** Kind of the records that start and stop sessions. */
export const SESSION_KIND = '$session'
/** Kind of checkpoint records. */
export const CHECKPOINT_KIND = '$checkpoint'

type Raw = { readonly [Name in keyof CheckpointRecord | 'action' | 'firstIndex' | 'nextIndex']?: unknown }

/** Returns the data of a session record; undefined if the data is not valid. */
export function sessionRecordOf(record: LogRecord): SessionRecord | CheckpointRecord | undefined {
	return record.kind === CHECKPOINT_KIND ? checkpointRecordOf(record) : startOrStopOf(record)
}

/** Returns the data of a checkpoint record; undefined if the data is not valid. */
export function checkpointRecordOf({ data }: LogRecord): CheckpointRecord | undefined {
	const { recorder, session, id, label = null, eventIndex, state, repeats } = (data ?? {}) as Raw
	if (typeof recorder !== 'string' || typeof session !== 'string' || typeof id !== 'string') return undefined
	if (!(typeof label === 'string' || label === null) || !isIndex(eventIndex)) return undefined
	if (repeats === undefined) return { recorder, session, id, label, eventIndex, state }
	return isRepeat(repeats) ? { recorder, session, id, label, eventIndex, state, repeats } : undefined
}

function isRepeat(repeats: unknown): repeats is RepeatedCheckpoint {
	const { seq, events } = (repeats ?? {}) as { readonly [Name in keyof RepeatedCheckpoint]?: unknown }
	return isSeq(seq) && Array.isArray(events) && events.every((event) => typeof event === 'string')
}

function startOrStopOf({ data }: LogRecord): SessionRecord | undefined {
	const { recorder, session, action, firstIndex, nextIndex } = (data ?? {}) as Raw
	if (typeof recorder !== 'string' || typeof session !== 'string') return undefined
	if (action === 'start' && isIndex(firstIndex)) return { recorder, session, action, firstIndex }
	if (action === 'stop' && isIndex(nextIndex)) return { recorder, session, action, nextIndex }
	return undefined
}

/** Returns the index of the first event after a session record. */
export function indexIn(data: SessionRecord | CheckpointRecord): number {
	if ('eventIndex' in data) return data.eventIndex
	return data.action === 'start' ? data.firstIndex : data.nextIndex
}

/** Returns the checkpoint that a record contains. */
export function checkpointOf<S>({ seq, tsMs }: LogRecord, data: CheckpointRecord): Checkpoint<S> {
	const { id, label, eventIndex, state } = data
	return { id, label: label ?? undefined, state: state as S, eventIndex, tsMs, seq }
}

function isIndex(value: unknown): value is number {
	return Number.isSafeInteger(value) && (value as number) >= 0
}
