/**
 * The sequence, ring, appender and listeners that a loop shares with its children. A record enters the ring
 * first, and then the outbox appends it. The record is pending until the appender has accepted it.
 *
 * Invariant: no application code runs between stamping a record and appending it. The ring and the appender
 * therefore receive records in order, even if calls to `publish` are nested.
 */
import {
	claimAppenders,
	durabilityOf,
	failureOf,
	type LogChainAppender,
	onNewFileOf,
	startOf,
} from '../appender.ts'
import { within } from '../guard/promises.ts'
import { attempt, propertyOf } from '../guard/values.ts'
import { MeshChainError } from '../model/errors.ts'
import { type LogFilter, matches, resolveFilter } from '../model/filter.ts'
import { BATCH_BYTES_MAX, BATCH_RECORDS_MAX } from '../model/limits.ts'
import type { LogLine, LogRecord } from '../model/record.ts'
import { HealthReporter } from '../outbox/health-reporter.ts'
import { Outbox } from '../outbox/outbox.ts'
import type { RecordQueue } from '../outbox/record-queue.ts'
import { report, warn } from '../platform/diagnostics.ts'
import { Hooks } from './hooks.ts'
import { Listeners } from './listeners.ts'
import type { ResolvedLoopOptions } from './options.ts'
import { type Draft, type KeepBelow, RecordBuilder, sizeOf } from './record-builder.ts'
import { Ring } from './ring.ts'
import { RingLosses } from './ring-losses.ts'
import type { Scope } from './scope.ts'
import { type Counters, type LoopStats, newCounters } from './stats.ts'
import { Subscription, type SubscriptionHost } from './subscription.ts'

export class LoopCore implements SubscriptionHost {
	readonly epoch: number
	readonly listeners: Listeners
	/** Records in the ring. */
	readonly queue: RecordQueue
	/** Subscriptions whose consumers are waiting for a record. */
	readonly waiting = new Set<Subscription>()
	readonly #source: object
	readonly #counters: Counters = newCounters()
	readonly #hooks: Hooks
	readonly #builder: RecordBuilder
	readonly #appender: LogChainAppender
	readonly #closeListeners = new Set<() => void>()
	readonly #ring: Ring
	readonly #outbox: Outbox
	readonly #losses: RingLosses
	readonly #closeTimeoutMs: number
	#lastSeq: number
	/**
	 * Whether a record is being appended. A record that the appender publishes during an append is announced
	 * after the appended record.
	 */
	#appending = false
	readonly #unannounced: LogRecord[] = []
	#closing: Promise<void> | undefined
	#saidClosed = false

