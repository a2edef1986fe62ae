/**
 * Keeps one subscription of a source alive. When the subscription fails or ends, subscribes again after a
 * delay.
 */
import { hush } from '../guard/hush.ts'
import { settle, within } from '../guard/promises.ts'
import type { Backoff } from '../platform/backoff.ts'
import { wait } from '../platform/wait.ts'
import type { Sample, SampleSink } from './source.ts'

/**
 * Maximum number of ended attempts whose promises have not settled. At this limit, no new attempt starts
 * until one of these promises settles.
 */
const HANGING_MAX = 8

/** The events that a monitor reports. */
export interface MonitorEvents {
	push(sample: Sample): void
	put(sample: Sample, signal: AbortSignal): Promise<void> | undefined
	/** Reports that the source lost its connection and reconnects by itself. */
	lost(cause: unknown): void
	/** Reports that the subscription failed or ended. The next attempt starts after `waitMs` milliseconds. */
	failed(cause: unknown, waitMs: number): void
	/**
	 * Reports that the source was abandoned, because it did not end within `ms` milliseconds after its signal
	 * was aborted.
	 */
	abandoned(ms: number): void
}

/** The time limits of a monitor. */
export interface MonitorBounds {
	readonly connectTimeoutMs: number
	readonly closeTimeoutMs: number
}

/** One subscription and its renewals. */
export class MonitorTask {
	readonly #run: (sink: SampleSink) => Promise<void>
	readonly #events: MonitorEvents
	readonly #backoff: Backoff
	readonly #bounds: MonitorBounds
	readonly #stop = new AbortController()
	readonly #done: Promise<void>
	#unsettled = 0

	constructor(
		run: (sink: SampleSink) => Promise<void>,
		events: MonitorEvents,
		backoff: Backoff,
		bounds: MonitorBounds,
	) {
		this.#run = run
		this.#events = events
		this.#backoff = backoff
		this.#bounds = bounds
		this.#done = this.#keepOn()
	}

	/** Ends the subscription. No more samples are accepted from the source. */
	async stop(): Promise<void> {
		this.#stop.abort()
		const { closeTimeoutMs } = this.#bounds
		if ((await within(this.#done, closeTimeoutMs)).is === 'late') this.#events.abandoned(closeTimeoutMs)
	}

	async #keepOn(): Promise<void> {
		const { signal } = this.#stop
		while (!signal.aborted) {
			const { cause } = await this.#attempt()
			if (signal.aborted) return
			const waitMs = this.#backoff.next()
			this.#events.failed(cause, waitMs)
			await wait(waitMs, signal)
		}
	}

	/**
	 * Runs one attempt. Resolves to the cause of its end; never rejects. The cause is wrapped in an object,
	 * because it may be a thenable, which must not be awaited.
	 */
	async #attempt(): Promise<{ readonly cause: unknown }> {
		if (this.#unsettled >= HANGING_MAX) {
			const text = `${HANGING_MAX} attempts have not ended; the next attempt starts when one of them ends`
			return { cause: new Error(text) }
		}
		const attempt = new Attempt(this.#events, this.#bounds.connectTimeoutMs)
		const stop = () => attempt.abort()
		this.#stop.signal.addEventListener('abort', stop)
		try {
			const ended = this.#begin(attempt)
			await Promise.race([ended, attempt.timedOut])
			return { cause: new Error('the source ended') }
		} catch (cause) {
			hush(cause)
			return { cause }
		} finally {
			attempt.end()
			this.#stop.signal.removeEventListener('abort', stop)
		}
	}

	/**
	 * Starts an attempt. The method is async so that a synchronous throw from the source becomes a rejection.
	 */
	async #begin(attempt: Attempt): Promise<void> {
		this.#unsettled++
		try {
			await settle(this.#run(attempt))
		} finally {
			this.#unsettled--
		}
	}
}

/** The sink of one attempt, which ignores samples after the attempt has ended. */
class Attempt implements SampleSink {
	readonly timedOut: Promise<never>
	readonly #events: MonitorEvents
	readonly #over = new AbortController()
	readonly #timer: NodeJS.Timeout
	/** Copy of `signal.aborted`, which is too slow to read for each sample. */
	#isOver = false

	constructor(events: MonitorEvents, connectTimeoutMs: number) {
		this.#events = events
		const { promise, reject } = withResolvers()
		this.timedOut = promise
		this.#timer = setTimeout(() => {
			reject(new Error(`the source did not subscribe within ${connectTimeoutMs} ms`))
		}, connectTimeoutMs)
	}

	get signal(): AbortSignal {
		return this.#over.signal
	}

	abort(): void {
		this.#isOver = true
		this.#over.abort()
	}

	end(): void {
		clearTimeout(this.#timer)
		this.abort()
	}

	opened(): void {
		clearTimeout(this.#timer)
	}

	push(sample: Sample): void {
		if (this.#isOver) return
		this.opened()
		this.#events.push(sample)
	}

	put(sample: Sample): Promise<void> | undefined {
		if (this.#isOver) return undefined
		this.opened()
		return this.#events.put(sample, this.signal)
	}

	lost(cause: unknown): void {
		if (!this.#isOver) this.#events.lost(cause)
	}
}

function withResolvers(): { promise: Promise<never>; reject: (error: Error) => void } {
	let reject: (error: Error) => void = () => {}
	const promise = new Promise<never>((_resolve, onReject) => {
		reject = onReject
	})
	// When the promise rejects, it may have no other handler.
	promise.catch(() => {})
	return { promise, reject }
}
