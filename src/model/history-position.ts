/** A position in the history of a chain: a record, or a moment. */
import { isPointInTime } from './record.ts'

/**
 * A position in history: the record with this seq (from 0), or a moment in milliseconds since 1970 UTC.
 *
 * Both bounds are inclusive. A position before the first record means the beginning of history; a position
 * after the last record means its end. A range that starts at a moment starts with the first record that is
 * not earlier. A range that stops at a moment includes no later record.
 */
export type HistoryPosition = { readonly seq: number } | { readonly tsMs: number }

/** Returns the position that a value describes; undefined if the value describes no position or two. */
export function positionFrom(value: unknown): HistoryPosition | undefined {
	const { seq, tsMs } = (value ?? {}) as { readonly seq?: unknown; readonly tsMs?: unknown }
	if (tsMs === undefined && Number.isSafeInteger(seq) && (seq as number) >= 0) return { seq: seq as number }
	return seq === undefined && isPointInTime(tsMs) ? { tsMs } : undefined
}
