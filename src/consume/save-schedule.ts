/**
 * When to save a position: after a number of records, and at the latest some time after the first unsaved
 * one.
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

	/** @param save is called when a scheduled save is due. */
	constructor(intervals: SaveIntervals, save: () => void) {
		this.#intervals = intervals
		this.#save = save
	}

	/** Whether this many unsaved records must be saved at once. */
	isDue(unsavedRecords: number): boolean {
		return unsavedRecords >= this.#intervals.saveIntervalRecords
	}

	/** Schedules a save, unless one is scheduled already. */
	later(): void {
		if (this.#isStopped) return
		this.#timer ??= setTimeout(this.#save, this.#intervals.saveIntervalMs)
	}

	/** Cancels the scheduled save. Every save begins with this, a scheduled one too. */
	cancel(): void {
		clearTimeout(this.#timer)
		this.#timer = undefined
	}

	/** Cancels the scheduled save, and schedules no other. */
	stop(): void {
		this.#isStopped = true
		this.cancel()
	}
}
