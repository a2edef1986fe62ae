/**
 * Passes one history to several appenders. All children read one queue, each with its own cursor, so that a
 * child that fails, hangs or is slow does not delay the others.
 *
 * Invariant: the queue holds only records that at least one child still needs, and at most
 * `TEE_QUEUE_RECORDS_MAX` of them.
 */
import {
	claimAppenders,
	DURABILITIES,
	type Durability,
	durabilityOf,
	failureOf,
	type LogChainAppender,
	startOf,
} from '../appender.ts'
import { isInstance, isPlainObject, propertyOf } from '../guard/values.ts'
import { checkOptionNames, checkTimerMs } from '../model/check.ts'
import { type ErrorCode, LogAppendError, MeshChainError, messageOf } from '../model/errors.ts'
import { CLOSE_TIMEOUT_MS_DEFAULT, TEE_QUEUE_RECORDS_MAX } from '../model/limits.ts'
import type { LogRecord } from '../model/record.ts'
import { closeMsMax } from '../outbox/appender-calls.ts'
import { HealthReporter, nameOf } from '../outbox/health-reporter.ts'
import { Outbox } from '../outbox/outbox.ts'
import type { OutboxStats } from '../outbox/outbox-stats.ts'
import { RecordQueue } from '../outbox/record-queue.ts'
import { TIMER_MS_MAX } from '../platform/time-limits.ts'

/** Time allowed for `close` to report the outcome after the slowest child has closed. */
const CLOSE_MARGIN_MS = 500

/** Options for a `TeeAppender`. */
export interface TeeOptions {
	/**
	 * Maximum time that `close` waits for a child that does not respond. `close` still closes the other
	 * children, and its error names the unresponsive child. If a child has its own `closeTimeoutMs`, that value
	 * limits its `sync` and `close`. Whole number from 1. Default: 3,000 ms.
	 */
	readonly closeTimeoutMs?: number | undefined
}

/** Statistics for one child of a `TeeAppender`. */
export interface TeeChildStats extends OutboxStats {
	/**
	 * Class name of the child. A child without a class name is named by its position, for example `appender 2`.
	 */
	readonly name: string
}

/** Statistics for a `TeeAppender`. */
export interface TeeStats {
	/** Number of records that at least one child still needs, at most 16,384. */
	readonly queued: number
	/** One entry for each child, in the order of the constructor arguments. */
	readonly children: readonly TeeChildStats[]
}

interface Child {
	readonly name: string
	readonly appender: LogChainAppender
	readonly outbox: Outbox
}

/** The failure of one child. */
interface ChildFailure {
	readonly name: string
	readonly error: unknown
}

/**
 * Passes every record to every child, in order. `append` accepts each record and does not throw. Appends to a
 * failing child are retried with increasing delays, while up to 16,384 records wait for that child. Beyond
 * this limit, the oldest records become a counted gap (`overflow`), which the child receives as a `$gap`
 * record when it recovers. Records that a child refuses with a non-retryable error also become a gap
 * (`appendFailed`).
 *
 * `close` closes all children concurrently, and every wait has a time limit.
 *
 * A record is committed when every child has committed it, so {@link durability} is the highest durability of
 * any child.
 */
export class TeeAppender implements LogChainAppender {
	/** Highest `nextSeq` of the children. */
	readonly nextSeq: number
	/** Highest `epoch` of the children. */
	readonly epoch: number
	readonly #queue: RecordQueue
	readonly #children: readonly Child[]
	readonly #closeTimeoutMs: number
	/**
	 * Always true. Each child is synced as part of closing it, so that a child that hangs does not delay the
	 * others.
	 */
	readonly closeSyncs = true
	#closing: Promise<void> | undefined

