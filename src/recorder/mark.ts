/** What the records say that sessions leave in a chain. */
import type { LogRecord } from '../record.ts'
import type { Checkpoint, CheckpointMark, SessionMark } from './session.ts'

/** What a mark carries; undefined for a record that somebody else wrote under its kind. */
export function markOf<M>({ data }: LogRecord, key: keyof M & string): M | undefined {
	if (typeof data !== 'object' || data === null) return undefined
	return typeof (data as Readonly<Record<string, unknown>>)[key] === 'string' ? (data as M) : undefined
}

/** Whether a mark says where in its session it stands. */
export function isPlaced(mark: SessionMark | CheckpointMark): boolean {
	const index: unknown = indexIn(mark)
	return Number.isSafeInteger(index) && (index as number) >= 0
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
