/** Replay into any appender, without a loop: from chain to chain. */
import { checkAppender, committedSeqOf, failureOf, type LogChainAppender, startOf } from '../../appender.ts'
import { isThenable, settle } from '../../guard/promises.ts'
import { LogAppendError, messageOf } from '../../model/errors.ts'
import type { LogRecord } from '../../model/record.ts'
import type { ReplayTarget, UndeliveredRecords } from '../target.ts'

export class AppenderTarget implements ReplayTarget {
	readonly name = 'the appender'
	readonly keepsGaps = true
	readonly #appender: LogChainAppender
	#seq: number
	/** Settles with the last append that is under way or waits; never rejects. */
	#last: Promise<void> | undefined
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

	/**
	 * Appends the record with the next seq and the appender's epoch; what it was before, its `origin` says. An appender is promised
	 * one append at a time: with a replay's `concurrency` the others wait here, in the order in which they came.
	 */
	write(record: LogRecord): void | Promise<void> {
		if (this.#last !== undefined) return this.#inTurn(this.#last.then(() => this.#append(record)))
		const appended = this.#append(record)
		if (appended !== undefined) return this.#inTurn(appended)
	}

	undelivered(): UndeliveredRecords | undefined {
		if (committedSeqOf(this.#appender) === undefined) return undefined
		this.#forgetCommitted()
		const seqs = this.#uncommitted
		return {
			records: seqs.length,
			seq: seqs.length === 0 ? undefined : seqs.reduce((a, b) => Math.min(a, b)),
		}
	}

	async flush(): Promise<void> {
		await settle(this.#appender.sync?.())
	}

	async close(): Promise<void> {
		await settle(this.#appender.close?.())
	}

	/** A seq is used up by a record that was taken, and by no other. */
	#append(record: LogRecord): undefined | Promise<void> {
		this.#refuseWhenFailing(record)
		const seq = this.#seq + 1
		const epoch = this.#appender.epoch ?? 1
		const taken = () => {
			this.#seq = seq
			this.#remember(record)
		}
		const appended: unknown = this.#appender.append({ ...record, seq, epoch, chainPending: false })
		if (isThenable(appended)) return settle(appended).then(taken)
		taken()
	}

	#inTurn(appending: Promise<void>): Promise<void> {
		const free = () => {
			if (this.#last === last) this.#last = undefined
		}
		const last: Promise<void> = appending.then(free, free)
		this.#last = last
		return appending
	}

	/** An appender that takes records over while it cannot commit them would take over all of the rest. */
	#refuseWhenFailing({ seq }: LogRecord): void {
		const failure = failureOf(this.#appender)
		if (failure === undefined) return
		throw new LogAppendError(messageOf(failure), { code: failure.code, seq, cause: failure })
	}

	#remember({ seq }: LogRecord): void {
		if (committedSeqOf(this.#appender) === undefined) return
		this.#uncommitted.push(seq)
		this.#forgetCommitted()
	}

	#forgetCommitted(): void {
		const waiting = Math.max(0, this.#seq - (committedSeqOf(this.#appender) || 0))
		const committed = this.#uncommitted.length - waiting
		if (committed > 0) this.#uncommitted.splice(0, committed)
	}
}
