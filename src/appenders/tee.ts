/**
 * One history into several appenders. All children walk one queue, each with its own cursor, so that one that fails,
 * is slow or hangs does not hold up the others.
 *
 * Invariant: the queue holds what at least one child still needs, and never more than `TEE_QUEUE_RECORDS_MAX`.
 */
import {
	claimAppender,
	DURABILITIES,
	type Durability,
	durabilityOf,
	failureOf,
	type LogChainAppender,
	startOf,
} from '../appender.ts'
import { isInstance, propertyOf } from '../guard/values.ts'
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

/** A `TeeAppender` needs so much longer than its slowest child, to say what became of it. */
const CLOSE_MARGIN_MS = 500

export interface TeeOptions {
	/**
	 * How long `close` waits for a child that answers nothing, in all; then its siblings are closed all the same, and the error names it. A child
	 * with a `closeTimeoutMs` of its own is waited for so long. Default 3,000 ms.
	 */
	readonly closeTimeoutMs?: number
}

export interface TeeChildStats extends OutboxStats {
	/** The child's class; `appender 2` for the second child, where it has none. */
	readonly name: string
}

export interface TeeStats {
	/** Records that at least one child still needs. */
	readonly queued: number
	/** In the order the children were given in. */
	readonly children: readonly TeeChildStats[]
}

interface Child {
	readonly name: string
	readonly appender: LogChainAppender
	readonly outbox: Outbox
}

/** What went wrong with one child. */
interface ChildFailure {
	readonly name: string
	readonly error: unknown
}

/**
 * Gives every record to every child, in order. `append` takes custody and does not throw: a child that fails is retried
 * with a back-off while up to 16,384 records wait for it; what it is behind by more is a counted gap (`overflow`) that
 * the child gets as a `$gap` record when it recovers; what it refuses for good is a gap too (`appendFailed`).
 *
 * `close` closes the children side by side, and waits for none without a bound.
 *
 * A record is committed when every child has committed it, so {@link durability} is that of the strongest child.
 */
export class TeeAppender implements LogChainAppender {
	/** The highest of the children's. */
	readonly nextSeq: number
	/** The highest of the children's. */
	readonly epoch: number
	readonly #queue: RecordQueue
	readonly #children: readonly Child[]
	readonly #closeTimeoutMs: number
	/** Each child is synced as it is closed: one that hangs keeps no other waiting. */
	readonly closeSyncs = true
	#closing: Promise<void> | undefined

	/**
	 * The appenders belong to this one from here on. Options may come after them.
	 *
	 * @throws {MeshChainError} `INVALID_OPTION` without any, `APPENDER_IN_USE` when one belongs to another.
	 */
	constructor(...given: LogChainAppender[] | [...LogChainAppender[], TeeOptions]) {
		const { appenders, closeTimeoutMs } = resolveTee(given)
		this.#closeTimeoutMs = closeTimeoutMs
		for (const appender of appenders) claimAppender(appender)
		const starts = appenders.map(startOf)
		this.nextSeq = Math.max(...starts.map(({ nextSeq }) => nextSeq))
		this.epoch = Math.max(...starts.map(({ epoch }) => epoch))
		this.#queue = new RecordQueue(0)
		this.#children = appenders.map((appender, index) => this.#newChild(appender, index))
	}

	/** Every child has committed what is up to here. */
	get committedSeq(): number {
		return Math.min(...this.#children.map(({ outbox }) => outbox.committedSeq))
	}

	/** That of the strongest child, which a committed record has reached. */
	get durability(): Durability {
		const ranks = this.#children.map(({ appender }) => DURABILITIES.indexOf(durabilityOf(appender)))
		return DURABILITIES[Math.max(...ranks)] ?? 'memory'
	}

	/** Why one of the children cannot commit at present: the first that cannot. */
	get failure(): MeshChainError | undefined {
		for (const { appender, outbox } of this.#children) {
			const failure = failureOf(appender) ?? outbox.failure
			if (failure !== undefined) return failure
		}
		return undefined
	}

	/** The longest that {@link close} takes, unless appends of a child go on settling. */
	get closeTimeoutMs(): number {
		const longestMs = this.#children.map(({ appender }) => closeMsMax(appender, this.#closeTimeoutMs))
		return Math.min(Math.max(...longestMs) + CLOSE_MARGIN_MS, TIMER_MS_MAX)
	}

	/** @throws {LogAppendError} `APPENDER_CLOSED`, not retryable, after {@link close}; nothing else. */
	append(record: LogRecord): void {
		this.#refuseWhenClosed(record.seq)
		this.#makeRoom(1)
		this.#queue.push(record)
		for (const { outbox } of this.#children) outbox.pump()
		this.#trim()
	}

	/** All or none for each child that has `appendBatch` itself; the others get the records one by one. */
	appendBatch(records: readonly LogRecord[]): void {
		if (records.length === 0) return
		this.#refuseWhenClosed(records[0]!.seq)
		this.#makeRoom(records.length)
		for (const record of records) this.#queue.push(record)
		for (const { outbox } of this.#children) outbox.pumpBatch(records.length)
		this.#trim()
	}

	/** @throws {MeshChainError} `FLUSH_FAILED`, naming the children that cannot, after all were flushed. */
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

	/** @throws {MeshChainError} `SYNC_FAILED`, naming the children that cannot, after all were synced. */
	async sync(): Promise<void> {
		if (this.#closing !== undefined) return this.#closing
		const failures = await this.#forAll((outbox) => outbox.sync())
		this.#throwIfAny(failures, 'SYNC_FAILED', 'sync')
	}

	/**
	 * Hands over what waits, closes every child. Idempotent.
	 *
	 * @throws {MeshChainError} `CLOSE_FAILED`, naming the children that failed, after all were closed.
	 */
	close(): Promise<void> {
		this.#closing ??= this.#closeAll()
		return this.#closing
	}

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

	/** Asks the children once more before one of them loses what it did not take. */
	#makeRoom(count: number): void {
		if (this.#queue.count + count <= TEE_QUEUE_RECORDS_MAX) return
		for (const { outbox } of this.#children) outbox.pump()
		this.#trim()
		while (this.#queue.count > 0 && this.#queue.count + count > TEE_QUEUE_RECORDS_MAX) {
			for (const { outbox } of this.#children) outbox.evicting(this.#queue.first)
			this.#queue.shift()
		}
	}

	/** Drops what no child needs any more. */
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
		const text = `${failures.length} of ${this.#children.length} appenders cannot ${verb}: ${reasons.join('; ')}`
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
	const hasOptions =
		last !== undefined && propertyOf(last, 'append') === undefined && 'closeTimeoutMs' in last
	const options = (hasOptions ? last : {}) as TeeOptions
	checkOptionNames(options, ['closeTimeoutMs'])
	const appenders = (hasOptions ? given.slice(0, -1) : given) as readonly LogChainAppender[]
	if (appenders.length === 0) {
		throw new MeshChainError('INVALID_OPTION', 'a TeeAppender needs at least one appender')
	}
	const { closeTimeoutMs = CLOSE_TIMEOUT_MS_DEFAULT } = options
	return { appenders, closeTimeoutMs: checkTimerMs('closeTimeoutMs', closeTimeoutMs) }
}
