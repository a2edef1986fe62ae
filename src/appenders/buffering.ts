/**
 * An appender for tests. It keeps the newest records in memory. Tests can read them and wait for new ones.
 */
import type { Durability, LogChainAppender } from '../appender.ts'
import { hush } from '../guard/hush.ts'
import { discard } from '../guard/promises.ts'
import { show } from '../guard/show.ts'
import { attempt } from '../guard/values.ts'
import { checkOptionNames, checkWholeNumber } from '../model/check.ts'
import { LogAppendError, MeshChainError } from '../model/errors.ts'
import type { EventMap, KindFilter, KindOf, RecordOf } from '../model/events.ts'
import { type LogFilter, matches, resolveFilter } from '../model/filter.ts'
import { BUFFER_CAPACITY_DEFAULT, WAIT_MS_DEFAULT } from '../model/limits.ts'
import type { LogRecord } from '../model/record.ts'
import { RecordQueue } from '../outbox/record-queue.ts'
import { TIMER_MS_MAX } from '../platform/time-limits.ts'

/** Options for a `BufferingAppender`. */
export interface BufferingOptions {
	/** Maximum number of records to keep. Whole number from 0; 0 is treated as 1. Default: 16,384. */
	readonly capacity?: number | undefined
}

/** Options for `BufferingAppender.waitFor`. */
export interface WaitOptions {
	/** Maximum time to wait, from 0 to 2,147,483,647 ms, or Infinity for no limit. Default: 1,000 ms. */
	readonly timeoutMs?: number | undefined
}

type Predicate = (record: LogRecord) => boolean

interface Waiter {
	readonly predicate: Predicate
	/** The filter or function to show in error messages. */
	readonly match: LogFilter | Predicate
	readonly resolve: (record: LogRecord) => void
	readonly reject: (error: unknown) => void
	timer: NodeJS.Timeout | undefined
}

/**
 * Keeps the newest `capacity` records in memory. At capacity, each append drops the oldest record and adds
 * one to {@link droppedCount}. The durability is `memory`.
 *
 * `E` is the event map of the loop. With a filter by `kind`, the result type is the type of that kind's
 * records. A loop never appends its own `$gap` records to this appender, because the appender never fails.
 *
 * @example
 * ```ts
 * import { BufferingAppender, MeshLoop } from 'mesh-chain'
 *
 * const appender = new BufferingAppender()
 * const loop = new MeshLoop(appender)
 * loop.info('started')
 * appender.captured({ level: 'info' }) // one record, with the message 'started'
 * ```
 */
export class BufferingAppender<E extends object = EventMap> implements LogChainAppender {
	readonly durability: Durability = 'memory'
	readonly #capacity: number
	readonly #queue = new RecordQueue(0)
	readonly #waiters = new Set<Waiter>()
	#droppedCount = 0
	#committedSeq = 0
	#closed = false

	/** @throws {MeshChainError} `INVALID_OPTION` */
	constructor(options: BufferingOptions = {}) {
		checkOptionNames(options, ['capacity'])
		const { capacity = BUFFER_CAPACITY_DEFAULT } = options
		this.#capacity = Math.max(1, checkWholeNumber('capacity', capacity, 0))
	}

	/** Seq of the last accepted record; 0 before the first record. */
	get committedSeq(): number {
		return this.#committedSeq
	}

	/** Number of records dropped to make room for newer records. Never decreases, even after {@link clear}. */
	get droppedCount(): number {
		return this.#droppedCount
	}

