/** Hands one record after the other to a target: tries again, gives up, and knows when the target is gone. */
import { isRetryable } from '../appender.ts'
import { hush } from '../guard/hush.ts'
import { discard, follow, isThenable } from '../guard/promises.ts'
import { attempt, codeOf, isInstance, propertyOf } from '../guard/values.ts'
import { LogAppendError, MeshChainError, messageOf } from '../model/errors.ts'
import { RETRY_MS_MAX, RETRY_MS_MIN } from '../model/limits.ts'
import type { LogRecord } from '../model/record.ts'
import { Backoff } from '../platform/backoff.ts'
import { callAt, type ReplayClock, waitBy } from './clock.ts'
import type { ReplayFailure } from './replay-summary.ts'
import type { ReplayTarget, Unkept } from './target.ts'

/** So many times in a row without an answer, and a target is taken for gone. */
const TIMEOUTS_MAX = 3

export interface TargetWriterOptions {
	readonly retries: number
	readonly timeoutMs: number
	readonly clock: ReplayClock
}

export class TargetWriter {
	readonly #target: ReplayTarget
	readonly #options: TargetWriterOptions
	readonly counts = { replayed: 0, failed: 0, retries: 0 }
	firstError: ReplayFailure | undefined
	/** The target takes nothing any more. */
	isGone = false
	/** What it took may not be where it should be: all of it, or from this seq on. */
	unkeptFrom: 'first' | number | undefined
	readonly #aborted = new AbortController()
	#timeoutsInRow = 0
	/** A record has failed and none has arrived since: the next ones are tried once. */
	#isFailing = false

	constructor(target: ReplayTarget, options: TargetWriterOptions) {
		this.#target = target
		this.#options = options
	}

	/** Nothing is tried again from now on. */
	abort(): void {
		this.#aborted.abort()
	}

	/** Whether the record arrived; a promise of it where the target gives one, or has to be asked again. */
	deliver(record: LogRecord): boolean | Promise<boolean> {
		try {
			const result = this.#target.write(record)
			if (!isThenable(result)) return this.#arrived()
			return this.#follow(record, result)
		} catch (thrown) {
			return this.#tryAgain(record, thrown)
		}
	}

	/** Everything is where it should be, or that is the first error. */
	async flush(): Promise<void> {
		try {
			const flushed = this.#target.flush?.()
			if (isThenable(flushed)) await this.#answer(flushed)
		} catch (thrown) {
			this.isGone = true
			this.#noteError(this.#takeBack(), thrown)
		}
	}

	/** What the target could not keep has not arrived. Returns the seq of the first of it, where that is known. */
	#takeBack(): number | undefined {
		const unkept = attempt(() => unkeptOf(this.#target.unkept?.()), undefined)
		this.unkeptFrom = unkept === undefined ? 'first' : unkept.seq
		this.counts.replayed -= unkept?.records ?? 0
		this.counts.failed += unkept?.records ?? 0
		return unkept?.seq
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
		const backoff = new Backoff(RETRY_MS_MIN, RETRY_MS_MAX)
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

/** An appender that would take the record at another time fails as a whole: what is wrong with a record is not retryable. */
function isFailing(thrown: unknown): boolean {
	return isInstance(thrown, LogAppendError) && isRetryable(thrown)
}

function isGoneError(thrown: unknown): boolean {
	return isInstance(thrown, MeshChainError) && codeOf(thrown) === 'TARGET_GONE'
}

/** What a target says of itself, where it can be true. */
function unkeptOf(unkept: Unkept | undefined): Unkept | undefined {
	if (unkept === undefined) return undefined
	discard(unkept)
	const { records, seq } = unkept
	hush(records)
	hush(seq)
	const isSound =
		Number.isSafeInteger(records) && records >= 0 && (seq === undefined || Number.isSafeInteger(seq))
	return isSound ? { records, seq } : undefined
}
