/**
 * Keeps the files of a chain near their bounds. A rotation syncs the full file first, and a fast program
 * writes many times the bound of a small file during one sync. Such a file could exceed `retain` alone.
 */
import { type FileChainAppender, type FileChainOptions, resolveFileChainOptions } from '../../chain/index.ts'
import { wait } from '../../platform/wait.ts'

/** Pause between two looks at a rotation in progress. */
const LOOK_MS = 1
const WAIT_MS_MAX = 5_000

/** Waits for the rotations of one chain. */
export class FilePace {
	readonly #appender: FileChainAppender
	readonly #bytesMax: number
	/** Maximum number of records in one file; Infinity for no bound. */
	readonly recordsMax: number
	#segment: number
	#recordsBefore = 0

	/** @param options Options of the appender. */
	constructor(appender: FileChainAppender, options: FileChainOptions) {
		const { rotate } = resolveFileChainOptions(options)
		this.#appender = appender
		this.#bytesMax = rotate.bytes
		this.recordsMax = rotate.records
		this.#segment = appender.stats().segment
	}

	/**
	 * Resolves when the live file is not full, when it cannot be replaced, when the signal aborts, or after 5
	 * seconds.
	 *
	 * @throws {MeshChainError} Like `flush` of the appender.
	 */
	async keep(stop: AbortSignal): Promise<void> {
		if (this.#bytesMax === Number.POSITIVE_INFINITY && this.recordsMax === Number.POSITIVE_INFINITY) return
		const { rotationFailures } = this.#appender.stats()
		const untilMs = performance.now() + WAIT_MS_MAX
		while (!stop.aborted && performance.now() < untilMs && this.#isFull(rotationFailures)) {
			// Each flush starts a rotation that is due and has not started yet.
			this.#appender.flush()
			await wait(LOOK_MS, stop)
		}
	}

	#isFull(rotationFailures: number): boolean {
		const { segment, records, bytes, rotationFailures: failuresNow, failure } = this.#appender.stats()
		if (segment !== this.#segment) {
			this.#segment = segment
			this.#recordsBefore = records
		}
		if (failure !== undefined || failuresNow > rotationFailures) return false
		return bytes >= this.#bytesMax || records - this.#recordsBefore >= this.recordsMax
	}
}
