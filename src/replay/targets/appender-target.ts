/** Replay into any appender, without a loop: from chain to chain. */
import { checkAppender, type LogChainAppender, startOf } from '../../appender.ts'
import type { LogRecord } from '../../record.ts'
import type { ReplayTarget } from '../target.ts'

export class AppenderTarget implements ReplayTarget {
	readonly name = 'the appender'
	readonly keepsGaps = true
	readonly #appender: LogChainAppender
	#seq: number

	/**
	 * @param appender nobody else may append to meanwhile.
	 * @throws {MeshChainError} `INVALID_OPTION`
	 */
	constructor(appender: LogChainAppender) {
		checkAppender(appender)
		this.#appender = appender
		this.#seq = startOf(appender).nextSeq - 1
	}

	/** Appends the record with the next seq and the appender's epoch; what it was before, its `origin` says. */
	write(record: LogRecord): void | Promise<void> {
		const seq = this.#seq + 1
		const epoch = this.#appender.epoch ?? 1
		const appended = this.#appender.append({ ...record, seq, epoch, chainPending: false })
		this.#seq = seq
		if (appended === undefined) return
		return appended.catch((error) => {
			// It is free again, unless another one was appended behind it.
			if (this.#seq === seq) this.#seq--
			throw error
		})
	}

	async flush(): Promise<void> {
		await this.#appender.sync?.()
	}

	async close(): Promise<void> {
		await this.#appender.close?.()
	}
}
