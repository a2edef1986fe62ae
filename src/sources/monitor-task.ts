/** Keeps one subscription of a source alive: subscribes, and when it fails or ends, once more after a while. */
import type { Backoff } from './backoff.ts'
import type { Sample, SampleSink } from './source.ts'
import { settledWithin, wait } from './wait.ts'

/** How long a source that was told to end may take; then it is left to itself, and nothing of it is taken any more. */
const STOP_MS = 5000

/** Attempts that are over and have not settled: with so many, none is begun before one of them settles. */
const HANGING_MAX = 8

export interface MonitorEvents {
	push(sample: Sample): void
	put(sample: Sample, signal: AbortSignal): Promise<void> | undefined
	/** The source says that it lost its connection, and goes on trying. */
	lost(cause: unknown): void
	/** The subscription failed or ended; the next attempt comes after `waitMs`. */
	failed(cause: unknown, waitMs: number): void
}

export class MonitorTask {
	readonly #run: (sink: SampleSink) => Promise<void>
	readonly #events: MonitorEvents
	readonly #backoff: Backoff
	readonly #connectTimeoutMs: number
	readonly #stop = new AbortController()
	readonly #done: Promise<void>
	#unsettled = 0

	constructor(
		run: (sink: SampleSink) => Promise<void>,
		events: MonitorEvents,
		backoff: Backoff,
		connectTimeoutMs: number,
	) {
		this.#run = run
		this.#events = events
		this.#backoff = backoff
		this.#connectTimeoutMs = connectTimeoutMs
		this.#done = this.#keepOn()
	}

	/** From here on nothing is taken of the source any more. */
	async stop(): Promise<void> {
		this.#stop.abort()
		await settledWithin(this.#done, STOP_MS)
	}

	async #keepOn(): Promise<void> {
		const { signal } = this.#stop
		while (!signal.aborted) {
			const cause = await this.#attempt()
			if (signal.aborted) return
			const waitMs = this.#backoff.next()
			this.#events.failed(cause, waitMs)
			await wait(waitMs, signal)
		}
	}

	/** Resolves with why it is over; never rejects. */
	async #attempt(): Promise<unknown> {
		if (this.#unsettled >= HANGING_MAX) {
			return new Error(`${HANGING_MAX} attempts have not ended; there is no other before one of them does`)
		}
		const attempt = new Attempt(this.#events, this.#connectTimeoutMs)
		const stop = () => attempt.abort()
		this.#stop.signal.addEventListener('abort', stop)
		try {
			const ended = this.#begin(attempt)
			await Promise.race([ended, attempt.timedOut])
			return new Error('the source ended')
		} catch (error) {
			return error
		} finally {
			attempt.end()
			this.#stop.signal.removeEventListener('abort', stop)
		}
	}

	/** A source may throw at once. */
	async #begin(attempt: Attempt): Promise<void> {
		this.#unsettled++
		try {
			await this.#run(attempt)
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
