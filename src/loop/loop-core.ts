/**
 * What a loop and its children share: the sequence, the ring, the appender, the listeners.
 *
 * Invariant: between taking a seq and handing the record to the appender no code of a user runs, so that ring and
 * appender get records in order whatever publishes from within what.
 */
import { claimAppender, type LogChainAppender, startOf } from '../appender.ts'
import { within } from '../guard/promises.ts'
import { MeshChainError } from '../model/errors.ts'
import { type LogFilter, matches, resolveFilter } from '../model/filter.ts'
import { BATCH_BYTES_MAX, BATCH_RECORDS_MAX } from '../model/limits.ts'
import type { LogLine, LogRecord } from '../model/record.ts'
import { report, warn } from '../platform/diagnostics.ts'
import { Custody } from './custody.ts'
import { Hooks } from './hooks.ts'
import { Listeners } from './listeners.ts'
import type { ResolvedLoopOptions } from './options.ts'
import { type Draft, type KeepBelow, RecordBuilder } from './record-builder.ts'
import { Ring } from './ring.ts'
import type { Scope } from './scope.ts'
import { type Counters, type LoopStats, newCounters } from './stats.ts'
import { Subscription, type SubscriptionHost } from './subscription.ts'

export class LoopCore implements SubscriptionHost {
	readonly epoch: number
	readonly delivery: Listeners
	/** The subscriptions somebody waits on. */
	readonly waiting = new Set<Subscription>()
	readonly #source: object
	readonly #counters: Counters = newCounters()
	readonly #hooks: Hooks
	readonly #intake: RecordBuilder
	readonly #ring: Ring
	readonly #custody: Custody
	readonly #closeTimeoutMs: number
	#lastSeq: number
	/** A record is being handed over: what the appender publishes meanwhile is announced after it. */
	#admitting = false
	readonly #unannounced: LogRecord[] = []
	#closing: Promise<void> | undefined
	#saidClosed = false

