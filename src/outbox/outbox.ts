/**
 * Appends the records in a queue to one appender, in order. A record stays in the queue until the appender
 * has accepted it or the queue's owner evicts it. A loop has one outbox for its ring, and a `TeeAppender` has
 * one outbox per child.
 *
 * Invariants: every record before the cursor was accepted, is in flight, or was counted as lost. The cursor
 * moves back only after a failure, to the failed append. A loss is counted when it happens, and stays in the
 * gap list until the appender has accepted its `$gap`. The appender's errors never reach the publisher.
 *
 * docs/explanation/architecture.md has a diagram of the states of an outbox, and describes mesh-chain's other
 * retries.
 */
import { committedSeqOf, durabilityOf, failureOf, type LogChainAppender, toAppendError } from '../appender.ts'
import { follow, isThenable, settle } from '../guard/promises.ts'
import { propertyOf } from '../guard/values.ts'
import { asCoded, type ErrorCode, LogAppendError, MeshChainError, messageOf } from '../model/errors.ts'
import { RETRY_MS_MAX, RETRY_MS_MIN } from '../model/limits.ts'
import { gapRecord } from '../model/record.ts'
import { onExit } from '../platform/exit-hook.ts'
import { RetrySchedule } from '../platform/retry-schedule.ts'
import { closeWithin, flushAppender, settledUnlessStalled, syncOf } from './appender-calls.ts'
import { type Gap, GapList, type QueueRange, queueRangeOf } from './gap-list.ts'
import { type Append, InFlight, inFlightMaxOf, newAppend } from './in-flight.ts'
import { LossCounter } from './loss-counter.ts'
import type { OutboxOptions } from './outbox-options.ts'
import type { OutboxStats } from './outbox-stats.ts'
import { PositionWaiters } from './position-waiters.ts'
import type { RecordQueue } from './record-queue.ts'
import { SharedSync } from './shared-sync.ts'

export class Outbox {
	readonly #appender: LogChainAppender
	readonly #queue: RecordQueue
	readonly #options: OutboxOptions
	readonly #gaps = new GapList()
	/** Ranges to append as one batch each, in order. Their appends have not started. */
	readonly #batches: QueueRange[] = []
	readonly #inFlight: InFlight
	readonly #waiters = new PositionWaiters()
	readonly #retry = new RetrySchedule(() => this.#try(), RETRY_MS_MIN, RETRY_MS_MAX)
	readonly #losses = new LossCounter()
	readonly #counts = { appended: 0, failures: 0, retries: 0, gapsAppended: 0, gapsUnwritten: 0 }
	#cursor: number
	#committedSeq: number
	#pumping = false
	/** First position of the append whose call has not returned; Infinity if there is none. */
	#calling = Number.POSITIVE_INFINITY
	/** Whether the appender has failed during the current call to `pump`. The next call retries. */
	#stalled = false
	#closed = false
	#failure: LogAppendError | undefined
	#lastError: string | undefined
	/** Number of asynchronous appends that have settled, successfully or not. */
	#answers = 0
	/** Last valid `committedSeq` of the appender. */
	#soundCommittedSeq: number
	#undoExitHook: (() => void) | undefined
	readonly #sync = new SharedSync()

	constructor(options: OutboxOptions) {
		this.#options = options
		this.#appender = options.appender
		this.#queue = options.queue
		this.#cursor = options.queue.end
		this.#committedSeq = options.nextSeq - 1
		this.#soundCommittedSeq = options.nextSeq - 1
		this.#inFlight = new InFlight(inFlightMaxOf(options.appender))
	}

