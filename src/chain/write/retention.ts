/**
 * Which sealed files of a chain may go: whole ones, from the head only, as few as it takes. Pure.
 *
 * Invariant: no single reading of the clock decides that a file is old. A file begins with such a reading, and one may be years off.
 */

/** Upper bounds of what a chain keeps; all of them hold, as far as whole files allow. The live file always stays. */
export interface Retention {
	readonly bytes?: number | undefined
	readonly records?: number | undefined
	/** A file goes once it was sealed longer ago than this. */
	readonly ageMs?: number | undefined
}

/** A sealed file, as retention sees it. */
export interface RetainedFile {
	readonly path: string
	readonly firstSeq: number
	readonly bytes: number
	/** From its first seq to the next file's. */
	readonly records: number
	/** When its first byte was written, by the clock of its writer; NaN where the header is damaged. */
	readonly begunMs: number
}

/** The file that is being written. */
export type LiveFile = Pick<RetainedFile, 'bytes' | 'records' | 'begunMs'>

/** How many files at the head are to be removed, given those that are sealed, oldest first, and the live one. */
export function countToRemove(
	sealed: readonly RetainedFile[],
	live: LiveFile,
	limits: Retention,
	nowMs: number,
): number {
	const { ageMs = Number.POSITIVE_INFINITY } = limits
	const sealedMs = ageMs === Number.POSITIVE_INFINITY ? [] : sealingTimes([...sealed, live], nowMs)
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
 * When each file but the last was sealed: when the next one began. A time that is not between its neighbours' is one that some clock
 * was wrong about; then the second earliest of all later times counts, which no single wrong one makes too early.
 */
function sealingTimes(files: readonly Pick<RetainedFile, 'begunMs'>[], nowMs: number): number[] {
	const times = [...files.map(({ begunMs }) => begunMs), nowMs].map((ms) =>
		Number.isNaN(ms) ? Number.POSITIVE_INFINITY : ms,
	)
	return files.slice(1).map((_file, index) => {
		const [begun, sealed, after] = times.slice(index, index + 3) as [number, number, number]
		if (begun <= sealed && sealed <= after) return sealed
		return secondSmallest(times.slice(index + 1))
	})
}

function secondSmallest(times: readonly number[]): number {
	let [first, second] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
	for (const time of times) {
		if (time < first) [first, second] = [time, first]
		else if (time < second) second = time
	}
	return second
}
