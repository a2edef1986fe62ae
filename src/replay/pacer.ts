/**
 * Decides when each record is due. The time from the first record to any later one is the recorded interval
 * between them, divided by the speed. Intervals are measured from one anchor, so that errors do not
 * accumulate. A change of speed, a resume or a seek moves the anchor and wakes the waiting caller, which
 * checks again.
 *
 * The times in a recording are untrusted input. One wrong time must neither stall a replay for years nor end
 * its pacing. The wait between two records is therefore bounded, and the anchor moves by the skipped time.
 */
import { CLOCK_JUMP_MS } from '../model/limits.ts'
import type { ReplayClock } from './clock.ts'

interface Anchor {
	readonly atMs: number
	readonly tsMs: number
}

/** The intervals that a replay skipped or shortened. */
export interface Shortened {
	/** Number of skipped or shortened intervals. */
	readonly count: number
	/** Total time that was skipped, in milliseconds of recorded time. */
	readonly ms: number
}

/** Waits until records are due. */
export class Pacer {
	readonly #clock: ReplayClock
	readonly #gapMsMax: number | undefined
	#speed: number
	/** Pair of corresponding times: when the clock is at `atMs`, the recording is at `tsMs`. */
	#anchor: Anchor | undefined
	/** Latest time of a record since the anchor was last moved. */
	#newestMs: number | undefined
	/**
	 * Position before the last shortened interval. The replay returns to it if the next record shows that one
	 * wrong time caused the interval.
	 */
	#beforeJump: { readonly anchor: Anchor; readonly newestMs: number } | undefined
	/**
	 * Milliseconds by which the last record is earlier than the one before it, if less than an hour; otherwise
	 * 0. Counted as a shortened interval only if the next record continues from the earlier time.
	 */
	#steppedBackMs = 0
	#shortened = { count: 0, ms: 0 }
	#pausedAt: number | undefined
	#wake: (() => void) | undefined
	#stopped = false

	/**
	 * @param speed Playback speed: 1 is real time, and Infinity means no waits.
	 * @param gapMsMax Maximum interval between two records, in milliseconds of recorded time. Longer intervals
	 * are shortened to this value. If it is undefined, intervals of an hour or more are skipped.
	 */
	constructor(clock: ReplayClock, speed: number, gapMsMax?: number) {
		this.#clock = clock
		this.#speed = speed
		this.#gapMsMax = gapMsMax
	}

