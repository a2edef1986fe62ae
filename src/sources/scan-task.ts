/** Reads a source once per period. All periods are counted from the same start time, so they do not drift. */
import type { LimitFunction } from 'p-limit'
import { hush } from '../guard/hush.ts'
import { settle } from '../guard/promises.ts'
import { TIMER_MS_MAX } from '../platform/time-limits.ts'

/**
 * Maximum number of abandoned reads that have not ended. At this limit, no new read starts until one of them
 * ends.
 */
const HANGING_MAX = 8

/** The read function of a scan, and the events that the scan reports. */
export interface ScanEvents {
	read(signal: AbortSignal): unknown
	value(value: unknown): void
	failed(cause: unknown): void
	/** Reports that `periods` periods passed without a read. */
	missed(periods: number): void
}

/** The periodic reads of one source. */
export class ScanTask {
	readonly #events: ScanEvents
	readonly #periodMs: number
	readonly #timeoutMs: number
	readonly #limit: LimitFunction
	readonly #stop = new AbortController()
	readonly #anchorMs = performance.now()
	#timer: NodeJS.Timeout | undefined
	#period = 0
	#isReading = false
	#hanging = 0

	/** @param limit Limit on concurrent reads across all sources. */
	constructor(events: ScanEvents, periodMs: number, timeoutMs: number, limit: LimitFunction) {
		this.#events = events
		this.#periodMs = periodMs
		this.#timeoutMs = timeoutMs
		this.#limit = limit
		this.#due()
	}

	async stop(): Promise<void> {
		this.#stop.abort()
		clearTimeout(this.#timer)
	}

	#due(): void {
		if (this.#isReading) this.#events.missed(1)
		else void this.#readOnce()
		this.#schedule()
	}

	#schedule(): void {
		const elapsedMs = performance.now() - this.#anchorMs
		const next = Math.max(this.#period + 1, Math.floor(elapsedMs / this.#periodMs) + 1)
		if (next > this.#period + 1) this.#events.missed(next - this.#period - 1)
		this.#period = next
		this.#arm()
	}

	/** Sets the timer. A timer may fire early, and its delay is limited to about 24 days. */
	#arm(): void {
		const waitMs = this.#anchorMs + this.#period * this.#periodMs - performance.now()
		if (waitMs <= 0) this.#timer = setTimeout(() => this.#due(), 0)
		else this.#timer = setTimeout(() => this.#arm(), Math.min(waitMs, TIMER_MS_MAX))
	}

	async #readOnce(): Promise<void> {
		this.#isReading = true
		try {
			await this.#limit(() => this.#read())
		} finally {
			this.#isReading = false
		}
	}

	async #read(): Promise<void> {
		if (this.#stop.signal.aborted) return
		try {
			const value = await this.#answer()
			if (!this.#stop.signal.aborted) this.#events.value(value)
		} catch (error) {
			hush(error)
			if (!this.#stop.signal.aborted) this.#events.failed(error)
		}
	}

	async #answer(): Promise<unknown> {
		if (this.#hanging >= HANGING_MAX) {
			throw new Error(`${HANGING_MAX} reads have not ended; the next read starts when one of them ends`)
		}
		const over = new AbortController()
		const stop = () => over.abort(new Error('the source was stopped'))
		const timer = setTimeout(() => {
			over.abort(new Error(`the source did not answer within ${this.#timeoutMs} ms`))
		}, this.#timeoutMs)
		this.#stop.signal.addEventListener('abort', stop)
		try {
			return await this.#readUntil(over.signal)
		} finally {
			clearTimeout(timer)
			this.#stop.signal.removeEventListener('abort', stop)
		}
	}

	/**
	 * Reads once. A read that ignores its signal is abandoned, and counts toward {@link HANGING_MAX} until it
	 * ends.
	 */
	#readUntil(signal: AbortSignal): Promise<unknown> {
		return new Promise((resolve, reject) => {
			let isHanging = false
			const giveUp = () => {
				isHanging = true
				this.#hanging++
				reject(signal.reason)
			}
			signal.addEventListener('abort', giveUp, { once: true })
			const ended = () => {
				signal.removeEventListener('abort', giveUp)
				if (isHanging) this.#hanging--
			}
			// The function is async so that a synchronous throw from the source becomes a rejection.
			const reading = (async () => settle(this.#events.read(signal)))()
			void reading.then(resolve, reject).then(ended)
		})
	}
}
