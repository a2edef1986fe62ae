/**
 * Keeps the watermark of a chain up to date while the chain is being written. A failed write is counted,
 * reported once, and retried on a timer, so that readers do not have to wait for the next record.
 */
import { show } from '../../guard/show.ts'
import { messageOf } from '../../model/errors.ts'
import { RETRY_MS_MAX, RETRY_MS_MIN } from '../../model/limits.ts'
import { warn } from '../../platform/diagnostics.ts'
import { RetrySchedule } from '../../platform/retry-schedule.ts'
import { type Durable, WatermarkFile, watermarkPathOf } from '../files/watermark-file.ts'

export class WatermarkKeeper {
	readonly #file: WatermarkFile
	readonly #path: string
	readonly #retry = new RetrySchedule(
		() => {
			this.#file.retry()
			this.#afterWrite()
		},
		RETRY_MS_MIN,
		RETRY_MS_MAX,
	)
	#isReported = false

	constructor(...[system, chain, writer, before]: ConstructorParameters<typeof WatermarkFile>) {
		this.#file = new WatermarkFile(system, chain, writer, before)
		this.#path = watermarkPathOf(chain.path)
	}

	/** Number of failed writes of the watermark. */
	get failures(): number {
		return this.#file.failures
	}

	/** Writes the watermark. Never throws. */
	write(durable: Durable): void {
		this.#file.write(durable)
		this.#afterWrite()
	}

	/**
	 * Stops using the current file, which may have been removed. The next write opens or creates the file at
	 * the path.
	 */
	forget(): void {
		this.#file.forget()
	}

	close(): void {
		this.#retry.reset()
		this.#file.close()
	}

	#afterWrite(): void {
		const { failure } = this.#file
		if (failure === undefined) {
			this.#retry.reset()
			this.#isReported = false
			return
		}
		if (!this.#isReported) {
			const text =
				`${show(this.#path)} could not be written: ${messageOf(failure)}. No record is lost; ` +
				'the write is retried, and readers with durableOnly wait until it succeeds'
			warn('WATERMARK_FAILING', text)
		}
		this.#isReported = true
		this.#retry.start()
	}
}
