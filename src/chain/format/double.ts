/**
 * Reads and writes the fields at fixed positions in headers, anchors and watermark slots: constant bytes, and
 * float64 values of nine bytes each (tag and value).
 */

/** A template with only the constant bytes set, and the positions of these bytes. */
export interface Tags {
	readonly bytes: Buffer
	readonly places: readonly number[]
}

/** @param runs Runs of constant bytes. Each run starts with the position of its first byte. */
export function tagged(length: number, runs: readonly (readonly number[])[]): Tags {
	const bytes = Buffer.alloc(length)
	const places = runs.flatMap(([at = 0, ...run]) => run.map((_byte, index) => at + index))
	for (const [at = 0, ...run] of runs) bytes.set(run, at)
	return { bytes, places }
}

/** Returns whether the bytes at `pos` match all constant bytes of a template. */
export function hasTags(bytes: Uint8Array, pos: number, tags: Tags): boolean {
	for (const place of tags.places) if (bytes[pos + place] !== tags.bytes[place]) return false
	return true
}

export function writeDouble(bytes: Buffer, pos: number, value: number): void {
	bytes[pos] = 0xcb
	bytes.writeDoubleBE(value, pos + 1)
}

export function readDouble(bytes: Buffer, pos: number): number {
	return bytes.readDoubleBE(pos + 1)
}
