/**
 * Moves samples from the queue to the loop, in order, and only as fast as the loop's appender accepts them.
 * If the appender is slow or fails, samples wait in the queue rather than in the loop's ring. The queue is
 * bounded, and samples that do not fit are counted.
 */
import { coreOf } from '../loop/core-of.ts'
import type { MeshLoop } from '../loop/mesh-loop.ts'
import type { QueuedSample } from './managed-source.ts'
import type { SampleQueue } from './sample-queue.ts'

/** Kind of the records that contain samples. */
export const SAMPLE_KIND = 'sample'

/** Maximum number of samples to publish before the free space in the loop is checked again. */
const CHUNK = 1024
/**
 * Maximum duration of an uninterrupted run, in ms. The limit is a duration rather than a count, because the
 * writer gets fewer turns on a busy machine.
 */
const TURN_MS = 10
/** Delay before checking a full loop again, in ms. */
const RETRY_MS = 50

/** Publishes queued samples to a loop. */
export class SampleWriter {
	readonly #loop: MeshLoop
	readonly #queue: SampleQueue<QueuedSample>
	readonly #flushIntervalMs: number
	readonly #waiting = new Set<() => void>()
	#timer: NodeJS.Timeout | undefined
	#immediate: NodeJS.Immediate | undefined
	/** Whether the timer is set to check a full loop again. */
	#isRetrying = false

	constructor(loop: MeshLoop, queue: SampleQueue<QueuedSample>, flushIntervalMs: number) {
		this.#loop = loop
		this.#queue = queue
		this.#flushIntervalMs = flushIntervalMs
	}

	/** Notifies the writer that the queue is not empty. */
	wake(): void {
		const isDue = this.#flushIntervalMs === 0 || this.#queue.count >= CHUNK
		if (isDue && !this.#isRetrying) this.#immediate ??= setImmediate(() => this.#flush())
		else this.#later(this.#flushIntervalMs)
	}

	/** Resolves when a sample has left the queue, or when the signal is aborted. */
	room(signal: AbortSignal): Promise<void> {
		return new Promise((resolve) => {
			if (signal.aborted) return resolve()
			const end = () => {
				this.#waiting.delete(end)
				signal.removeEventListener('abort', end)
				resolve()
			}
			this.#waiting.add(end)
			signal.addEventListener('abort', end)
		})
	}

	/**
	 * Writes all queued samples, even if the appender cannot keep up, because there is no later opportunity.
	 */
	drain(): void {
		this.#write(Number.POSITIVE_INFINITY)
	}

	/** Writes the samples that the appender accepts within the timeout, and then all remaining samples. */
	async close(timeoutMs: number): Promise<void> {
		const deadlineMs = performance.now() + timeoutMs
		while (this.#queue.count > 0 && performance.now() < deadlineMs) {
			this.#write(this.#roomInLoop())
			await new Promise((resolve) => setTimeout(resolve, this.#queue.count > 0 ? 1 : 0))
		}
		this.drain()
		clearTimeout(this.#timer)
		clearImmediate(this.#immediate)
	}

	#flush(): void {
		clearTimeout(this.#timer)
		this.#timer = undefined
		this.#immediate = undefined
		const room = this.#writeForATurn()
		this.#isRetrying = this.#queue.count > 0 && room === 0
		if (this.#queue.count === 0) return
		if (room > 0) this.#immediate = setImmediate(() => this.#flush())
		else this.#later(RETRY_MS)
	}

	/**
	 * Writes samples for up to {@link TURN_MS} milliseconds. Returns the free space in the loop as of the last
	 * check.
	 */
	#writeForATurn(): number {
		const endMs = performance.now() + TURN_MS
		let room = this.#roomInLoop()
		this.#write(room)
		while (room > 0 && this.#queue.count > 0 && performance.now() < endMs) {
			room = this.#roomInLoop()
			this.#write(room)
		}
		return room
	}

	#later(ms: number): void {
		if (this.#immediate !== undefined) return
		// The timer does not keep the process alive. If the process exits first, the remaining samples are
		// written on exit.
		this.#timer ??= setTimeout(() => this.#flush(), ms).unref()
	}

	#roomInLoop(): number {
		return Math.min(CHUNK, coreOf(this.#loop).core.room)
	}

	#write(max: number): void {
		for (let left = max; left > 0; left--) {
			const sample = this.#queue.shift()
			if (sample === undefined) break
			this.#publish(sample)
		}
		if (max > 0) for (const wake of [...this.#waiting]) wake()
	}

	#publish(sample: QueuedSample): void {
		const { source, tsMs, data } = sample
		try {
			const record = this.#loop.publish({ kind: SAMPLE_KIND, daemonId: source.name, tsMs, data })
			if (record === undefined) source.refused()
			else source.stored(sample)
		} catch {
			source.refused()
		}
	}
}