	/** Stores a record. @throws {LogAppendError} `APPENDER_CLOSED`, not retryable, after {@link close}. */
	append(record: LogRecord): void {
		if (this.#closed) {
			throw new LogAppendError('the appender is closed', {
				code: 'APPENDER_CLOSED',
				retryable: false,
				seq: record.seq,
			})
		}
		this.#keep(record)
		if (this.#waiters.size > 0) this.#wake(record)
	}

	appendBatch(records: readonly LogRecord[]): void {
		for (const record of records) this.append(record)
	}

	/**
	 * Returns the buffered records that match, oldest first. Works even after {@link close}.
	 *
	 * @throws {MeshChainError} `INVALID_FILTER`, `INVALID_LEVEL`
	 */
	captured<K extends KindOf<E>>(filter: KindFilter<K>): RecordOf<E, K>[]
	captured(filter?: LogFilter): RecordOf<E>[]
	captured(filter?: LogFilter): LogRecord[] {
		const wanted = resolveFilter(filter)
		const records: LogRecord[] = []
		for (let position = this.#queue.first; position < this.#queue.end; position++) {
			const record = this.#queue.at(position)
			if (matches(record, wanted)) records.push(record)
		}
		return records
	}

	/** Removes the buffered records without counting them as dropped. */
	clear(): void {
		this.#queue.clear()
	}

	/**
	 * Resolves with the oldest buffered record that matches a filter or a function. If none matches, waits for
	 * the next matching record.
	 *
	 * @throws {MeshChainError} `WAIT_TIMEOUT` if no matching record arrives in time, or `APPENDER_CLOSED` if
	 * the appender is closed first.
	 */
	waitFor<K extends KindOf<E>>(filter: KindFilter<K>, options?: WaitOptions): Promise<RecordOf<E, K>>
	waitFor(match: LogFilter | ((record: RecordOf<E>) => boolean), options?: WaitOptions): Promise<RecordOf<E>>
	async waitFor(match: LogFilter | Predicate, options: WaitOptions = {}): Promise<LogRecord> {
		const predicate = toPredicate(match)
		const timeoutMs = resolveTimeoutMs(options)
		const held = this.captured().find(predicate)
		if (held !== undefined) return held
		if (this.#closed) throw closedError(match)
		return new Promise((resolve, reject) => {
			const waiter: Waiter = { predicate, match, resolve, reject, timer: undefined }
			this.#waiters.add(waiter)
			if (timeoutMs === Number.POSITIVE_INFINITY) return
			waiter.timer = setTimeout(() => {
				this.#waiters.delete(waiter)
				reject(this.#timeoutError(match, timeoutMs))
			}, timeoutMs)
		})
	}

	/**
	 * Closes the appender. The buffered records remain readable, later appends are refused, and pending waits
	 * reject. Idempotent.
	 */
	async close(): Promise<void> {
		this.#closed = true
		for (const waiter of this.#waiters) this.#settle(waiter, () => waiter.reject(closedError(waiter.match)))
	}

	#keep(record: LogRecord): void {
		if (this.#queue.count === this.#capacity) {
			this.#queue.shift()
			this.#droppedCount += 1
		}
		this.#queue.push(record)
		this.#committedSeq = record.seq
	}

	#wake(record: LogRecord): void {
		for (const waiter of this.#waiters) {
			try {
				const answer: unknown = waiter.predicate(record)
				discard(answer)
				if (answer) this.#settle(waiter, () => waiter.resolve(record))
			} catch (thrown) {
				hush(thrown)
				this.#settle(waiter, () => waiter.reject(thrown))
			}
		}
	}

	#settle(waiter: Waiter, settle: () => void): void {
		clearTimeout(waiter.timer)
		this.#waiters.delete(waiter)
		settle()
	}

	#timeoutError(match: LogFilter | Predicate, timeoutMs: number): MeshChainError {
		return new MeshChainError(
			'WAIT_TIMEOUT',
			`no record matched ${describe(match)} within ${timeoutMs} ms; records held: ${this.#queue.count}`,
		)
	}
}

function resolveTimeoutMs(options: WaitOptions): number {
	checkOptionNames(options, ['timeoutMs'])
	const { timeoutMs = WAIT_MS_DEFAULT } = options
	if (timeoutMs === Number.POSITIVE_INFINITY) return timeoutMs
	if (typeof timeoutMs === 'number' && timeoutMs >= 0 && timeoutMs <= TIMER_MS_MAX) return timeoutMs
	throw new MeshChainError(
		'INVALID_OPTION',
		`timeoutMs must be from 0 to ${TIMER_MS_MAX}, or Infinity, not ${show(timeoutMs)}`,
	)
}

function toPredicate(match: LogFilter | Predicate): Predicate {
	if (typeof match === 'function') return match
	const wanted = resolveFilter(match)
	return (record) => matches(record, wanted)
}

/** Formats a filter or a function for an error message. */
function describe(match: LogFilter | Predicate): string {
	return attempt(() => described(match), 'the given match')
}

function described(match: LogFilter | Predicate): string {
	if (typeof match === 'function')
		return match.name === '' ? 'the given function' : `the function ${match.name}`
	const conditions = Object.entries(match).map(([key, value]) => `${key}: ${showCondition(value)}`)
	return `{ ${conditions.join(', ')} }`
}

function showCondition(value: unknown): string {
	if (Array.isArray(value)) return `[${value.map(show).join(', ')}]`
	return value instanceof RegExp || value instanceof Date ? String(value) : show(value)
}

function closedError(match: LogFilter | Predicate): MeshChainError {
	return new MeshChainError(
		'APPENDER_CLOSED',
		`no record matched ${describe(match)} before the appender was closed`,
	)
}
