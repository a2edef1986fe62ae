/** Which sealed files of a chain may go: whole ones, from the head only, as few as it takes. Pure. */

/** Upper bounds of what a chain keeps; all of them hold, as far as whole files allow. The live file always stays. */
export interface Retention {
	readonly bytes?: number | undefined
	readonly records?: number | undefined
	/** A file goes when it was sealed longer ago than this. */
	readonly ageMs?: number | undefined
}

/** A sealed file, as retention sees it. */
export interface RetainedFile {
	readonly path: string
	readonly firstSeq: number
	readonly bytes: number
	/** From its first seq to the next file's. */
	readonly records: number
	readonly sealedMs: number
}

/** How many files at the head are to be removed, given those that are sealed, oldest first, and the size of the live one. */
export function countToRemove(
	sealed: readonly RetainedFile[],
	live: Pick<RetainedFile, 'bytes' | 'records'>,
	limits: Retention,
	nowMs: number,
): number {
	let bytes = sealed.reduce((sum, file) => sum + file.bytes, live.bytes)
	let records = sealed.reduce((sum, file) => sum + file.records, live.records)
	let count = 0
	for (const file of sealed) {
		const isTooMuch = bytes > (limits.bytes ?? Number.POSITIVE_INFINITY)
		const isTooMany = records > (limits.records ?? Number.POSITIVE_INFINITY)
		const isTooOld = nowMs - file.sealedMs > (limits.ageMs ?? Number.POSITIVE_INFINITY)
		if (!isTooMuch && !isTooMany && !isTooOld) break
		bytes -= file.bytes
		records -= file.records
		count++
	}
	return count
}