	/**
	 * Position of the first record that the outbox still needs. The queue's owner can drop earlier records
	 * without a loss.
	 */
	get needed(): number {
		return Math.min(this.#inFlight.oldest?.range.from ?? this.#cursor, this.#calling)
	}

	get committedSeq(): number {
		const seq = committedSeqOf(this.#appender)
		if (seq === undefined) return this.#committedSeq
		// While the appender reports no valid seq, its last valid seq applies.
		if (!Number.isNaN(seq)) this.#soundCommittedSeq = seq
		return this.#soundCommittedSeq
	}

	/** Number of records that the appender has neither accepted nor refused. */
	get pending(): number {
		if (this.#closed) return 0
		return this.#queue.end - this.#cursor - this.#gaps.positions + this.#inFlight.recordPositions
	}

	/** Error from the last append; undefined unless the appender is failing. */
	get failure(): LogAppendError | undefined {
		return this.#failure
	}

	/**
	 * Appends records from the queue until the appender fails or the maximum number of appends is in flight.
	 */
	pump(): void {
		// An appender that publishes a record causes a nested call. A scheduled retry appends that record.
		if (this.#pumping || this.#closed) return
		this.#pumping = true
		this.#stalled = false
		const { end } = this.#queue
		try {
			while (this.#cursor < end && !this.#stalled && this.#inFlight.hasRoom) {
				this.#calling = this.#cursor
				this.#appendNext()
			}
		} finally {
			this.#pumping = false
			this.#calling = Number.POSITIVE_INFINITY
		}
		if (this.#waiters.count > 0) this.#waiters.reached(this.needed)
		if (this.#cursor < this.#queue.end || this.#inFlight.count > 0) this.#retryLater()
	}

	/**
	 * Appends records like {@link pump}. If the appender supports batches, appends the last `count` records in
	 * the queue as one batch.
	 */
	pumpBatch(count: number): void {
		const from = this.#queue.end - count
		if (propertyOf(this.#appender, 'appendBatch') !== undefined) {
			this.#batches.push(queueRangeOf(from, this.#queue.slice(from, this.#queue.end - 1)))
		}
		this.pump()
	}

	/**
	 * Prepares for the removal of the oldest record from the queue. If its append has not started, the record
	 * becomes a gap, together with the rest of its batch.
	 */
	evicting(position: number): void {
		if (position < this.#cursor || this.#gaps.covers(position)) return
		this.#lose(this.#shiftBatchAt(position) ?? this.#rangeAt(position), this.#options.evictionCause)
	}

	/**
	 * Resolves when every record that was in the queue at the time of the call is accepted or lost. Rejects at
	 * the next failure.
	 */
	settle(): Promise<void> {
		this.pump()
		const { end } = this.#queue
		if (this.needed >= end || this.#closed) return Promise.resolve()
		if (this.#inFlight.count === 0 && this.#failure !== undefined) return Promise.reject(this.#failure)
		return this.#waiters.wait(end)
	}

	/**
	 * Returns after every record has reached the operating system.
	 *
	 * @throws {MeshChainError} `FLUSH_FAILED` if a record is still pending, or if a record was lost since the
	 * last `flush` or `sync`.
	 */
	flush(): void {
		if (this.#closed) return
		this.pump()
		flushAppender(this.#appender, (thrown) => {
			this.#lastError = messageOf(thrown)
		})
		if (this.needed < this.#queue.end) throw this.#pendingError('FLUSH_FAILED')
		this.#losses.throwUntold('FLUSH_FAILED')
	}

	/**
	 * Resolves when every record published before the call is on disk.
	 *
	 * @throws {MeshChainError} `SYNC_FAILED` if the records cannot be synced, or if a record was lost since the
	 * last `flush` or `sync`.
	 */
	sync(): Promise<void> {
		this.pump()
		if (this.needed < this.#queue.end && !this.#closed) return this.#settleAndSync()
		return this.#sync.of(syncOf(this.#appender), this.#throwLossesAfter)
	}

	async #settleAndSync(): Promise<void> {
		try {
			await this.settle()
		} catch (thrown) {
			throw this.#pendingError('SYNC_FAILED', thrown)
		}
		await this.#throwLossesAfter(syncOf(this.#appender))
	}

	readonly #throwLossesAfter = async (appenderSync: Promise<void>): Promise<void> => {
		try {
			await settle(appenderSync)
		} catch (thrown) {
			throw asCoded(thrown, 'SYNC_FAILED', 'the appender cannot sync')
		} finally {
			this.#sync.forget()
		}
		this.#losses.throwUntold('SYNC_FAILED')
	}

	/**
	 * Waits for appends in flight, tries once to append the remaining records, then syncs and closes the
	 * appender. Records that the appender has not accepted before the sync are counted as lost. Never waits for
	 * a failing appender to recover, and waits at most `timeoutMs` for an appender that does not respond.
	 *
	 * @throws {MeshChainError} The first failure, after all steps have been attempted.
	 */
	async close(timeoutMs: number): Promise<void> {
		const errors: MeshChainError[] = []
		const keep = (error: MeshChainError) => void errors.push(error)
		const hang = await this.#drain(timeoutMs / 2)
		this.#stop(keep, hang)
		await closeWithin(this.#appender, hang === undefined ? timeoutMs : timeoutMs / 2, keep)
		if (errors.length > 0) throw errors[0]
	}

	stats(): OutboxStats {
		const failure = failureOf(this.#appender)
		return Object.freeze({
			...this.#counts,
			durability: durabilityOf(this.#appender),
			failing: failure !== undefined || this.#failure !== undefined,
			lastError: failure === undefined ? this.#lastError : messageOf(failure),
			pending: this.pending,
			inFlight: this.#inFlight.count,
			committedSeq: this.committedSeq,
			lost: this.#losses.counts(),
		})
	}

	#appendNext(): void {
		const position = this.#cursor
		if (this.#failure !== undefined) this.#counts.retries += 1
		if (position === this.#gaps.first) this.#appendGap(this.#gaps.shift()!)
		else if (position < this.#queue.first) this.#cursor = Math.min(this.#queue.first, this.#gaps.first)
		else if (position === this.#batches[0]?.from) this.#appendBatch(this.#batches.shift()!)
		else this.#appendRecord(position)
	}

	/**
	 * Appends one record, which is the most common case. Allocates nothing if `append` returns synchronously.
	 */
	#appendRecord(position: number): void {
		const record = this.#queue.at(position)
		let result: unknown
		// The cursor moves first, so that the record does not count as lost if it is evicted during this call.
		this.#cursor = position + 1
		try {
			result = this.#appender.append(record)
		} catch (thrown) {
			this.#threw(newAppend('record', queueRangeOf(position, [record])), thrown)
			return
		}
		if (!isThenable(result) && this.#inFlight.count === 0) this.#taken(1, record.seq)
		else this.#returned(newAppend('record', queueRangeOf(position, [record])), result)
	}

	#appendBatch(range: QueueRange): void {
		const append = newAppend('batch', range)
		this.#begin(append, () => this.#appender.appendBatch!(this.#queue.slice(range.from, range.to)))
	}

	#appendGap(gap: Gap): void {
		const { epoch, clock } = this.#options
		const { fromSeq, toSeq, count, cause } = gap
		const record = gapRecord({ fromSeq, toSeq, count, cause }, { epoch, tsMs: clock() })
		this.#begin(newAppend('gap', gap, gap), () => this.#appender.append(record))
	}

	#begin(append: Append, call: () => unknown): void {
		let result: unknown
		this.#cursor = append.range.to + 1
		try {
			result = call()
		} catch (thrown) {
			this.#threw(append, thrown)
			return
		}
		this.#returned(append, result)
	}

	#threw(append: Append, thrown: unknown): void {
		append.outcome = toAppendError(thrown, append.range.fromSeq)
		if (this.#inFlight.count === 0) this.#rewind([append])
		else {
			this.#inFlight.add(append)
			this.#advance()
		}
	}

	#returned(append: Append, result: unknown): void {
		if (isThenable(result)) {
			this.#inFlight.add(append)
			follow(
				result,
				() => this.#settled(append, 'taken'),
				(thrown) => this.#settled(append, toAppendError(thrown, append.range.fromSeq)),
			)
			return
		}
		append.outcome = 'taken'
		this.#inFlight.add(append)
		this.#advance()
	}

	#settled(append: Append, outcome: 'taken' | LogAppendError): void {
		// When the outbox was closed, it abandoned this append and counted the records as lost.
		if (this.#closed) return
		this.#answers += 1
		this.#inFlight.settle(append, outcome)
		if (this.#advance()) this.#try()
		else this.#options.progress()
	}

	/**
	 * Calls {@link pump} after an append settles or when a retry is due, and then reports progress to the
	 * owner of the queue.
	 */
	#try(): void {
		this.pump()
		this.#options.progress()
	}

	/** Processes settled appends. Returns false if an append failed and is retried later. */
	#advance(): boolean {
		for (let append = this.#inFlight.shiftTaken(); append; append = this.#inFlight.shiftTaken()) {
			const { shape, range } = append
			if (shape === 'gap') this.#counts.gapsAppended += 1
			this.#taken(shape === 'gap' ? 0 : range.to - range.from + 1, range.toSeq)
		}
		if (this.#waiters.count > 0) this.#waiters.reached(this.needed)
		const failed = this.#inFlight.takeFailed()
		return failed === undefined || this.#rewind(failed)
	}

	#taken(records: number, seq: number): void {
		this.#counts.appended += records
		this.#committedSeq = seq
		if (this.#failure !== undefined) this.#recovered()
	}

	/** Marks the appender as healthy after it has accepted an append or refused one permanently. */
	#recovered(): void {
		this.#failure = undefined
		this.#retry.reset()
		this.#options.health.recovered()
	}

	/**
	 * Moves the cursor back to the failed append. Returns false if the append is retried later, and true if it
	 * was abandoned.
	 */
	#rewind(appends: readonly Append[]): boolean {
		const failed = appends[0]!
		const error = failed.outcome as LogAppendError
		this.#counts.failures += 1
		this.#lastError = error.message
		for (let index = appends.length - 1; index > 0; index--) this.#putBack(appends[index]!)
		this.#cursor = failed.range.from
		if (!error.retryable) {
			this.#giveUp(failed, error)
			return true
		}
		this.#putBack(failed)
		const wasHealthy = this.#failure === undefined
		this.#stalled = true
		this.#failure = error
		this.#retry.start()
		this.#waiters.failed(error, this.needed)
		if (wasHealthy) this.#options.health.failing(error)
		return false
	}

	/** Counts the records of an append as lost, because the appender has permanently refused them. */
	#giveUp(failed: Append, error: LogAppendError): void {
		if (failed.shape === 'gap') {
			this.#counts.gapsUnwritten += 1
			this.#cursor = failed.range.to + 1
		} else this.#lose(failed.range, 'appendFailed', error)
		if (this.#failure !== undefined) this.#recovered()
	}

	/**
	 * Restores the state from before the append started. Records that were evicted meanwhile are lost, unless
	 * the appender accepted them.
	 */
	#putBack(append: Append): void {
		const { shape, range, gap, outcome } = append
		if (gap !== undefined) this.#gaps.insert(gap)
		else if (range.from < this.#queue.first) {
			if (outcome !== 'taken') this.#lose(range, this.#options.evictionCause)
		} else if (shape === 'batch') this.#batches.unshift(range)
	}

	#lose(range: QueueRange, cause: 'evicted' | 'overflow' | 'appendFailed', error?: LogAppendError): void {
		const { from, to, fromSeq, toSeq, count } = range
		const gap = { from, to, fromSeq, toSeq, count, cause }
		this.#losses.add(cause, count, fromSeq, error ?? this.#failure)
		this.#gaps.insert(gap)
		this.#options.lost(gap, error)
	}

	#rangeAt(position: number): QueueRange {
		return queueRangeOf(position, [this.#queue.at(position)])
	}

	/** Removes and returns the waiting batch that contains this position. */
	#shiftBatchAt(position: number): QueueRange | undefined {
		const batch = this.#batches[0]
		return batch !== undefined && batch.from <= position ? this.#batches.shift() : undefined
	}

	/** Ensures that pending records are retried, at the latest when the process exits. */
	#retryLater(): void {
		this.#undoExitHook ??= onExit('loop', () => this.pump())
		// If the appender has not failed and another append may start, records are pending only if the appender
		// published them during its own append.
		if (!this.#stalled && this.#inFlight.hasRoom && !this.#closed) this.#retry.start()
	}

	#pendingError(code: ErrorCode, thrown?: unknown): MeshChainError {
		const cause = thrown ?? this.#failure
		const why = cause === undefined ? 'they are in flight; await sync()' : messageOf(cause)
		const seq = this.#firstPendingSeq()
		const message = `the appender has not accepted the records starting at seq ${seq}: ${why}`
		return new MeshChainError(code, message, { seq, cause })
	}

	#firstPendingSeq(): number {
		const oldest = this.#inFlight.oldest
		if (oldest !== undefined) return oldest.range.fromSeq
		if (this.#gaps.first === this.#cursor) return this.#gaps.peek()!.fromSeq
		return this.#cursor < this.#queue.end ? this.#rangeAt(this.#cursor).fromSeq : this.#committedSeq + 1
	}

	/**
	 * Waits until the appender has accepted every published record or has failed. Returns an error if no append
	 * has settled for `stallMs`.
	 */
	async #drain(stallMs: number): Promise<LogAppendError | undefined> {
		// If an append in flight fails, the second wait retries it and attempts the later appends.
		const first = this.#inFlight.count === 0 || (await this.#settledWithin(stallMs))
		if (first && (await this.#settledWithin(stallMs))) return undefined
		return new LogAppendError(`no append has settled for ${stallMs} ms`)
	}

	#settledWithin(stallMs: number): Promise<boolean> {
		return settledUnlessStalled(this.settle(), () => this.#answers, stallMs)
	}

	/** Stops appending. No further append starts, and appends in flight are no longer awaited. */
	#stop(keep: (error: MeshChainError) => void, hang: LogAppendError | undefined): void {
		if (this.needed < this.#queue.end) {
			const error = this.#pendingError('CLOSE_FAILED', hang)
			keep(error)
			this.#waiters.failed(error)
		}
		if (this.pending > 0) this.#loseRest(hang ?? this.#failure)
		this.#counts.gapsUnwritten += this.#gaps.count + this.#inFlight.gaps
		this.#closed = true
		this.#retry.reset()
		this.#undoExitHook?.()
	}

	#loseRest(why: LogAppendError | undefined): void {
		// The gaps directly follow the cursor, and their records were already counted as lost.
		const from = this.#cursor + this.#gaps.positions
		const rest =
			from < this.#queue.end ? [queueRangeOf(from, this.#queue.slice(from, this.#queue.end - 1))] : []
		for (const range of [...this.#inFlight.recordRanges, ...rest]) {
			this.#losses.add('atClose', range.count, range.fromSeq, why)
			this.#options.lost({ ...range, cause: 'appendFailed' }, why)
		}
	}
}
