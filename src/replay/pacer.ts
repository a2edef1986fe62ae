/**
 * When each record is due: at its distance from the first one, divided by the rate, measured from one anchor so that nothing
 * drifts. A change of the rate, a pause and a seek set a new anchor; whoever waits is woken and asks again.
 *
 * The times of a recording are input: one wild reading must neither stop a replay for years nor end its pacing. So no wait between two
 * records is longer than a bound, and the anchor moves by what was not waited for.
 */
import { CLOCK_JUMP_MS } from '../model/limits.ts'
import type { ReplayClock } from './clock.ts'

interface Anchor {
	readonly atMs: number
	readonly tsMs: number
}

/** Distances between the times of two records that were not waited for in full. */
export interface Shortened {
	readonly count: number
	/** What was left out of them in all, in milliseconds of the recording. */
	readonly ms: number
}

export class Pacer {
	readonly #clock: ReplayClock
	readonly #gapMsMax: number | undefined
	#speed: number
	/** At `atMs` of the clock the recording is at `tsMs`. */
	#anchor: Anchor | undefined
	/** The latest time that was asked for since the anchor was set anew. */
	#newestMs: number | undefined
	/** Where the recording was before the last distance that was shortened: the next record may show that only one reading was wild. */
	#beforeJump: { readonly anchor: Anchor; readonly newestMs: number } | undefined
	/** The last record stepped back by so much, less than an hour: not counted before the next one continues from there. */
	#steppedBackMs = 0
	#shortened = { count: 0, ms: 0 }
	#pausedAt: number | undefined
	#wake: (() => void) | undefined
	#stopped = false

	/**
	 * @param speed how many times faster than life; Infinity waits for nothing.
	 * @param gapMsMax the longest distance between two records, in recorded time, that is waited for; a longer one is shortened to it. Without it
	 * a distance of an hour or more is not waited for at all.
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

	/** From now on so many times faster than life. */
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

	/** It is this time of the recording now; without one, the next record that is asked for is the first one again. */
	restart(tsMs?: number): void {
		if (this.#pausedAt !== undefined) this.#pausedAt = this.#clock.now()
		this.#newestMs = tsMs
		this.#anchorAt(tsMs)
	}

	/** Nobody waits any more. */
	stop(): void {
		this.#stopped = true
		this.wake()
	}

	/** Lets whoever waits look again. */
	wake(): void {
		this.#wake?.()
	}

	/**
	 * Resolves once a record of this time is due, to how many milliseconds late that is; at once after {@link stop}.
	 *
	 * @param waiting is called before each wait with its length in milliseconds, and answers after how many it wants to be called again.
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

	/** Resolves when there is no pause. */
	async resumed(isStillWanted: () => boolean): Promise<void> {
		while (this.isPaused && !this.#stopped && isStillWanted()) await this.#wait(Number.POSITIVE_INFINITY)
	}

	/** Resolves when the recording has come to this time; at once where no record was paced yet. */
	async reached(tsMs: number, isStillWanted: () => boolean): Promise<void> {
		if (this.#anchor === undefined || this.#newestMs === undefined) return
		const aheadMs = Math.max(0, tsMs - this.#newestMs)
		await this.#passed(tsMs - aheadMs + this.#waitedMs(aheadMs), isStillWanted)
	}

	/**
	 * Moves the anchor by what is not waited for. After a step back the recording continues from there, unless the next record returns. A small step
	 * is counted only then: several clocks may have written by turns.
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

	/** Continues where the recording was before a jump, unless that is farther. */
	#returnTo(tsMs: number): void {
		const before = this.#beforeJump
		if (before === undefined || this.#newestMs === undefined) return
		if (Math.abs(tsMs - before.newestMs) > Math.abs(tsMs - this.#newestMs)) return
		this.#anchor = before.anchor
		this.#newestMs = before.newestMs
		this.#beforeJump = undefined
		this.#steppedBackMs = 0
	}

	/** How much of a distance between two records is waited for. */
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

	/** Which time of the recording it is. */
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
