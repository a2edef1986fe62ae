/**
 * Decides when to save a position: after a number of records, or at most a given time after the first unsaved
 * record.
 */

/** The intervals of a schedule. */
export interface SaveIntervals {
	readonly saveIntervalRecords: number
	readonly saveIntervalMs: number
}

/** Decides when the position of one reader is saved. */
export class SaveSchedule {
	readonly #intervals: SaveIntervals
	readonly #save: () => void
	#timer: NodeJS.Timeout | undefined
	#isStopped = false

	/** @param save Called when a scheduled save is due. */
	constructor(intervals: SaveIntervals, save: () => void) {
		this.#intervals = intervals
		this.#save = save
	}

	/** Returns whether this number of unsaved records requires an immediate save. */
	isDue(unsavedRecords: number): boolean {
		return unsavedRecords >= this.#intervals.saveIntervalRecords
	}

	/** Schedules a save, unless one is already scheduled. */
	later(): void {
		if (this.#isStopped) return
		this.#timer ??= setTimeout(this.#save, this.#intervals.saveIntervalMs)
	}

	/** Cancels the scheduled save. Every save, including a scheduled one, calls this method first. */
	cancel(): void {
		clearTimeout(this.#timer)
		this.#timer = undefined
	}

	/** Cancels the scheduled save, and prevents further ones. */
	stop(): void {
		this.#isStopped = true
		this.cancel()
	}
}