	get shortened(): Shortened {
		return { ...this.#shortened }
	}

	get speed(): number {
		return this.#speed
	}

	/** Changes the speed from now on. */
	set speed(speed: number) {
		const tsMs = this.#position()
		this.#speed = speed
		this.#anchorAt(tsMs)
	}

	get isPaused(): boolean {
		return this.#pausedAt !== undefined
	}

	pause(): void {
		this.#pausedAt ??= this.#clock.now()
		this.wake()
	}

	resume(): void {
		if (this.#pausedAt === undefined) return
		const pausedMs = this.#clock.now() - this.#pausedAt
		this.#pausedAt = undefined
		if (this.#anchor !== undefined) this.#anchor = { ...this.#anchor, atMs: this.#anchor.atMs + pausedMs }
		this.wake()
	}

	/**
	 * Sets the current time of the recording. If `tsMs` is undefined, pacing starts again with the next record.
	 */
	restart(tsMs?: number): void {
		if (this.#pausedAt !== undefined) this.#pausedAt = this.#clock.now()
		this.#newestMs = tsMs
		this.#anchorAt(tsMs)
	}

	/** Ends all waits. */
	stop(): void {
		this.#stopped = true
		this.wake()
	}

	/** Wakes the waiting caller so that it checks again. */
	wake(): void {
		this.#wake?.()
	}

	/**
	 * Waits until a record with this time is due. Resolves to how late the record is, in milliseconds. Resolves
	 * to 0 if {@link stop} is called or the record is no longer wanted.
	 *
	 * @param waiting Function that is called before each wait with the length of the wait in milliseconds. It
	 * returns the number of milliseconds until the next call.
	 */
	async due(
		tsMs: number,
		isStillWanted: () => boolean = () => true,
		waiting?: (ms: number) => number,
	): Promise<number> {
		this.#shorten(tsMs)
		return this.#passed(tsMs, isStillWanted, waiting)
	}

	async #passed(
		tsMs: number,
		isStillWanted: () => boolean,
		waiting: (ms: number) => number = () => Number.POSITIVE_INFINITY,
	): Promise<number> {
		for (;;) {
			if (this.#stopped || !isStillWanted()) return 0
			if (this.#pausedAt === undefined) {
				const lateMs = this.#lateMs(tsMs)
				if (lateMs >= 0) return lateMs
				await this.#wait(Math.min(-lateMs, waiting(-lateMs)))
			} else await this.#wait(Number.POSITIVE_INFINITY)
		}
	}

	/** Resolves when the pacer is no longer paused. */
	async resumed(isStillWanted: () => boolean): Promise<void> {
		while (this.isPaused && !this.#stopped && isStillWanted()) await this.#wait(Number.POSITIVE_INFINITY)
	}

	/** Resolves when the recording has reached this time, or immediately if no record has been paced yet. */
	async reached(tsMs: number, isStillWanted: () => boolean): Promise<void> {
		if (this.#anchor === undefined || this.#newestMs === undefined) return
		const aheadMs = Math.max(0, tsMs - this.#newestMs)
		await this.#passed(tsMs - aheadMs + this.#waitedMs(aheadMs), isStillWanted)
	}

	/**
	 * Moves the anchor by the skipped time. If recorded times go backwards, pacing continues from the earlier
	 * time, unless the next record returns to the later time. In that case, a small step backwards is not
	 * counted, because records from several clocks may alternate.
	 */
	#shorten(tsMs: number): void {
		this.#returnTo(tsMs)
		this.#shortened.count += this.#steppedBackMs > 0 ? 1 : 0
		this.#shortened.ms += this.#steppedBackMs
		this.#steppedBackMs = 0
		const anchor = this.#anchor
		const before = this.#newestMs
		this.#newestMs = Math.max(before ?? tsMs, tsMs)
		if (before === undefined || anchor === undefined) return
		const distanceMs = tsMs - before
		const isSmallStepBack = distanceMs <= 0 && distanceMs > -CLOCK_JUMP_MS
		const leftOutMs = distanceMs - this.#waitedMs(distanceMs)
		if (leftOutMs === 0) return
		this.#beforeJump = { anchor, newestMs: before }
		this.#newestMs = tsMs
		this.#anchor = { ...anchor, tsMs: anchor.tsMs + leftOutMs }
		if (isSmallStepBack) {
			this.#steppedBackMs = -distanceMs
			return
		}
		this.#shortened.count++
		this.#shortened.ms += Math.abs(leftOutMs)
	}

	/**
	 * Returns to the position before the last shortened interval, unless the given time is closer to the
	 * current one.
	 */
	#returnTo(tsMs: number): void {
		const before = this.#beforeJump
		if (before === undefined || this.#newestMs === undefined) return
		if (Math.abs(tsMs - before.newestMs) > Math.abs(tsMs - this.#newestMs)) return
		this.#anchor = before.anchor
		this.#newestMs = before.newestMs
		this.#beforeJump = undefined
		this.#steppedBackMs = 0
	}

	/** Returns how much of an interval between two records to wait for, in milliseconds of recorded time. */
	#waitedMs(distanceMs: number): number {
		if (this.#gapMsMax !== undefined) return Math.max(0, Math.min(distanceMs, this.#gapMsMax))
		return distanceMs >= CLOCK_JUMP_MS ? 0 : Math.max(0, distanceMs)
	}

	#lateMs(tsMs: number): number {
		if (this.#speed === Number.POSITIVE_INFINITY) return 0
		const now = this.#clock.now()
		this.#anchor ??= { atMs: now, tsMs }
		const dueMs = this.#anchor.atMs + Math.max(0, tsMs - this.#anchor.tsMs) / this.#speed
		return now - dueMs
	}

	/** Returns the current time of the recording. */
	#position(): number | undefined {
		if (this.#anchor === undefined || this.#speed === Number.POSITIVE_INFINITY) return undefined
		const now = this.#pausedAt ?? this.#clock.now()
		return this.#anchor.tsMs + (now - this.#anchor.atMs) * this.#speed
	}

	#anchorAt(tsMs: number | undefined): void {
		this.#beforeJump = undefined
		this.#steppedBackMs = 0
		const atMs = this.#pausedAt ?? this.#clock.now()
		this.#anchor = tsMs === undefined ? undefined : { atMs, tsMs }
		this.wake()
	}

	#wait(ms: number): Promise<void> {
		return new Promise((resolve) => {
			const cancel = ms === Number.POSITIVE_INFINITY ? () => {} : this.#clock.after(ms, () => this.wake())
			this.#wake = () => {
				this.#wake = undefined
				cancel()
				resolve()
			}
		})
	}
}
