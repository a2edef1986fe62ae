/**
 * When each record is due: at its distance from the first one, divided by the rate, measured from one anchor so that nothing
 * drifts. A change of the rate, a pause and a seek set a new anchor; whoever waits is woken and asks again.
 */
import type { ReplayClock } from './clock.ts'

export class Pacer {
	readonly #clock: ReplayClock
	#rate: number
	/** At `atMs` of the clock the recording is at `tsMs`. */
	#anchor: { readonly atMs: number; readonly tsMs: number } | undefined
	#pausedAt: number | undefined
	#wake: (() => void) | undefined
	#stopped = false

	/** @param rate how many times faster than life; Infinity waits for nothing. */
	constructor(clock: ReplayClock, rate: number) {
		this.#clock = clock
		this.#rate = rate
	}

	get rate(): number {
		return this.#rate
	}

	/** From now on so many times faster than life. */
	set rate(rate: number) {
		const tsMs = this.#position()
		this.#rate = rate
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

	/** Whether a record of this time is due by now; the first one is, and so is one that is earlier. */
	isDue(tsMs: number): boolean {
		return this.#stopped || (this.#pausedAt === undefined && this.#lateMs(tsMs) >= 0)
	}

	/** Resolves once a record of this time is due, to how many milliseconds late that is; at once after {@link stop}. */
	async due(tsMs: number, isStillWanted: () => boolean = () => true): Promise<number> {
		for (;;) {
			if (this.#stopped || !isStillWanted()) return 0
			if (this.#pausedAt === undefined) {
				const lateMs = this.#lateMs(tsMs)
				if (lateMs >= 0) return lateMs
				await this.#wait(-lateMs)
			} else await this.#wait(Number.POSITIVE_INFINITY)
		}
	}

	#lateMs(tsMs: number): number {
		if (this.#rate === Number.POSITIVE_INFINITY) return 0
		const now = this.#clock.now()
		this.#anchor ??= { atMs: now, tsMs }
		const dueMs = this.#anchor.atMs + Math.max(0, tsMs - this.#anchor.tsMs) / this.#rate
		return now - dueMs
	}

	/** Which time of the recording it is. */
	#position(): number | undefined {
		if (this.#anchor === undefined || this.#rate === Number.POSITIVE_INFINITY) return undefined
		const now = this.#pausedAt ?? this.#clock.now()
		return this.#anchor.tsMs + (now - this.#anchor.atMs) * this.#rate
	}

	#anchorAt(tsMs: number | undefined): void {
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
