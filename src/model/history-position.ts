/** A position in the history of a chain, given as a record or a moment. */
import { isPointInTime } from './record.ts'

/**
 * A position in history: the seq of a record, from 0, or a moment in milliseconds since 1970 UTC.
 *
 * Both bounds of a range are inclusive. A position before the first record means the beginning of history,
 * and a position after the last record means the end. A range that starts at a moment starts with the first
 * record at or after that moment. A range that ends at a moment includes no record after it.
 */
export type HistoryPosition = { readonly seq: number } | { readonly tsMs: number }

/**
 * Returns the position that a value describes; undefined if the value is invalid or contains both a seq and a
 * time.
 */
export function positionFrom(value: unknown): HistoryPosition | undefined {
	const { seq, tsMs } = (value ?? {}) as { readonly seq?: unknown; readonly tsMs?: unknown }
	if (tsMs === undefined && Number.isSafeInteger(seq) && (seq as number) >= 0) return { seq: seq as number }
	return seq === undefined && isPointInTime(tsMs) ? { tsMs } : undefined
}
