/** What entries of fixed fields are made of: the bytes that are the same in all of them, and float64s of nine bytes, tag and value. */

/** The bytes of an entry that never change, and where they stand. */
export interface Tags {
	readonly bytes: Buffer
	readonly places: readonly number[]
}

/** @param runs of such bytes, each after the position of its first. */
export function tagged(length: number, runs: readonly (readonly number[])[]): Tags {
	const bytes = Buffer.alloc(length)
	const places = runs.flatMap(([at = 0, ...run]) => run.map((_byte, index) => at + index))
	for (const [at = 0, ...run] of runs) bytes.set(run, at)
	return { bytes, places }
}

/** Whether the entry at `pos`, all of which is there, has them. */
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
