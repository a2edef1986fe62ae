/**
 * Counts the records that never reached an appender, and remembers new losses until a `flush` or `sync`
 * reports them.
 */
import { type ErrorCode, MeshChainError, messageOf } from '../model/errors.ts'
import type { LostCounts } from './outbox-stats.ts'

/** Losses that no `flush` or `sync` has reported yet. */
interface UntoldLoss {
	count: number
	readonly seq: number
	readonly cause: unknown
}

export class LossCounter {
	readonly #counts = { evicted: 0, overflow: 0, appendFailed: 0, atClose: 0 }
	#untold: UntoldLoss | undefined

	/**
	 * Counts a loss. `seq` is the seq of the first lost record, and `cause` is the appender's error, if any.
	 */
	add(kind: keyof LostCounts, count: number, seq: number, cause: unknown): void {
		this.#counts[kind] += count
		if (this.#untold === undefined) this.#untold = { count, seq, cause }
		else this.#untold.count += count
	}

	counts(): LostCounts {
		return Object.freeze({ ...this.#counts })
	}

	/** Throws if records were lost since the last call. */
	throwUntold(code: ErrorCode): void {
		if (this.#untold === undefined) return
		const { count, seq, cause } = this.#untold
		this.#untold = undefined
		const what =
			count === 1 ? `the record with seq ${seq} was` : `${count} records starting at seq ${seq} were`
		const why = cause === undefined ? 'the appender was too slow' : messageOf(cause)
		throw new MeshChainError(code, `${what} lost and will never be written: ${why}`, { seq, cause })
	}
}
