/**
 * Brings the samples of the queue into the loop, in order, and never more of them than its appender keeps up with: what waits for a slow or
 * failing appender waits in the queue, which is bounded and counts, and not in the loop's ring.
 */
import type { MeshLoop } from '../loop/mesh-loop.ts'
import type { QueuedSample } from './managed-source.ts'
import type { SampleQueue } from './sample-queue.ts'

/** The kind of the records that hold samples. */
export const SAMPLE_KIND = 'sample'

/** Samples that are handed over before it is asked whether the loop takes more. */
const CHUNK = 1024
/** How long that goes on before others get a turn. By time: how many turns a busy machine gives is not for the queue to depend on. */
const TURN_MS = 10
/** How soon a loop is asked again that could not take more. */
const RETRY_MS = 50

export class SampleWriter {
	readonly #loop: MeshLoop
	readonly #queue: SampleQueue<QueuedSample>
	readonly #flushIntervalMs: number
	readonly #waiting = new Set<() => void>()
	#timer: NodeJS.Timeout | undefined
	#immediate: NodeJS.Immediate | undefined
	/** The loop could not take more: the timer is there to ask it again. */
	#isRetrying = false

	constructor(loop: MeshLoop, queue: SampleQueue<QueuedSample>, flushIntervalMs: number) {
		this.#loop = loop
		this.#queue = queue
		this.#flushIntervalMs = flushIntervalMs
	}

	/** Something is in the queue. */
	wake(): void {
		const isDue = this.#flushIntervalMs === 0 || this.#queue.count >= CHUNK
		if (isDue && !this.#isRetrying) this.#immediate ??= setImmediate(() => this.#flush())
		else this.#later(this.#flushIntervalMs)
	}

	/** Resolves when something has left the queue, or the signal is aborted. */
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

	/** Everything that is in the queue, whatever the appender says: it is now or never. */
	drain(): void {
		this.#write(Number.POSITIVE_INFINITY)
	}

	/** Everything that is in the queue, as far as the appender keeps up for so long; then the rest. */
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

	/** What the loop had room for at the end. */
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
		// A process that ends before that writes what is left on its way out.
		this.#timer ??= setTimeout(() => this.#flush(), ms).unref()
	}

	/** How many records the loop takes for certain: what its appender has not taken over lies in the ring. */
	#roomInLoop(): number {
		const { appender, ring } = this.#loop.stats()
		if (appender.failing) return 0
		const isHalfFull = ring.bytesMax !== undefined && appender.pending > 0 && 2 * ring.bytes > ring.bytesMax
		if (isHalfFull) return 0
		return Math.max(0, Math.min(CHUNK, Math.ceil(ring.capacity / 2) - appender.pending))
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
