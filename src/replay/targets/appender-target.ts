/** Replay into any appender, without a loop: from chain to chain. */
import type { LogChainAppender } from '../../appender.ts'
import type { LogRecord } from '../../record.ts'
import type { ReplayTarget } from '../target.ts'

export class AppenderTarget implements ReplayTarget {
	readonly name = 'the appender'
	readonly keepsGaps = true
	readonly #appender: LogChainAppender
	#seq: number

	/** @param appender nobody else may append to meanwhile. */
	constructor(appender: LogChainAppender) {
		this.#appender = appender
		this.#seq = (appender.nextSeq ?? 1) - 1
	}

	/** Appends the record with the next seq and the appender's epoch; what it was before, its `origin` says. */
	write(record: LogRecord): void | Promise<void> {
		const { nextSeq, epoch } = this.#appender
		this.#seq = nextSeq ?? this.#seq + 1
		return this.#appender.append({ ...record, seq: this.#seq, epoch: epoch ?? 1, chainPending: false })
	}

	async flush(): Promise<void> {
		await this.#appender.sync?.()
	}

	async close(): Promise<void> {
		await this.#appender.close?.()
	}
}
