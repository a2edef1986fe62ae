/**
 * What the records say that sessions leave in a chain. Anyone may have written them, with an import for instance: a record is a mark only
 * where each field of the mark has its type.
 */

import type { CheckpointMark, SessionMark } from '../model/own-events.ts'
import type { LogRecord } from '../model/record.ts'
import { CHECKPOINT_KIND, type Checkpoint } from './session.ts'

type Raw = { readonly [Name in keyof CheckpointMark | 'action' | 'firstIndex' | 'nextIndex']?: unknown }

/** What a mark carries; undefined for a record that somebody else wrote under its kind. */
export function markOf(record: LogRecord): SessionMark | CheckpointMark | undefined {
	return record.kind === CHECKPOINT_KIND ? checkpointMarkOf(record) : sessionMarkOf(record)
}

export function checkpointMarkOf({ data }: LogRecord): CheckpointMark | undefined {
	const { recorder, session, id, label = null, eventIndex, state } = (data ?? {}) as Raw
	if (typeof recorder !== 'string' || typeof session !== 'string' || typeof id !== 'string') return undefined
	if (!(typeof label === 'string' || label === null) || !isIndex(eventIndex)) return undefined
	return { recorder, session, id, label, eventIndex, state }
}

function sessionMarkOf({ data }: LogRecord): SessionMark | undefined {
	const { recorder, session, action, firstIndex, nextIndex } = (data ?? {}) as Raw
	if (typeof recorder !== 'string' || typeof session !== 'string') return undefined
	if (action === 'start' && isIndex(firstIndex)) return { recorder, session, action, firstIndex }
	if (action === 'stop' && isIndex(nextIndex)) return { recorder, session, action, nextIndex }
	return undefined
}

/** Of the event behind a mark. */
export function indexIn(mark: SessionMark | CheckpointMark): number {
	if ('eventIndex' in mark) return mark.eventIndex
	return mark.action === 'start' ? mark.firstIndex : mark.nextIndex
}

export function checkpointOf<S>({ seq, tsMs }: LogRecord, mark: CheckpointMark): Checkpoint<S> {
	const { id, label, eventIndex, state } = mark
	return { id, label: label ?? undefined, state: state as S, eventIndex, tsMs, seq }
}

function isIndex(value: unknown): value is number {
	return Number.isSafeInteger(value) && (value as number) >= 0
}
