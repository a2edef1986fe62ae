/**
 * Passes one history to several appenders. Each child has its own cursor in a queue, so that a child that
 * fails, hangs or is slow does not delay the others. The children that receive every record share one
 * queue. A child with a level or a filter has its own queue, which contains only the records that it
 * receives.
 */
import {
	claimAppenders,
	DURABILITIES,
	type Durability,
	durabilityOf,
	failureOf,
	type LogChainAppender,
	onNewFileOf,
	startOf,
} from '../appender.ts'
import { isInstance, isPlainObject, propertyOf } from '../guard/values.ts'
import { checkOptionNames, checkTimerMs } from '../model/check.ts'
import { type ErrorCode, LogAppendError, MeshChainError, messageOf } from '../model/errors.ts'
import { CLOSE_TIMEOUT_MS_DEFAULT } from '../model/limits.ts'
import type { LogRecord } from '../model/record.ts'
import { closeMsMax } from '../outbox/appender-calls.ts'
import { HealthReporter, nameOf } from '../outbox/health-reporter.ts'
import { Outbox } from '../outbox/outbox.ts'
import type { OutboxStats } from '../outbox/outbox-stats.ts'
import { TIMER_MS_MAX } from '../platform/time-limits.ts'
import { SelectedRecords } from './selected-records.ts'
import { isTeeChild, type ResolvedChild, resolveChild, type TeeChild } from './tee-child.ts'
import { TeeQueue } from './tee-queue.ts'

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
	/** Number of records that the child did not receive because of its `level` or `filter`. */
	readonly filtered: number
	/** Number of records that the child received because its `filter` failed. */
	readonly filterErrors: number
}

/** Statistics for a `TeeAppender`. */
export interface TeeStats {
	/**
	 * Number of records that at least one child still needs: at most 16,384 for the children that receive every
	 * record, and at most 16,384 for each other child.
	 */
	readonly queued: number
	/** One entry for each child, in the order of the constructor arguments. */
	readonly children: readonly TeeChildStats[]
}

interface Child {
	readonly name: string
	readonly appender: LogChainAppender
	readonly outbox: Outbox
	readonly queue: TeeQueue
	/** The records that the child selects; undefined if it receives all. */
	readonly selected: SelectedRecords | undefined
}

/** The failure of one child. */
interface ChildFailure {
	readonly name: string
	readonly error: unknown
}

/**
 * Passes every record to every child, in order. A child that is given as `{ appender, level, filter }`
 * receives only the records that pass its level and its filter, and all `$gap` records. `append` accepts
 * each record and does not throw. Appends to a failing child are retried with increasing delays, while up
 * to 16,384 records wait for that child. Beyond this limit, the oldest records become a counted gap
 * (`overflow`), which the child receives as a `$gap` record when it recovers. Records that a child refuses
 * with a non-retryable error also become a gap (`appendFailed`).
 *
 * `close` closes all children concurrently, and every wait has a time limit.
 *
 * A record is committed when every child that receives it has committed it, so {@link durability} is the
 * highest durability of any child.
 *
 * A child with a level or a filter that numbers its history, such as a `FileChainAppender`, numbers the
 * records that it receives itself, so that its seqs have no holes. If another child is a
 * `FileChainAppender` that receives every record, the `origin` of a record in the first chain is the record
 * in the second one, and `mergeChains` returns it once. In the statistics of such a child, `committedSeq`
 * is its own seq.
 *
 * @example
 * ```ts
 * import { FileChainAppender, MeshLoop, TeeAppender } from 'mesh-chain'
 *
 * const dayMs = 24 * 3_600_000
 * const all = new FileChainAppender('all.chain', { retain: { ageMs: 7 * dayMs } })
 * const errors = new FileChainAppender('errors.chain', { retain: { ageMs: 90 * dayMs } })
 * const loop = new MeshLoop(new TeeAppender(all, { appender: errors, level: 'error' }))
 * loop.info('listening')
 * loop.error('failed')
 * await loop.close()
 * ```
 */
export class TeeAppender implements LogChainAppender {
	/** Highest `nextSeq` of the children that receive every record, or of all children if there are none. */
	readonly nextSeq: number
	/** Highest `epoch` of the same children. */
	readonly epoch: number
	readonly #queue = new TeeQueue()
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
	 * @throws {MeshChainError} `INVALID_OPTION` if there are no children or an option is invalid,
	 * `INVALID_LEVEL`, `INVALID_FILTER`, or `APPENDER_IN_USE` if a child belongs to another loop or appender.
	 */
	constructor(...given: (LogChainAppender | TeeChild)[] | [...(LogChainAppender | TeeChild)[], TeeOptions]) {
		const { children, closeTimeoutMs } = resolveTee(given)
		this.#closeTimeoutMs = closeTimeoutMs
		claimAppenders(children.map(({ appender }) => appender))
		const whole = children.filter(({ selects }) => selects === undefined)
		const starts = (whole.length > 0 ? whole : children).map(({ appender }) => startOf(appender))
		this.nextSeq = Math.max(...starts.map(({ nextSeq }) => nextSeq))
		this.epoch = Math.max(...starts.map(({ epoch }) => epoch))
		const ids = whole.map(({ appender }) => propertyOf(appender, 'chainId'))
		const chainId = ids.find((id) => typeof id === 'string') as string | undefined
		this.#children = children.map((child, index) => this.#newChild(child, index, chainId))
	}