	/** `source` is the loop, named in reports. */
	constructor(source: object, appender: LogChainAppender, options: ResolvedLoopOptions) {
		claimAppender(appender)
		const { nextSeq, epoch } = startOf(appender)
		this.#source = source
		this.epoch = epoch
		this.#lastSeq = nextSeq - 1
		this.delivery = new Listeners(source, this.#counters, options)
		this.#closeTimeoutMs = options.closeTimeoutMs
		this.#hooks = new Hooks(source, this.#counters, options)
		this.#intake = new RecordBuilder(this.#hooks, this.#counters, { ...options, epoch })
		this.#ring = new Ring({ nextSeq, capacity: options.ringCapacity, bytesMax: options.ringBytesMax })
		this.#custody = new Custody({
			appender,
			ring: this.#ring,
			nextSeq,
			epoch,
			clock: () => this.#hooks.now(),
			source,
		})
	}

	get closed(): boolean {
		return this.#closing !== undefined
	}

	get committedSeq(): number {
		return this.#custody.committedSeq
	}

	get queue(): SubscriptionHost['queue'] {
		return this.#ring.queue
	}

	now(): number {
		return this.#hooks.now()
	}

	countLagged(count: number): void {
		this.#counters.lagged += count
	}

	/** Whether a line at this level would be built; counts it when not. For methods that build the line themselves. */
	wants(level: LogRecord['level'], scope: Scope): boolean {
		return this.#isClosed(scope) || this.#intake.keepsBelow || this.#intake.passes(level, scope)
	}

	keepBelow(keep: KeepBelow): () => void {
		return this.#intake.keepBelow(keep)
	}

	publish(line: LogLine, scope: Scope, own = false): LogRecord | undefined {
		if (this.#isClosed(scope)) return this.#afterClose(line)
		const draft = own ? this.#intake.draftOwn(line, scope) : this.#intake.draft(line, scope)
		if (draft === undefined) return undefined
		const { bytes } = this.#intake
		this.#custody.makeRoom(1, bytes)
		// Code of a user, which ran until here, may have closed the loop.
		if (this.#isClosed(scope)) return this.#afterClose(line)
		const record = this.#stamp(draft)
		if (this.#admitting) {
			this.#custody.accept(record, bytes)
			this.#unannounced.push(record)
			return record
		}
		this.#admitting = true
		try {
			this.#custody.accept(record, bytes)
		} finally {
			this.#admitting = false
		}
		if (this.#unannounced.length > 0) this.#announceAll([record])
		else this.#announce(record)
		return record
	}

	publishBatch(lines: readonly LogLine[], scope: Scope): LogRecord[] {
		const count = checkIsBatch(lines)
		if (this.#isClosed(scope)) return this.#batchAfterClose(lines)
		const drafts: Draft[] = []
		const bytes: number[] = []
		for (let index = 0; index < count; index++) {
			const draft = this.#intake.draft(lines[index]!, scope)
			if (draft === undefined) continue
			drafts.push(draft)
			bytes.push(this.#intake.bytes)
		}
		if (drafts.length === 0) return []
		this.#custody.makeRoom(drafts.length, this.#checkedBytes(bytes))
		if (this.#isClosed(scope)) return this.#batchAfterClose(lines)
		const records = drafts.map((draft) => this.#stamp(draft))
		if (this.#admitting) {
			this.#custody.acceptBatch(records, bytes)
			this.#unannounced.push(...records)
			return records
		}
		this.#admitting = true
		try {
			this.#custody.acceptBatch(records, bytes)
		} finally {
			this.#admitting = false
		}
		this.#announceAll(records)
		return records
	}

	snapshot(filter: LogFilter | undefined): LogRecord[] {
		const wanted = resolveFilter(filter)
		const records: LogRecord[] = []
		for (let seq = this.queue.first; seq < this.queue.end; seq++) {
			const record = this.queue.at(seq)
			if (!matches(record, wanted)) continue
			records.push(this.#custody.isPending(seq) ? Object.freeze({ ...record, chainPending: true }) : record)
		}
		return records
	}

	subscribe(filter: LogFilter | undefined): Subscription {
		return new Subscription(this, resolveFilter(filter))
	}

	flush(): void {
		this.#custody.flush()
	}

	sync(): Promise<void> {
		return this.#closing ?? this.#custody.sync()
	}

	/** As {@link sync}, for a child that closes: waits no longer than `closeTimeoutMs`. */
	async syncWithin(): Promise<void> {
		const synced = await within(this.sync(), this.#closeTimeoutMs)
		if (synced.is === 'rejected') throw synced.thrown
		if (synced.is === 'fulfilled') return
		const text = `the appender did not sync within ${this.#closeTimeoutMs} ms, and is not waited for any longer`
		throw new MeshChainError('SYNC_FAILED', text)
	}

	close(): Promise<void> {
		if (this.#closing === undefined) {
			// Closed first, and only then drained: an appender that publishes comes too late.
			this.#closing = Promise.resolve().then(() => this.#custody.close(this.#closeTimeoutMs))
			for (const subscription of [...this.waiting]) void subscription.return()
		}
		return this.#closing
	}

	stats(): LoopStats {
		return Object.freeze({
			...this.#counters,
			epoch: this.epoch,
			lastSeq: this.#lastSeq,
			ring: this.#ring.stats(),
			appender: this.#custody.stats(),
		})
	}

	#isClosed(scope: Scope): boolean {
		return this.#closing !== undefined || scope.closed
	}

	#stamp(draft: Draft): LogRecord {
		this.#lastSeq += 1
		this.#counters.published += 1
		draft.seq = this.#lastSeq
		return Object.freeze(draft)
	}

	#announce(record: LogRecord): void {
		if (this.waiting.size > 0) this.#wake(record)
		this.delivery.deliver(record)
	}

	/** These records, and those that were published while they were handed over: in order, none between. */
	#announceAll(records: readonly LogRecord[]): void {
		const all = this.#unannounced.length === 0 ? records : [...records, ...this.#unannounced.splice(0)]
		for (const record of all) if (this.waiting.size > 0) this.#wake(record)
		this.delivery.deliverAll(all)
	}

	#wake(record: LogRecord): void {
		for (const subscription of this.waiting) subscription.offer(record)
	}

	/** @throws {MeshChainError} `BATCH_TOO_LARGE` */
	#checkedBytes(sizes: readonly number[]): number {
		let bytes = 0
		for (const size of sizes) bytes += size
		const { capacity, bytesMax } = this.#ring
		if (bytes <= Math.min(BATCH_BYTES_MAX, bytesMax) && sizes.length <= capacity) return bytes
		const size = `${sizes.length} records of about ${bytes} bytes`
		const bound = `at most ${Math.min(capacity, BATCH_RECORDS_MAX)} records and ${Math.min(BATCH_BYTES_MAX, bytesMax)} bytes`
		throw new MeshChainError('BATCH_TOO_LARGE', `a batch may hold ${bound}, not ${size}`)
	}

	#batchAfterClose(lines: readonly LogLine[]): LogRecord[] {
		for (const line of lines) this.#afterClose(line)
		return []
	}

	#afterClose(line: LogLine): undefined {
		this.#counters.publishedAfterClose += 1
		report('publishedAfterClose', { source: this.#source, line })
		if (this.#saidClosed) return
		this.#saidClosed = true
		warn(
			'PUBLISHED_AFTER_CLOSE',
			'a line was published through a closed loop and is lost; further ones are only counted',
		)
	}
}

/** How many lines there are. */
function checkIsBatch(lines: readonly LogLine[]): number {
	if (!Array.isArray(lines)) throw new MeshChainError('INVALID_LINE', 'a batch must be an array of lines')
	const { length } = lines
	if (length <= BATCH_RECORDS_MAX) return length
	throw new MeshChainError(
		'BATCH_TOO_LARGE',
		`a batch may hold at most ${BATCH_RECORDS_MAX} records, not ${length}`,
	)
}
