/**
 * A cursor over the ring for one consumer, who comes by at his own pace. There is no queue: what he has not fetched is in
 * the ring, and what left the ring meanwhile he is told of. The loop knows a subscription only while it waits.
 */

import { matches, type ResolvedFilter } from '../model/filter.ts'
import { gapRecord, type LogRecord } from '../model/record.ts'
import type { RecordQueue } from '../outbox/record-queue.ts'

/** What a subscription sees of its loop. */
export interface SubscriptionHost {
	readonly queue: RecordQueue
	readonly epoch: number
	readonly closed: boolean
	readonly waiting: Set<Subscription>
	now(): number
	countLagged(count: number): void
}

type Result = IteratorResult<LogRecord, undefined>

const DONE: Result = Object.freeze({ done: true, value: undefined })

export class Subscription implements AsyncIterableIterator<LogRecord, undefined> {
	readonly #host: SubscriptionHost
	readonly #filter: ResolvedFilter
	/** Whoever called `next` and waits, in order. */
	readonly #callers: ((result: Result) => void)[] = []
	/** The next seq to look at. */
	#cursor: number
	#done = false

	/** From the next record on. */
	constructor(host: SubscriptionHost, filter: ResolvedFilter) {
		this.#host = host
		this.#filter = filter
		this.#cursor = host.queue.end
	}

	[Symbol.asyncIterator](): this {
		return this
	}

	/** The next record that matches, or a `$gap` (`lagged`) for those that left the ring first; done once the loop is closed. */
	next(): Promise<Result> {
		const record = this.#done ? undefined : this.#scan()
		if (record !== undefined) return Promise.resolve({ done: false, value: record })
		if (this.#done || this.#host.closed || this.#cursor > this.#filter.toSeq) return this.return()
		this.#host.waiting.add(this)
		return new Promise((resolve) => {
			this.#callers.push(resolve)
		})
	}

	/** Lets go; whoever waits is told that it is over. Idempotent. */
	return(): Promise<Result> {
		this.#done = true
		this.#host.waiting.delete(this)
		for (const caller of this.#callers.splice(0)) caller(DONE)
		return Promise.resolve(DONE)
	}

	/** A record was pushed while somebody waits. All before it have been looked at. */
	offer(record: LogRecord): void {
		this.#cursor = record.seq + 1
		if (matches(record, this.#filter)) this.#callers.shift()?.({ done: false, value: record })
		if (this.#cursor > this.#filter.toSeq) this.return()
		else if (this.#callers.length === 0) this.#host.waiting.delete(this)
	}

	/** Moves on to the next record that matches; undefined when there is none in the ring. */
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
