/**
 * Records one stream to its end, and passes on what is recorded. Reading stops while the output does not
 * accept bytes, so the program that writes the stream has to wait, and memory use is bounded.
 */
import type { Readable } from 'node:stream'
import { TIMER_MS_MAX } from '../../platform/time-limits.ts'
import type { LineRecorder } from '../record.ts'
import type { Passing } from './passing.ts'

/** Silence after which an incomplete line is recorded as a part and passed on, because it may be a prompt. */
const SILENCE_MS = 100
/** Time after the end of the program for which its streams are read if another process keeps them open. */
export const DRAIN_MS = 1_000
/** Maximum number of bytes that a pipe holds, and that wait for the output after the end of the program. */
const PIPE_BYTES_MAX = 1024 * 1024

/** Where the reading of a stream ended. */
export type StreamEnd =
	/** The stream ended, and everything is recorded. */
	| 'ended'
	/** Another process still had the stream open. */
	| 'open'
	/** A signal ended the recording. */
	| 'stopped'

/** The recording of one stream. */
export class StreamRecording {
	readonly #input: Readable
	readonly #recorder: LineRecorder
	readonly #passing: Passing
	readonly #stop: AbortSignal
	#isOver = false
	#failure: Error | undefined
	#wake: () => void = () => {}
	/** Number of queued bytes up to which reading continues. */
	#queuedBytesMax = 0
	#drainUntilMs = Number.POSITIVE_INFINITY
	#drainedBytes = 0
	/** Whether the incomplete line has already been recorded, except for bytes that need their successors. */
	#isCut = false

	/** @param stop Ends the recording. Everything that was read until then is recorded. */
	constructor(input: Readable, recorder: LineRecorder, passing: Passing, stop: AbortSignal) {
		this.#input = input
		this.#recorder = recorder
		this.#passing = passing
		this.#stop = stop
		const over = (error?: Error) => {
			this.#isOver = true
			this.#failure ??= error
			this.#wake()
		}
		input.on('readable', () => this.#wake())
		input.once('end', () => over())
		input.once('close', () => over())
		input.once('error', over)
		stop.addEventListener('abort', () => this.#wake())
	}

	/**
	 * Reads the stream from now on even if the output does not accept bytes, because the end of the recording
	 * is near. At most 1 MiB waits in memory.
	 */
	hurry(): void {
		this.#queuedBytesMax = PIPE_BYTES_MAX
		this.#wake()
	}

	/**
	 * Ends the recording within {@link DRAIN_MS}, even if the stream stays open. Everything that the stream
	 * contains at this time is recorded.
	 */
	drain(): void {
		this.#drainUntilMs = performance.now() + DRAIN_MS
		this.hurry()
	}

	/** Records the stream. Resolves when nothing more is read from it. */
	async run(): Promise<StreamEnd> {
		this.#passing.onProgress(() => this.#wake())
		try {
			for (;;) {
				const end = await this.#step()
				if (end !== undefined) return end
			}
		} finally {
			this.#input.destroy()
		}
	}

	async #step(): Promise<StreamEnd | undefined> {
		const isStopped = this.#stop.aborted
		if (!isStopped && this.#passing.queuedBytes > this.#queuedBytesMax) {
			await this.#event(TIMER_MS_MAX)
			return undefined
		}
		const chunk = this.#input.read() as Buffer | null
		if (chunk !== null) {
			this.#isCut = false
			await this.#recorder.take(chunk, this.#stop)
			this.#passRecorded()
			return isStopped ? 'stopped' : this.#drained(chunk.length)
		}
		if (isStopped) return 'stopped'
		if (this.#isOver) {
			if (this.#failure !== undefined) throw this.#failure
			return 'ended'
		}
		return this.#idle()
	}

	/**
	 * Waits for more bytes. After a silence, records held lines and an incomplete line that may be a
	 * prompt.
	 */
	async #idle(): Promise<StreamEnd | undefined> {
		// An incomplete line can be a prompt only if it is passed on to a user.
		const mayBePrompt = this.#passing.isOn && this.#recorder.isWithinLine && !this.#isCut
		const isWaiting = mayBePrompt || this.#recorder.isHolding
		const silenceMs = isWaiting ? SILENCE_MS : TIMER_MS_MAX
		const drainMs = Math.max(0, this.#drainUntilMs - performance.now())
		if (await this.#event(Math.min(silenceMs, drainMs))) return undefined
		// Nothing has arrived, so the pipe is empty.
		if (performance.now() >= this.#drainUntilMs) return 'open'
		if (!isWaiting) return undefined
		if (this.#passing.isOn) {
			this.#isCut = true
			await this.#recorder.cutLine(this.#stop)
		} else await this.#recorder.releaseLines(this.#stop)
		this.#passRecorded()
		return undefined
	}

	#passRecorded(): void {
		this.#passing.pass(this.#recorder.takeRecorded())
	}

	/** Ends the draining of a stream into which another process writes without a pause. */
	#drained(bytes: number): StreamEnd | undefined {
		if (this.#drainUntilMs === Number.POSITIVE_INFINITY) return undefined
		this.#drainedBytes += bytes
		const isOverdue = performance.now() >= this.#drainUntilMs
		return isOverdue && this.#drainedBytes >= PIPE_BYTES_MAX ? 'open' : undefined
	}

	/** Resolves to true at the next event, or to false if there is none for `ms` milliseconds. */
	#event(ms: number): Promise<boolean> {
		return new Promise((resolve) => {
			const timer = setTimeout(() => {
				// Bytes that arrived while the process was busy are only noticed after its timers.
				setImmediate(() => resolve(false))
			}, ms)
			this.#wake = () => {
				clearTimeout(timer)
				resolve(true)
			}
		})
	}
}