	/**
	 * @param given the children, optionally followed by options. This appender takes ownership of the children.
	 * @throws {MeshChainError} `INVALID_OPTION` if there are no children, or `APPENDER_IN_USE` if a child
	 * belongs to another loop or appender.
	 */
	constructor(...given: LogChainAppender[] | [...LogChainAppender[], TeeOptions]) {
		const { appenders, closeTimeoutMs } = resolveTee(given)
		this.#closeTimeoutMs = closeTimeoutMs
		claimAppenders(appenders)
		const starts = appenders.map(startOf)
		this.nextSeq = Math.max(...starts.map(({ nextSeq }) => nextSeq))
		this.epoch = Math.max(...starts.map(({ epoch }) => epoch))
		this.#queue = new RecordQueue(0)
		this.#children = appenders.map((appender, index) => this.#newChild(appender, index))
	}

	/** Seq up to which every child has committed all records. */
	get committedSeq(): number {
		return Math.min(...this.#children.map(({ outbox }) => outbox.committedSeq))
	}

	/** Highest durability of any child, because a committed record has been committed by every child. */
	get durability(): Durability {
		const ranks = this.#children.map(({ appender }) => DURABILITIES.indexOf(durabilityOf(appender)))
		return DURABILITIES[Math.max(...ranks)] ?? 'memory'
	}

	/** Failure of the first child that currently cannot commit records; undefined if there is none. */
	get failure(): MeshChainError | undefined {
		for (const { appender, outbox } of this.#children) {
			const failure = failureOf(appender) ?? outbox.failure
			if (failure !== undefined) return failure
		}
		return undefined
	}

	/**
	 * Maximum duration of {@link close}, in milliseconds. `close` can take longer while appends to a child keep
	 * settling.
	 */
	get closeTimeoutMs(): number {
		const longestMs = this.#children.map(({ appender }) => closeMsMax(appender, this.#closeTimeoutMs))
		return Math.min(Math.max(...longestMs) + CLOSE_MARGIN_MS, TIMER_MS_MAX)
	}

	/**
	 * Queues a record for every child.
	 *
	 * @throws {LogAppendError} `APPENDER_CLOSED`, not retryable, after {@link close}. No other error is thrown.
	 */
	append(record: LogRecord): void {
		this.#refuseWhenClosed(record.seq)
		this.#makeRoom(1)
		this.#queue.push(record)
		for (const { outbox } of this.#children) outbox.pump()
		this.#trim()
	}

	/**
	 * Queues records as one batch. A child with `appendBatch` accepts all or none of the records. Other
	 * children receive the records one by one.
	 *
	 * @throws {LogAppendError} `APPENDER_CLOSED`, not retryable, after {@link close}. No other error is thrown.
	 */
	appendBatch(records: readonly LogRecord[]): void {
		if (records.length === 0) return
		this.#refuseWhenClosed(records[0]!.seq)
		this.#makeRoom(records.length)
		for (const record of records) this.#queue.push(record)
		for (const { outbox } of this.#children) outbox.pumpBatch(records.length)
		this.#trim()
	}

	/**
	 * Flushes every child.
	 *
	 * @throws {MeshChainError} `FLUSH_FAILED` if a child cannot flush. All children are flushed first, and the
	 * message names the children that failed.
	 */
	flush(): void {
		const failures: ChildFailure[] = []
		for (const { name, outbox } of this.#children) {
			try {
				outbox.flush()
			} catch (error) {
				failures.push({ name, error })
			}
		}
		this.#trim()
		this.#throwIfAny(failures, 'FLUSH_FAILED', 'flush')
	}

	/**
	 * Resolves when every child has synced.
	 *
	 * @throws {MeshChainError} `SYNC_FAILED` if a child cannot sync. All children are synced first, and the
	 * message names the children that failed.
	 */
	async sync(): Promise<void> {
		if (this.#closing !== undefined) return this.#closing
		const failures = await this.#forAll((outbox) => outbox.sync())
		this.#throwIfAny(failures, 'SYNC_FAILED', 'sync')
	}

	/**
	 * Appends the pending records, then syncs and closes every child. Idempotent.
	 *
	 * @throws {MeshChainError} `CLOSE_FAILED` if a child cannot close. All children are closed first, and the
	 * message names the children that failed.
	 */
	close(): Promise<void> {
		this.#closing ??= this.#closeAll()
		return this.#closing
	}

	/** Returns the statistics of the queue and of each child. */
	stats(): TeeStats {
		const children = this.#children.map(({ name, outbox }) => Object.freeze({ name, ...outbox.stats() }))
		return Object.freeze({ queued: this.#queue.count, children: Object.freeze(children) })
	}

	#newChild(appender: LogChainAppender, index: number): Child {
		const health = new HealthReporter(this, appender)
		const outbox = new Outbox({
			appender,
			queue: this.#queue,
			nextSeq: this.nextSeq,
			epoch: this.epoch,
			clock: () => Date.now(),
			evictionCause: 'overflow',
			health,
			lost: (gap, error) => health.lost(gap, error),
			progress: () => this.#trim(),
		})
		return { name: nameOf(appender, `appender ${index + 1}`), appender, outbox }
	}

	/**
	 * Makes room for `count` records in the queue. First retries the appends to each child, because this may
	 * free enough room without dropping records.
	 */
	#makeRoom(count: number): void {
		if (this.#queue.count + count <= TEE_QUEUE_RECORDS_MAX) return
		for (const { outbox } of this.#children) outbox.pump()
		this.#trim()
		while (this.#queue.count > 0 && this.#queue.count + count > TEE_QUEUE_RECORDS_MAX) {
			for (const { outbox } of this.#children) outbox.evicting(this.#queue.first)
			this.#queue.shift()
		}
	}

	/** Removes the records that no child needs any longer. */
	#trim(): void {
		let needed = this.#queue.end
		for (const { outbox } of this.#children) needed = Math.min(needed, outbox.needed)
		while (this.#queue.first < needed) this.#queue.shift()
	}

	async #closeAll(): Promise<void> {
		const failures = await this.#forAll((outbox) => outbox.close(this.#closeTimeoutMs))
		this.#queue.clear()
		this.#throwIfAny(failures, 'CLOSE_FAILED', 'close')
	}

	async #forAll(act: (outbox: Outbox) => Promise<void>): Promise<ChildFailure[]> {
		const results = await Promise.allSettled(this.#children.map(({ outbox }) => act(outbox)))
		this.#trim()
		return results.flatMap((result, index) =>
			result.status === 'rejected' ? [{ name: this.#children[index]!.name, error: result.reason }] : [],
		)
	}

	#throwIfAny(failures: readonly ChildFailure[], code: ErrorCode, verb: string): void {
		if (failures.length === 0) return
		const reasons = failures.map(({ name, error }) => `${name}: ${messageOf(error)}`)
		const { error } = failures[0]!
		const share = `${failures.length} of ${this.#children.length} appenders`
		const text = `${share} cannot ${verb}: ${reasons.join('; ')}`
		const seq = isInstance(error, MeshChainError) ? propertyOf(error, 'seq') : undefined
		throw new MeshChainError(code, text, { cause: error, ...(typeof seq === 'number' ? { seq } : {}) })
	}

	#refuseWhenClosed(seq: number): void {
		if (this.#closing === undefined) return
		throw new LogAppendError('the appender is closed', { code: 'APPENDER_CLOSED', retryable: false, seq })
	}
}

/** @throws {MeshChainError} `INVALID_OPTION` */
function resolveTee(given: readonly (LogChainAppender | TeeOptions)[]): {
	readonly appenders: readonly LogChainAppender[]
	readonly closeTimeoutMs: number
} {
	const last = given.at(-1)
	const hasOptions = isPlainObject(last) && propertyOf(last, 'append') === undefined
	const options = (hasOptions ? last : {}) as TeeOptions
	checkOptionNames(options, ['closeTimeoutMs'])
	const appenders = (hasOptions ? given.slice(0, -1) : given) as readonly LogChainAppender[]
	if (appenders.length === 0) {
		throw new MeshChainError('INVALID_OPTION', 'a TeeAppender needs at least one appender')
	}
	const { closeTimeoutMs = CLOSE_TIMEOUT_MS_DEFAULT } = options
	return { appenders, closeTimeoutMs: checkTimerMs('closeTimeoutMs', closeTimeoutMs) }
}
