/** Keeps one subscription of a source alive: subscribes, and when it fails or ends, once more after a while. */
import { hush } from '../guard/hush.ts'
import { settle, within } from '../guard/promises.ts'
import type { Backoff } from '../platform/backoff.ts'
import { wait } from '../platform/wait.ts'
import type { Sample, SampleSink } from './source.ts'

/** Attempts that are over and have not settled: with so many, none is begun before one of them settles. */
const HANGING_MAX = 8

export interface MonitorEvents {
	push(sample: Sample): void
	put(sample: Sample, signal: AbortSignal): Promise<void> | undefined
	/** The source says that it lost its connection, and goes on trying. */
	lost(cause: unknown): void
	/** The subscription failed or ended; the next attempt comes after `waitMs`. */
	failed(cause: unknown, waitMs: number): void
	/** It was told to end and has not, for so long: it is left to itself. */
	abandoned(ms: number): void
}

export interface MonitorBounds {
	readonly connectTimeoutMs: number
	readonly closeTimeoutMs: number
}

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

	/** From here on nothing is taken of the source any more. */
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

	/** Resolves with why it is over; never rejects. The cause may be a thenable, which must not be waited for. */
	async #attempt(): Promise<{ readonly cause: unknown }> {
		if (this.#unsettled >= HANGING_MAX) {
			const text = `${HANGING_MAX} attempts have not ended; there is no other before one of them does`
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

	/** A source may throw at once. */
	async #begin(attempt: Attempt): Promise<void> {
		this.#unsettled++
		try {
			await settle(this.#run(attempt))
		} finally {
			this.#unsettled--
		}
	}
}

/** The sink of one attempt: once that is over, it takes nothing. */
class Attempt implements SampleSink {
	readonly timedOut: Promise<never>
	readonly #events: MonitorEvents
	readonly #over = new AbortController()
	readonly #timer: NodeJS.Timeout
	/** As its signal says, which takes long to ask for each sample. */
	#isOver = false

	constructor(events: MonitorEvents, connectTimeoutMs: number) {
		this.#events = events
		const { promise, reject } = withResolvers()
		this.timedOut = promise
		this.#timer = setTimeout(() => {
			reject(new Error(`the source was not subscribed within ${connectTimeoutMs} ms`))
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
	// Nobody may be waiting any more.
	promise.catch(() => {})
	return { promise, reject }
}
