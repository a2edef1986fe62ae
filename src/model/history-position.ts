/** A position in the history of a chain: a seq or a time. */
import { isPointInTime } from './record.ts'

/**
 * A position in a history: a seq, from 0, or a time in milliseconds since 1970 UTC.
 *
 * Both bounds of a range are inclusive. A position before the first record means the beginning of history,
 * and a position after the last record means the end. A range that starts at a time starts with the first
 * record at or after that time. A range that ends at a time excludes records after that time.
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