	/** @param source the loop that diagnostics report as their source. */
	constructor(source: object, appender: LogChainAppender, options: ResolvedLoopOptions) {
		claimAppenders([appender])
		const { nextSeq, epoch } = startOf(appender)
		this.#source = source
		this.epoch = epoch
		this.#lastSeq = nextSeq - 1
		this.listeners = new Listeners(source, this.#counters, options)
		this.#closeTimeoutMs = options.closeTimeoutMs
		this.#hooks = new Hooks(source, this.#counters, options)
		this.#builder = new RecordBuilder(this.#hooks, this.#counters, { ...options, epoch })
		this.#appender = appender
		this.#ring = new Ring({ nextSeq, capacity: options.ringCapacity, bytesMax: options.ringBytesMax })
		this.queue = this.#ring.queue
		const health = new HealthReporter(source, appender)
		this.#losses = new RingLosses(this.queue, health)
		this.#outbox = new Outbox({
			appender,
			queue: this.queue,
			nextSeq,
			epoch,
			clock: () => this.#hooks.now(),
			evictionCause: 'evicted',
			health,
			lost: (gap, error) => this.#losses.add(gap, error),
			progress: () => {},
		})
	}

	get closed(): boolean {
		return this.#closing !== undefined
	}

	get committedSeq(): number {
		return this.#outbox.committedSeq
	}

	/**
	 * Number of records that the loop can accept without a loss. Pending records stay in the ring, and may
	 * occupy up to half of it. 0 while the appender is failing.
	 */
	get room(): number {
		const { pending, failure } = this.#outbox
		if (failure !== undefined || failureOf(this.#appender) !== undefined) return 0
		if (pending > 0 && this.#ring.isHalfFull) return 0
		return Math.max(0, Math.ceil(this.#ring.capacity / 2) - pending)
	}

	now(): number {
		return this.#hooks.now()
	}

	/** Whether any write of the appender can begin a new file. */
	get rotates(): boolean {
		return propertyOf(this.#appender, 'rotates') === true
	}

	/** Calls a listener when the loop is about to close. Returns a function that removes the listener. */
	beforeClose(listener: () => void): () => void {
		this.#closeListeners.add(listener)
		return () => void this.#closeListeners.delete(listener)
	}

	/** Calls the listeners for the close, which may still publish. Does nothing if the loop is closed. */
	announceClose(): void {
		if (this.#closing !== undefined) return
		for (const listener of this.#closeListeners) attempt(listener, undefined)
	}

	/** Calls a listener each time the appender has begun a new file. Returns a function that ends the calls. */
	onNewFile(listener: (firstSeq: number) => void): () => void {
		return onNewFileOf(this.#appender, listener)
	}

	countLagged(count: number): void {
		this.#counters.lagged += count
	}

	/**
	 * Returns whether a line at this level must be built, and counts the line if not. Called before the line is
	 * created.
	 */
	wants(level: unknown, scope: Scope): boolean {
		return this.#isClosed(scope) || this.#builder.keepsBelow || this.#builder.passes(level, scope)
	}

	keepBelow(keep: KeepBelow): () => void {
		return this.#builder.keepBelow(keep)
	}

	/** Returns the scope of a new child loop. */
	childScope(scope: Scope, fields: unknown): Scope {
		return scope.child(fields, (own) => this.#builder.childFields(own))
	}

	/** Publishes any value as a line. Never throws. */
	publish(line: unknown, scope: Scope): LogRecord | undefined {
		if (this.#isClosed(scope)) return this.#afterClose(line)
		return this.#publish(line, this.#builder.draft(line, scope, false), scope)
	}

	/** Publishes the line of a logging call, which has only fields of lines. Never throws. */
	publishCall(line: object, scope: Scope): LogRecord | undefined {
		if (this.#isClosed(scope)) return this.#afterClose(line)
		return this.#publish(line, this.#builder.draft(line, scope, true), scope)
	}

	/** Publishes one of mesh-chain's own lines. */
	publishOwn(line: LogLine, scope: Scope): LogRecord | undefined {
		if (this.#isClosed(scope)) return this.#afterClose(line)
		return this.#publish(line, this.#builder.draftOwn(line, scope), scope)
	}

	#publish(line: unknown, draft: Draft | undefined, scope: Scope): LogRecord | undefined {
		if (draft === undefined) return undefined
		this.#makeRoom(1, sizeOf(draft))
		// The application code that ran above may have closed the loop.
		if (this.#isClosed(scope)) return this.#afterClose(line)
		const record = this.#push(draft)
		if (this.#appending) {
			this.#append()
			this.#unannounced.push(record)
			return record
		}
		this.#appending = true
		try {
			this.#append()
		} finally {
			this.#appending = false
		}
		if (this.#unannounced.length > 0) this.#announceAll([record])
		else this.#announce(record)
		return record
	}

	publishBatch(lines: readonly unknown[], scope: Scope): LogRecord[] {
		const count = checkIsBatch(lines)
		if (this.#isClosed(scope)) return this.#batchAfterClose(lines)
		const drafts: Draft[] = []
		for (let index = 0; index < count; index++) {
			const draft = this.#builder.draft(lines[index], scope, false)
			if (draft !== undefined) drafts.push(draft)
		}
		if (drafts.length === 0) return []
		this.#makeRoom(drafts.length, this.#checkedBytes(drafts))
		if (this.#isClosed(scope)) return this.#batchAfterClose(lines)
		const records = drafts.map((draft) => this.#push(draft))
		if (this.#appending) {
			this.#append(records.length)
			this.#unannounced.push(...records)
			return records
		}
		this.#appending = true
		try {
			this.#append(records.length)
		} finally {
			this.#appending = false
		}
		this.#announceAll(records)
		return records
	}

	snapshot(filter: LogFilter | undefined): LogRecord[] {
		const wanted = resolveFilter(filter)
		const records: LogRecord[] = []
		const keepsNothing = durabilityOf(this.#appender) === 'none'
		for (let seq = this.queue.first; seq < this.queue.end; seq++) {
			const record = this.queue.at(seq)
			if (!matches(record, wanted)) continue
			const isPending = !keepsNothing && (seq > this.committedSeq || this.#losses.covers(seq))
			records.push(isPending ? Object.freeze({ ...record, chainPending: true }) : record)
		}
		return records
	}

	subscribe(filter: LogFilter | undefined): Subscription {
		return new Subscription(this, resolveFilter(filter))
	}

	flush(): void {
		this.#outbox.flush()
	}

	sync(): Promise<void> {
		return this.#closing ?? this.#outbox.sync()
	}

	/** Syncs on behalf of a child that is being closed. Waits at most `closeTimeoutMs`. */
	async syncWithin(): Promise<void> {
		const synced = await within(this.sync(), this.#closeTimeoutMs)
		if (synced.is === 'rejected') throw synced.thrown
		if (synced.is === 'fulfilled') return
		const text = `the appender did not sync within ${this.#closeTimeoutMs} ms, and the wait was abandoned`
		throw new MeshChainError('SYNC_FAILED', text)
	}

	close(): Promise<void> {
		if (this.#closing === undefined) {
			// Assigned before the outbox drains, so that the loop refuses lines that the appender publishes during
			// the drain.
			this.#closing = Promise.resolve().then(() => {
				this.#losses.report()
				return this.#outbox.close(this.#closeTimeoutMs)
			})
			for (const subscription of [...this.waiting]) void subscription.return()
		}
		return this.#closing
	}

	stats(): LoopStats {
		return Object.freeze({
			...this.#counters,
			epoch: this.epoch,
			lastSeq: this.#lastSeq,
			droppedByKind: this.#builder.droppedByKind,
			ring: this.#ring.stats(),
			appender: this.#outbox.stats(),
		})
	}

	#isClosed(scope: Scope): boolean {
		return this.#closing !== undefined || scope.closed
	}

	/**
	 * Evicts records until the ring has room for `records` new records with a total size of `bytes`. Runs
	 * before anything is stamped, because it retries pending appends, and the appender may publish.
	 */
	#makeRoom(records: number, bytes: number): void {
		const ring = this.#ring
		if (!ring.isFullFor(records, bytes)) return
		// Retries the append once more before a pending record is lost.
		if (ring.queue.first >= this.#outbox.needed) this.#outbox.pump()
		this.#losses.evicting = true
		try {
			do {
				this.#outbox.evicting(ring.queue.first)
				ring.evict()
			} while (ring.isFullFor(records, bytes))
		} finally {
			this.#losses.evicting = false
		}
	}

	/** Stamps a draft and adds the record to the ring, which must have room for it. */
	#push(draft: Draft): LogRecord {
		const bytes = sizeOf(draft)
		this.#lastSeq += 1
		this.#counters.published += 1
		draft.seq = this.#lastSeq
		this.queue.push(Object.freeze(draft), bytes)
		return draft
	}

	/** Appends the pending records in the ring. The last `batch` records are appended as one batch. */
	#append(batch = 0): void {
		if (batch === 0) this.#outbox.pump()
		else this.#outbox.pumpBatch(batch)
		if (this.#losses.hasUnreported) this.#losses.report()
	}

	#announce(record: LogRecord): void {
		if (this.waiting.size > 0) this.#wake(record)
		this.listeners.deliver(record)
	}

	/** Announces these records, then the records that the appender published during the append. */
	#announceAll(records: readonly LogRecord[]): void {
		const all = this.#unannounced.length === 0 ? records : [...records, ...this.#unannounced.splice(0)]
		for (const record of all) if (this.waiting.size > 0) this.#wake(record)
		this.listeners.deliverAll(all)
	}

	#wake(record: LogRecord): void {
		for (const subscription of this.waiting) subscription.offer(record)
	}

	/** Returns the total size of the drafts in bytes. @throws {MeshChainError} `BATCH_TOO_LARGE` */
	#checkedBytes(drafts: readonly Draft[]): number {
		let bytes = 0
		for (const draft of drafts) bytes += sizeOf(draft)
		const { capacity, bytesMax } = this.#ring
		if (bytes <= Math.min(BATCH_BYTES_MAX, bytesMax) && drafts.length <= capacity) return bytes
		const size = `${drafts.length} records of about ${bytes} bytes`
		const recordsMax = Math.min(capacity, BATCH_RECORDS_MAX)
		const bound = `at most ${recordsMax} records and ${Math.min(BATCH_BYTES_MAX, bytesMax)} bytes`
		throw new MeshChainError('BATCH_TOO_LARGE', `a batch can contain ${bound}, not ${size}`)
	}

	#batchAfterClose(lines: readonly unknown[]): LogRecord[] {
		for (const line of lines) this.#afterClose(line)
		return []
	}

	#afterClose(line: unknown): undefined {
		this.#counters.publishedAfterClose += 1
		report('publishedAfterClose', { source: this.#source, line })
		if (this.#saidClosed) return
		this.#saidClosed = true
		warn(
			'PUBLISHED_AFTER_CLOSE',
			'a line was published through a closed loop and dropped; further lines are only counted',
		)
	}
}

/** Returns the number of lines. @throws {MeshChainError} `INVALID_LINE`, `BATCH_TOO_LARGE` */
function checkIsBatch(lines: readonly unknown[]): number {
	if (!Array.isArray(lines)) throw new MeshChainError('INVALID_LINE', 'a batch must be an array of lines')
	const { length } = lines
	if (length <= BATCH_RECORDS_MAX) return length
	throw new MeshChainError(
		'BATCH_TOO_LARGE',
		`a batch can contain at most ${BATCH_RECORDS_MAX} records, not ${length}`,
	)
}
