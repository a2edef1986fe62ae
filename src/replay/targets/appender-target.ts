/** Replay into any appender, without a loop: from chain to chain. */
import { checkAppender, type LogChainAppender, startOf } from '../../appender.ts'
import { LogAppendError } from '../../errors.ts'
import type { LogRecord } from '../../record.ts'
import type { ReplayTarget, Unkept } from '../target.ts'

export class AppenderTarget implements ReplayTarget {
	readonly name = 'the appender'
	readonly keepsGaps = true
	readonly #appender: LogChainAppender
	#seq: number
	/** What the appender has not committed yet, oldest first, by the seqs in the source. */
	readonly #uncommitted: number[] = []

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
		this.#refuseWhenFailing(record)
		const seq = this.#seq + 1
		const epoch = this.#appender.epoch ?? 1
		const appended = this.#appender.append({ ...record, seq, epoch, chainPending: false })
		this.#seq = seq
		this.#remember(record)
		if (appended === undefined) return
		return appended.catch((error) => {
			// It is free again, unless another one was appended behind it.
			if (this.#seq === seq) {
				this.#seq--
				this.#uncommitted.pop()
			}
			throw error
		})
	}

	unkept(): Unkept | undefined {
		if (this.#appender.committedSeq === undefined) return undefined
		this.#forgetCommitted()
		const seqs = this.#uncommitted
		return {
			records: seqs.length,
			seq: seqs.length === 0 ? undefined : seqs.reduce((a, b) => Math.min(a, b)),
		}
	}

	async flush(): Promise<void> {
		await this.#appender.sync?.()
	}

	async close(): Promise<void> {
		await this.#appender.close?.()
	}

	/** An appender that takes records over while it cannot commit them would take over all of the rest. */
	#refuseWhenFailing({ seq }: LogRecord): void {
		const { failure } = this.#appender
		if (failure === undefined) return
		throw new LogAppendError(failure.message, { code: failure.code, seq, cause: failure })
	}

	#remember({ seq }: LogRecord): void {
		if (this.#appender.committedSeq === undefined) return
		this.#uncommitted.push(seq)
		this.#forgetCommitted()
	}

	#forgetCommitted(): void {
		const waiting = Math.max(0, this.#seq - (this.#appender.committedSeq ?? 0))
		const committed = this.#uncommitted.length - waiting
		if (committed > 0) this.#uncommitted.splice(0, committed)
	}
}
