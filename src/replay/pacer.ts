/**
 * Decides when each record is due: at its distance from the first one, divided by the speed. Distances are
 * measured from one anchor, so that errors do not add up. A new speed, a pause and a seek set a new anchor;
 * waiting callers wake up and ask again.
 *
 * The times of a recording are input: one wild reading must neither stop a replay for years nor end its
 * pacing. The wait between two records is therefore bounded, and the anchor moves by the time that is
 * skipped.
 */
import { CLOCK_JUMP_MS } from '../model/limits.ts'
import type { ReplayClock } from './clock.ts'

interface Anchor {
	readonly atMs: number
	readonly tsMs: number
}

/** Distances between two records that a replay did not wait for in full. */
export interface Shortened {
	/** Number of those distances. */
	readonly count: number
	/** Total time skipped, in milliseconds of the recording. */
	readonly ms: number
}

/** Waits for the times of a recording. */
export class Pacer {
	readonly #clock: ReplayClock
	readonly #gapMsMax: number | undefined
	#speed: number
	/** Pair of times: when the clock is at `atMs`, the recording is at `tsMs`. */
	#anchor: Anchor | undefined
	/** Latest time requested since the anchor was last set. */
	#newestMs: number | undefined
	/** Position before the last shortened distance: the next record may show that one reading was wild. */
	#beforeJump: { readonly anchor: Anchor; readonly newestMs: number } | undefined
	/**
	 * Size of the last record's step back, below an hour. It counts only if the next record continues from
	 * there.
	 */
	#steppedBackMs = 0
	#shortened = { count: 0, ms: 0 }
	#pausedAt: number | undefined
	#wake: (() => void) | undefined
	#stopped = false

	/**
	 * @param speed factor; 1 is real time, and Infinity never waits.
	 * @param gapMsMax longest distance between two records, in recorded time; longer ones are shortened to
	 * it. Without it, a distance of an hour or more is skipped.
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

	/** Sets the present time of the recording. Without one, the next record is the first one again. */
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

	/** Wakes waiting callers, which check again. */
	wake(): void {
		this.#wake?.()
	}

	/**
	 * Resolves when a record of this time is due, with the delay in milliseconds. Resolves at once after
	 * {@link stop}.
	 *
	 * @param waiting is called before each wait with its length in milliseconds, and returns the number of
	 * milliseconds until its next call.
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

	/** Resolves when the pacer is not paused. */
	async resumed(isStillWanted: () => boolean): Promise<void> {
		while (this.isPaused && !this.#stopped && isStillWanted()) await this.#wait(Number.POSITIVE_INFINITY)
	}

	/** Resolves when the recording has reached this time; at once if no record has been paced yet. */
	async reached(tsMs: number, isStillWanted: () => boolean): Promise<void> {
		if (this.#anchor === undefined || this.#newestMs === undefined) return
		const aheadMs = Math.max(0, tsMs - this.#newestMs)
		await this.#passed(tsMs - aheadMs + this.#waitedMs(aheadMs), isStillWanted)
	}

	/**
	 * Moves the anchor by the time that is skipped. After a step back the recording continues from there,
	 * unless the next record returns. A small step back counts only if the next record does not return,
	 * because several clocks may write in turn.
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

	/** Continues from the position before a jump, unless that is farther away. */
	#returnTo(tsMs: number): void {
		const before = this.#beforeJump
		if (before === undefined || this.#newestMs === undefined) return
		if (Math.abs(tsMs - before.newestMs) > Math.abs(tsMs - this.#newestMs)) return
		this.#anchor = before.anchor
		this.#newestMs = before.newestMs
		this.#beforeJump = undefined
		this.#steppedBackMs = 0
	}

	/** Returns the part of a distance between two records to wait for. */
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

	/** The present time of the recording. */
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
