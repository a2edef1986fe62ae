/**
 * Decides which sealed files of a chain to remove: whole files, oldest first, as few as possible. Does no
 * I/O: `sealed-files.ts` removes the files, and `maintenance.ts` decides when.
 *
 * Invariant: a single clock reading is never enough for a file to count as too old. The start time of a file
 * is also a single reading, and may be wrong by years.
 */

/**
 * Upper bounds on a chain's size, number of records and age. Sealed files are removed, oldest first, until
 * all bounds are met. The live file is never removed.
 */
export interface Retention {
	readonly bytes?: number | undefined
	readonly records?: number | undefined
	/** Maximum time since a file was sealed, in milliseconds. */
	readonly ageMs?: number | undefined
}

/** The properties of a sealed file that retention uses. */
export interface RetainedFile {
	readonly path: string
	readonly firstSeq: number
	readonly bytes: number
	/** Number of seqs from this file's first seq up to, but not including, the next file's first seq. */
	readonly records: number
	/** Start time of the file, according to the clock of its writer; undefined if the header is damaged. */
	readonly begunMs: number | undefined
}

/** The properties of the live file that retention uses. */
export type LiveFile = Pick<RetainedFile, 'bytes' | 'records' | 'begunMs'>

/**
 * Returns the number of files to remove from the start of `sealed`, which is ordered from oldest to newest.
 */
export function countToRemove(
	sealed: readonly RetainedFile[],
	live: LiveFile,
	limits: Retention,
	nowMs: number,
): number {
	const { ageMs = Number.POSITIVE_INFINITY } = limits
	const sealedMs = ageMs === Number.POSITIVE_INFINITY ? [] : sealingTimes([...sealed, live])
	let bytes = sealed.reduce((sum, file) => sum + file.bytes, live.bytes)
	let records = sealed.reduce((sum, file) => sum + file.records, live.records)
	let count = 0
	for (const [index, file] of sealed.entries()) {
		const isTooMuch = bytes > (limits.bytes ?? Number.POSITIVE_INFINITY)
		const isTooMany = records > (limits.records ?? Number.POSITIVE_INFINITY)
		const isTooOld = nowMs - (sealedMs[index] ?? nowMs) > ageMs
		if (!isTooMuch && !isTooMany && !isTooOld) break
		bytes -= file.bytes
		records -= file.records
		count++
	}
	return count
}

/**
 * Returns the times at which all files except the last were sealed. A file is sealed when the next file
 * starts. Ignores start times that are out of order, because they come from a wrong clock. Ignores the
 * current time, because it may be the same reading as the start time of the live file, which would then count
 * twice.
 */
function sealingTimes(files: readonly Pick<RetainedFile, 'begunMs'>[]): number[] {
	// NaN is never in order with any other time.
	const times = files.map(({ begunMs = Number.NaN }) => begunMs)
	const believed = mostInOrder(times)
	let sealedMs = Number.POSITIVE_INFINITY
	const sealed: number[] = []
	for (let index = times.length - 1; index > 0; index--) {
		if (believed.has(index)) sealedMs = times[index]!
		sealed[index - 1] = sealedMs
	}
	return sealed
}

/**
 * Returns the indices of the longest subsequence of times that never decreases. If several are equally long,
 * returns the one with the later times.
 */
function mostInOrder(times: readonly number[]): ReadonlySet<number> {
	if (times.every((ms, index) => index === 0 || times[index - 1]! <= ms)) return new Set(times.keys())
	const best: { readonly count: number; readonly before: number }[] = []
	let last = 0
	for (const [index, ms] of times.entries()) {
		let count = 0
		let before = -1
		for (let earlier = 0; earlier < index; earlier++) {
			const isBetter = best[earlier]!.count > count
			const isLater = best[earlier]!.count === count && times[earlier]! >= (times[before] ?? -Infinity)
			if (times[earlier]! <= ms && (isBetter || isLater)) {
				count = best[earlier]!.count
				before = earlier
			}
		}
		best.push({ count: count + 1, before })
		const most = best[last]!.count
		if (count + 1 > most || (count + 1 === most && ms >= times[last]!)) last = index
	}
	const found = new Set<number>()
	for (let index = last; index >= 0; index = best[index]!.before) found.add(index)
	return found
}
