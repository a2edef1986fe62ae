/**
 * Reads the ring for one consumer. A subscription has no queue: the consumer fetches each record from the
 * ring. A `$gap` record replaces records that were evicted before they were fetched. The loop references a
 * subscription only while a call to `next` is pending.
 */
import { matches, type ResolvedFilter } from '../model/filter.ts'
import { gapRecord, type LogRecord } from '../model/record.ts'
import type { RecordQueue } from '../outbox/record-queue.ts'

/** The part of a loop that its subscriptions use. */
export interface SubscriptionHost {
	readonly queue: RecordQueue
	readonly epoch: number
	readonly closed: boolean
	readonly waiting: Set<Subscription>
	now(): number
	countLagged(count: number): void
}

/**
 * An async iterator over a loop's records, for `for await`. The subscription ends when the `for await` loop
 * exits or `return` is called.
 */
export interface LoopSubscription<R = LogRecord> extends AsyncIterator<R, undefined> {
	next(): Promise<IteratorResult<R, undefined>>
	return(): Promise<IteratorResult<R, undefined>>
	[Symbol.asyncIterator](): this
}

type Result = IteratorResult<LogRecord, undefined>

const DONE: Result = Object.freeze({ done: true, value: undefined })

export class Subscription implements LoopSubscription {
	readonly #host: SubscriptionHost
	readonly #filter: ResolvedFilter
	/** Functions that resolve the pending calls to `next`, oldest call first. */
	readonly #callers: ((result: Result) => void)[] = []
	/** Seq of the next record to check. */
	#cursor: number
	#done = false

	/** Creates a subscription that starts with the next published record. */
	constructor(host: SubscriptionHost, filter: ResolvedFilter) {
		this.#host = host
		this.#filter = filter
		this.#cursor = host.queue.end
	}

	[Symbol.asyncIterator](): this {
		return this
	}

	/**
	 * Returns the next matching record, or a `$gap` record (`lagged`) for records that were evicted before they
	 * were fetched. After the loop is closed, the iteration ends with the last record in the ring.
	 */
	next(): Promise<Result> {
		const record = this.#done ? undefined : this.#scan()
		if (record !== undefined) return Promise.resolve({ done: false, value: record })
		if (this.#done || this.#host.closed || this.#cursor > this.#filter.toSeq) return this.return()
		this.#host.waiting.add(this)
		return new Promise((resolve) => {
			this.#callers.push(resolve)
		})
	}

	/** Ends the subscription and resolves its pending calls to `next`. Idempotent. */
	return(): Promise<Result> {
		this.#done = true
		this.#host.waiting.delete(this)
		for (const caller of this.#callers.splice(0)) caller(DONE)
		return Promise.resolve(DONE)
	}

	/**
	 * Passes a new record to the waiting consumer if the record matches. The consumer has already received all
	 * earlier matching records.
	 */
	offer(record: LogRecord): void {
		this.#cursor = record.seq + 1
		if (matches(record, this.#filter)) this.#callers.shift()?.({ done: false, value: record })
		if (this.#cursor > this.#filter.toSeq) this.return()
		else if (this.#callers.length === 0) this.#host.waiting.delete(this)
	}

	/** Returns the next matching record, or a gap for evicted records; undefined if there is neither. */
	#scan(): LogRecord | undefined {
		const { queue } = this.#host
		if (this.#cursor < queue.first) {
			const gap = this.#skipLost()
			if (matches(gap, this.#filter)) return gap
		}
		while (this.#cursor < queue.end) {
			const record = queue.at(this.#cursor)
			this.#cursor += 1
			if (matches(record, this.#filter)) return record
		}
		return undefined
	}

	#skipLost(): LogRecord {
		const { queue, epoch } = this.#host
		const fromSeq = this.#cursor
		const toSeq = queue.first - 1
		const count = toSeq - fromSeq + 1
		this.#cursor = queue.first
		this.#host.countLagged(count)
		return gapRecord({ fromSeq, toSeq, count, cause: 'lagged' }, { epoch, tsMs: this.#host.now() })
	}
}
