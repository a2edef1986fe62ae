/** Replays into any appender without a loop, for example from one chain into another. */
import { checkAppender, committedSeqOf, failureOf, type LogChainAppender, startOf } from '../../appender.ts'
import { isThenable, settle } from '../../guard/promises.ts'
import { LogAppendError, messageOf } from '../../model/errors.ts'
import type { LogRecord } from '../../model/record.ts'
import type { ReplayTarget, UndeliveredRecords } from '../target.ts'

/** Passes the records of a replay to an appender. Nothing else may use that appender during the replay. */
export class AppenderTarget implements ReplayTarget {
	/** Name of the target in messages. */
	readonly name = 'the appender'
	/** Always true: an appender keeps history. */
	readonly keepsGaps = true
	readonly #appender: LogChainAppender
	#seq: number
	/** Promise for the last append that is in flight or queued. Never rejects. */
	#last: Promise<void> | undefined
	/** Source seqs of the records that the appender has not committed yet, oldest first. */
	readonly #uncommitted: number[] = []

	/**
	 * @param appender Appender that receives all records of the replay.
	 * @throws {MeshChainError} `INVALID_OPTION`
	 */
	constructor(appender: LogChainAppender) {
		checkAppender(appender)
		this.#appender = appender
		this.#seq = startOf(appender).nextSeq - 1
	}

	/**
	 * Appends the record with the appender's epoch and next seq. `origin` preserves the record's identity. Only
	 * one append is in flight at a time. If a replay uses `concurrency`, further records wait in call order.
	 */
	write(record: LogRecord): void | Promise<void> {
		if (this.#last !== undefined) return this.#inTurn(this.#last.then(() => this.#append(record)))
		const appended = this.#append(record)
		if (appended !== undefined) return this.#inTurn(appended)
	}

	/** Returns the number and the first seq of the records that the appender has accepted but not committed. */
	undelivered(): UndeliveredRecords | undefined {
		if (committedSeqOf(this.#appender) === undefined) return undefined
		this.#forgetCommitted()
		const seqs = this.#uncommitted
		return {
			records: seqs.length,
			seq: seqs.length === 0 ? undefined : seqs.reduce((a, b) => Math.min(a, b)),
		}
	}

	/** Syncs the appender. */
	async flush(): Promise<void> {
		await settle(this.#appender.sync?.())
	}

	/** Closes the appender. */
	async close(): Promise<void> {
		await settle(this.#appender.close?.())
	}

	/** Appends a record. Advances the seq only if the appender accepts the record. */
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

	/**
	 * Refuses a record while the appender is failing. Otherwise, the appender would accept all remaining
	 * records without committing them.
	 */
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
