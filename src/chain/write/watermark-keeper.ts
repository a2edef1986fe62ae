/**
 * Keeps the watermark of a chain that is being written true: a mark that could not be written is counted, told once, and tried again by
 * itself, so that no reader waits for the next record.
 */

import { show } from '../../guard/show.ts'
import { messageOf } from '../../model/errors.ts'
import { RETRY_MS_MAX, RETRY_MS_MIN } from '../../model/limits.ts'
import { warn } from '../../platform/diagnostics.ts'
import { type Durable, WatermarkFile, watermarkPathOf } from '../files/watermark-file.ts'

export class WatermarkKeeper {
	readonly #file: WatermarkFile
	readonly #path: string
	#timer: NodeJS.Timeout | undefined
	#retryMs = RETRY_MS_MIN
	#wasTold = false

	constructor(...[system, chain, writer, before]: ConstructorParameters<typeof WatermarkFile>) {
		this.#file = new WatermarkFile(system, chain, writer, before)
		this.#path = watermarkPathOf(chain.path)
	}

	/** Times that it could not be written. */
	get failures(): number {
		return this.#file.failures
	}

	/** Says what is on disk. */
	write(durable: Durable): void {
		this.#file.write(durable)
		this.#lookAfter()
	}

	/** The file was removed: the next mark makes it anew. */
	forget(): void {
		this.#file.forget()
	}

	close(): void {
		clearTimeout(this.#timer)
		this.#file.close()
	}

	#lookAfter(): void {
		const { failure } = this.#file
		if (failure === undefined) {
			clearTimeout(this.#timer)
			this.#timer = undefined
			this.#retryMs = RETRY_MS_MIN
			this.#wasTold = false
			return
		}
		if (!this.#wasTold) {
			const text = `${show(this.#path)} could not be written: ${messageOf(failure)}. No record is lost; it is tried again, and until then readers with durableOnly wait`
			warn('WATERMARK_FAILING', text)
		}
		this.#wasTold = true
		if (this.#timer !== undefined) return
		this.#timer = setTimeout(() => {
			this.#timer = undefined
			this.#file.retry()
			this.#lookAfter()
		}, this.#retryMs)
		this.#timer.unref()
		this.#retryMs = Math.min(2 * this.#retryMs, RETRY_MS_MAX)
	}
}
