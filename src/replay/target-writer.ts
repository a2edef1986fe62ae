/** Delivers records to a target. Retries failed deliveries, and detects when the target is gone. */
import { isRetryable } from '../appender.ts'
import { hush } from '../guard/hush.ts'
import { discard, follow, isThenable } from '../guard/promises.ts'
import { attempt, codeOf, isInstance, propertyOf } from '../guard/values.ts'
import { LogAppendError, MeshChainError, messageOf } from '../model/errors.ts'
import { REPLAY_RETRY_MS_MIN, RETRY_MS_MAX } from '../model/limits.ts'
import type { LogRecord } from '../model/record.ts'
import { Backoff } from '../platform/backoff.ts'
import { callAt, type ReplayClock, waitBy } from './clock.ts'
import type { ReplayFailure } from './replay-summary.ts'
import type { ReplayTarget, UndeliveredRecords } from './target.ts'

/** Number of consecutive timeouts after which a target is considered gone. */
const TIMEOUTS_MAX = 3

/** The replay options that apply to deliveries. */
export interface TargetWriterOptions {
	readonly retries: number
	readonly timeoutMs: number
	readonly clock: ReplayClock
}

/** Delivers records to one target. */
export class TargetWriter {
	readonly #target: ReplayTarget
	readonly #options: TargetWriterOptions
	readonly counts = { replayed: 0, failed: 0, retries: 0 }
	firstError: ReplayFailure | undefined
	/** Whether the target no longer accepts records. */
	isGone = false
	/**
	 * Seq of the first accepted record that the target may not have kept; `'first'` if it may have kept none.
	 */
	undeliveredFrom: 'first' | number | undefined
	readonly #aborted = new AbortController()
	#timeoutsInRow = 0
	/** Whether the last record failed. After a failure, the next record is tried only once. */
	#isFailing = false

	constructor(target: ReplayTarget, options: TargetWriterOptions) {
		this.#target = target
		this.#options = options
	}

	/** Ends all retries. */
	abort(): void {
		this.#aborted.abort()
	}

	/**
	 * Delivers a record. Returns whether the record was delivered; a promise if the target returns a promise or
	 * the first attempt fails.
	 */
	deliver(record: LogRecord): boolean | Promise<boolean> {
		try {
			const result = this.#target.write(record)
			if (!isThenable(result)) return this.#arrived()
			return this.#follow(record, result)
		} catch (thrown) {
			return this.#tryAgain(record, thrown)
		}
	}

	/**
	 * Flushes the target. If this fails, the target is considered gone, and the error is kept if it is the
	 * first one.
	 */
	async flush(): Promise<void> {
		try {
			const flushed = this.#target.flush?.()
			if (isThenable(flushed)) await this.#answer(flushed)
		} catch (thrown) {
			this.isGone = true
			this.#noteError(this.#takeBack(), thrown)
		}
	}

	/**
	 * Counts the records that the target could not keep as failed, no longer as replayed. Returns the seq of
	 * the first such record, if known.
	 */
	#takeBack(): number | undefined {
		const undelivered = attempt(() => soundUndelivered(this.#target.undelivered?.()), undefined)
		this.undeliveredFrom = undelivered === undefined ? 'first' : undelivered.seq
		this.counts.replayed -= undelivered?.records ?? 0
		this.counts.failed += undelivered?.records ?? 0
		return undelivered?.seq
	}

	async #follow(record: LogRecord, result: PromiseLike<unknown>): Promise<boolean> {
		try {
			await this.#answer(result)
			return this.#arrived()
		} catch (thrown) {
			return this.#tryAgain(record, thrown)
		}
	}

	async #tryAgain(record: LogRecord, thrown: unknown): Promise<boolean> {
		const tries = this.#isFailing ? 0 : this.#options.retries
		let last = thrown
		hush(last)
		const { signal } = this.#aborted
		const backoff = new Backoff(REPLAY_RETRY_MS_MIN, RETRY_MS_MAX)
		for (let retry = 0; retry < tries && !this.#isFinal(last); retry++) {
			await waitBy(this.#options.clock, backoff.next(), signal)
			if (signal.aborted) break
			this.counts.retries++
			try {
				await this.#answer(this.#target.write(record))
				return this.#arrived()
			} catch (again) {
				last = again
				hush(last)
			}
		}
		this.counts.failed++
		this.#isFailing = true
		this.isGone ||= isGoneError(last) || isFailing(last) || this.#timeoutsInRow >= TIMEOUTS_MAX
		this.#noteError(record.seq, last)
		return false
	}

	#isFinal(thrown: unknown): boolean {
		return isGoneError(thrown) || this.#timeoutsInRow >= TIMEOUTS_MAX
	}

	#arrived(): boolean {
		this.counts.replayed++
		this.#isFailing = false
		this.#timeoutsInRow = 0
		return true
	}

	#noteError(seq: number | undefined, thrown: unknown): void {
		hush(thrown)
		this.firstError ??= { seq, code: codeOf(thrown), message: messageOf(thrown) }
	}

	#answer(result: unknown): Promise<unknown> {
		const { timeoutMs, clock } = this.#options
		return new Promise((resolve, reject) => {
			const cancel = callAt(clock, clock.now() + timeoutMs, () => {
				this.#timeoutsInRow++
				const name = propertyOf(this.#target, 'name')
				const text = `${typeof name === 'string' ? name : 'the target'} did not answer within ${timeoutMs} ms`
				reject(new MeshChainError('TARGET_TIMEOUT', text))
			})
			follow(
				result,
				(value) => {
					cancel()
					resolve(value)
				},
				(error) => {
					cancel()
					reject(error)
				},
			)
		})
	}
}

/**
 * Returns whether an error is retryable. A retryable error means that the appender currently cannot commit
 * any records.
 */
function isFailing(thrown: unknown): boolean {
	return isInstance(thrown, LogAppendError) && isRetryable(thrown)
}

function isGoneError(thrown: unknown): boolean {
	return isInstance(thrown, MeshChainError) && codeOf(thrown) === 'TARGET_GONE'
}

/** Returns the target's report if it is plausible; otherwise undefined. */
function soundUndelivered(undelivered: UndeliveredRecords | undefined): UndeliveredRecords | undefined {
	if (undelivered === undefined) return undefined
	discard(undelivered)
	const { records, seq } = undelivered
	hush(records)
	hush(seq)
	const isSound =
		Number.isSafeInteger(records) && records >= 0 && (seq === undefined || Number.isSafeInteger(seq))
	return isSound ? { records, seq } : undefined
}
