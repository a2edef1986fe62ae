/** A position in the history of a chain: a record, or a moment. */
import { isPointInTime } from './record.ts'

/**
 * A position in history: the record with this seq (from 0), or a moment in milliseconds since 1970 UTC.
 *
 * Both bounds are inclusive. A position before the first record is the beginning of history, one after the
 * last record is its end. Where something starts at a moment, it starts with the first record that is not
 * earlier; where it stops at a moment, no later record is included.
 */
export type HistoryPosition = { readonly seq: number } | { readonly tsMs: number }

/** The position that a value describes; undefined for a value that describes none, or two. */
export function positionFrom(value: unknown): HistoryPosition | undefined {
	const { seq, tsMs } = (value ?? {}) as { readonly seq?: unknown; readonly tsMs?: unknown }
	if (tsMs === undefined && Number.isSafeInteger(seq) && (seq as number) >= 0) return { seq: seq as number }
	return seq === undefined && isPointInTime(tsMs) ? { tsMs } : undefined
}
