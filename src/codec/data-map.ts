/** Recognises maps among canonical values. */

/** A canonical value that is a map. */
export type DataMap = Readonly<Record<string, unknown>>

/**
 * Returns whether data is a map. A format can write the fields of a map next to the other fields of a record.
 */
export function isMap(data: unknown): data is DataMap {
	if (typeof data !== 'object' || data === null || Array.isArray(data)) return false
	return !(data instanceof Date || data instanceof Uint8Array)
}
