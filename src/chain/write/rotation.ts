/** When the live file of a chain is full. Pure. */
import type { LiveFile } from './retention.ts'

/** Infinity for never. */
export interface FileBounds {
	readonly bytes: number
	readonly records: number
}

export interface RotationBounds extends FileBounds {
	readonly ageMs: number
}

/**
 * Whether a file is as large as it may be, or as old. One that was begun further from now than that, before or after, is: a clock was
 * wrong then or is now, and a new file too many does no harm.
 */
export function isRotationDue(bounds: RotationBounds, live: LiveFile, clock: () => number): boolean {
	if (live.bytes >= bounds.bytes || live.records >= bounds.records) return true
	if (bounds.ageMs === Number.POSITIVE_INFINITY || live.records === 0) return false
	const nowMs = clock()
	// Where its beginning is not known, neither is that it is young.
	return Number.isFinite(nowMs) && !(Math.abs(nowMs - live.begunMs) < bounds.ageMs)
}