	/** Seq up to which every child has committed all records. */
	get committedSeq(): number {
		return Math.min(
			...this.#children.map(({ outbox, selected }) =>
				selected === undefined ? outbox.committedSeq : selected.committedLoopSeq(outbox.committedSeq),
			),
		)
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
		this.#queue.add(record)
		for (const { selected, queue } of this.#children) {
			const own = selected?.take(record)
			if (own !== undefined) queue.add(own)
		}
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
		this.#queue.addBatch(records)
		for (const { selected, queue } of this.#children) {
			if (selected === undefined) continue
			const own = records.map((record) => selected.take(record))
			queue.addBatch(own.filter((record) => record !== undefined))
		}
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

	/**
	 * Calls a listener with the first seq of a new file each time a child that receives every record has begun
	 * one. Returns a function
	 * that ends the calls.
	 */
	onNewFile(listener: (firstSeq: number) => void): () => void {
		const whole = this.#children.filter(({ selected }) => selected === undefined)
		const undo = whole.map(({ appender }) => onNewFileOf(appender, listener))
		return () => {
			for (const each of undo) each()
		}
	}

	/** Whether a child that receives every record begins new files. */
	get rotates(): boolean {
		return this.#children.some(
			({ appender, selected }) => selected === undefined && propertyOf(appender, 'rotates') === true,
		)
	}

	/** Returns the statistics of the queue and of each child. */
	stats(): TeeStats {
		const children = this.#children.map(({ name, outbox, selected }) => {
			const { filtered = 0, filterErrors = 0 } = selected ?? {}
			return Object.freeze({ name, filtered, filterErrors, ...outbox.stats() })
		})
		const queues = new Set(this.#children.map(({ queue }) => queue))
		const queued = [...queues].reduce((sum, { records }) => sum + records.count, 0)
		return Object.freeze({ queued, children: Object.freeze(children) })
	}

	#newChild({ appender, selects }: ResolvedChild, index: number, chainId: string | undefined): Child {
		const selected = selects === undefined ? undefined : new SelectedRecords(appender, selects, this, chainId)
		const queue = selected === undefined ? this.#queue : new TeeQueue()
		const { nextSeq, epoch } = selected?.start ?? this
		const health = new HealthReporter(this, appender)
		const outbox = new Outbox({
			appender,
			queue: queue.records,
			nextSeq,
			epoch,
			clock: () => Date.now(),
			evictionCause: 'overflow',
			health,
			lost: (gap, error) => health.lost(gap, error),
			progress: () => queue.trim(),
		})
		queue.attach(outbox)
		return { name: nameOf(appender, `appender ${index + 1}`), appender, outbox, queue, selected }
	}

	/** Removes the records that no child needs any longer. */
	#trim(): void {
		for (const { queue } of this.#children) queue.trim()
	}

	async #closeAll(): Promise<void> {
		const failures = await this.#forAll((outbox) => outbox.close(this.#closeTimeoutMs))
		for (const { queue } of this.#children) queue.records.clear()
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

/** @throws {MeshChainError} `INVALID_OPTION` or `INVALID_FILTER` */
function resolveTee(given: readonly (LogChainAppender | TeeChild | TeeOptions)[]): {
	readonly children: readonly ResolvedChild[]
	readonly closeTimeoutMs: number
} {
	const last = given.at(-1)
	const hasOptions = isPlainObject(last) && propertyOf(last, 'append') === undefined && !isTeeChild(last)
	const options = (hasOptions ? last : {}) as TeeOptions
	checkOptionNames(options, ['closeTimeoutMs'])
	const children = (hasOptions ? given.slice(0, -1) : given) as readonly (LogChainAppender | TeeChild)[]
	if (children.length === 0) {
		throw new MeshChainError('INVALID_OPTION', 'a TeeAppender needs at least one appender')
	}
	const { closeTimeoutMs = CLOSE_TIMEOUT_MS_DEFAULT } = options
	return {
		children: children.map(resolveChild),
		closeTimeoutMs: checkTimerMs('closeTimeoutMs', closeTimeoutMs),
	}
}
