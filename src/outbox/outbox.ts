/**
 * Hands the records of a queue to one appender: in order, each once, kept until the appender has taken it over. The
 * loop has one over its ring; a `TeeAppender` has one for each child.
 *
 * Invariants: everything before the cursor was handed over, is in flight, or was counted lost; the cursor goes back
 * only after a failure, to the append that failed; a loss is counted when it happens and stays in the gap list until
 * the appender has taken its `$gap` over. Nothing here throws into the publisher.
 */
import { committedSeqOf, durabilityOf, failureOf, type LogChainAppender, toAppendError } from '../appender.ts'
import { follow, isThenable, settle, within } from '../guard/promises.ts'
import { propertyOf } from '../guard/values.ts'
import { asCoded, type ErrorCode, LogAppendError, MeshChainError, messageOf } from '../model/errors.ts'
import { gapRecord } from '../model/record.ts'
import { onExit } from '../platform/exit-hook.ts'
import { closeWithin, flushAppender, syncOf } from './appender-calls.ts'
import { type Gap, GapList, type QueueRange, queueRangeOf } from './gap-list.ts'
import { type Append, InFlight, inFlightMaxOf, newAppend } from './in-flight.ts'
import { LossCounter } from './loss-counter.ts'
import type { OutboxOptions } from './outbox-options.ts'
import type { OutboxStats } from './outbox-stats.ts'
import { PositionWaiters } from './position-waiters.ts'
import type { RecordQueue } from './record-queue.ts'
import { RetryTimer } from './retry-timer.ts'

export class Outbox {
	readonly #appender: LogChainAppender
	readonly #queue: RecordQueue
	readonly #options: OutboxOptions
	readonly #gaps = new GapList()
	/** Stretches that must be appended as one, in order, and were not begun yet. */
	readonly #batches: QueueRange[] = []
	readonly #inFlight: InFlight
	readonly #waiters = new PositionWaiters()
	readonly #timer = new RetryTimer(() => this.#retryLater())
	readonly #losses = new LossCounter()
	readonly #counts = { appended: 0, failures: 0, retries: 0, gapsAppended: 0, gapsUnwritten: 0 }
	#cursor: number
	#committedSeq: number
	#pumping = false
	/** Where the append begins that has not returned yet; Infinity when there is none. */
	#calling = Number.POSITIVE_INFINITY
	/** The appender has failed since the pump began: whoever calls next tries again. */
	#stalled = false
	#closed = false
	#failure: LogAppendError | undefined
	#lastError: string | undefined
	/** Asynchronous appends that have settled, either way. */
	#answers = 0
	/** The last `committedSeq` of the appender that can be one. */
	#soundCommittedSeq: number
	#undoExitHook: (() => void) | undefined
	#lastSync: { readonly appenderSync: Promise<void>; readonly told: Promise<void> } | undefined

	constructor(options: OutboxOptions) {
		this.#options = options
		this.#appender = options.appender
		this.#queue = options.queue
		this.#cursor = options.queue.end
		this.#committedSeq = options.nextSeq - 1
		this.#soundCommittedSeq = options.nextSeq - 1
		this.#inFlight = new InFlight(inFlightMaxOf(options.appender))
	}

	/** The first position still needed: the owner of the queue may drop what comes before without a loss. */
	get needed(): number {
		return Math.min(this.#inFlight.oldest?.span.from ?? this.#cursor, this.#calling)
	}

	get committedSeq(): number {
		const seq = committedSeqOf(this.#appender)
		if (seq === undefined) return this.#committedSeq
		// What an appender cannot say is not committed any further than it said before.
		if (!Number.isNaN(seq)) this.#soundCommittedSeq = seq
		return this.#soundCommittedSeq
	}

	/** What the last append failed with, while the appender is failing. */
	get failure(): LogAppendError | undefined {
		return this.#failure
	}

	/** Hands over what is in the queue, as far as the appender goes along. */
	pump(): void {
		// An appender that publishes comes back here from within its own append: the outer call takes care of it.
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
		if (this.#waiters.count > 0) this.#waiters.handedOver(this.needed)
		if (this.#cursor < this.#queue.end || this.#inFlight.count > 0) this.#holdOn()
	}

	/** The last `count` records of the queue are to be appended as one, where the appender can; then as {@link pump}. */
	pumpBatch(count: number): void {
		const from = this.#queue.end - count
		if (propertyOf(this.#appender, 'appendBatch') !== undefined) {
			this.#batches.push(queueRangeOf(from, this.#queue.slice(from, this.#queue.end - 1)))
		}
		this.pump()
	}

	/** The owner is about to drop this position, the queue's oldest. What was not handed over becomes a gap. */
	evicting(position: number): void {
		if (position < this.#cursor || this.#gaps.covers(position)) return
		this.#lose(this.#takeBatchOver(position) ?? this.#spanAt(position), this.#options.evictionCause)
	}

	/** Resolves once everything that is in the queue now was handed over or lost; rejects with the next failure. */
	settle(): Promise<void> {
		this.pump()
		const { end } = this.#queue
		if (this.needed >= end || this.#closed) return Promise.resolve()
		if (this.#inFlight.count === 0 && this.#failure !== undefined) return Promise.reject(this.#failure)
		return this.#waiters.wait(end)
	}

	/**
	 * Returns once everything is with the operating system.
	 *
	 * @throws {MeshChainError} `FLUSH_FAILED` when something still waits, or was lost since the last `flush` or `sync`.
	 */
	flush(): void {
		if (this.#closed) return
		this.pump()
		flushAppender(this.#appender, (thrown) => {
			this.#lastError = messageOf(thrown)
		})
		if (this.needed < this.#queue.end) throw this.#pendingError('FLUSH_FAILED')
		this.#losses.tell('FLUSH_FAILED')
	}

	/**
	 * Resolves once everything published before the call is on disk.
	 *
	 * @throws {MeshChainError} `SYNC_FAILED` when it cannot be, or something was lost since the last `flush` or `sync`.
	 */
	sync(): Promise<void> {
		this.pump()
		if (this.needed < this.#queue.end && !this.#closed) return this.#settleAndSync()
		// Who waits for the same sync of the appender waits for the same promise: most of what a sync costs is promises.
		const appenderSync = syncOf(this.#appender)
		if (this.#lastSync?.appenderSync !== appenderSync) {
			this.#lastSync = { appenderSync, told: this.#tellLossesAfter(appenderSync) }
		}
		return this.#lastSync.told
	}

	async #settleAndSync(): Promise<void> {
		try {
			await this.settle()
		} catch (thrown) {
			throw this.#pendingError('SYNC_FAILED', thrown)
		}
		await this.#tellLossesAfter(syncOf(this.#appender))
	}

	async #tellLossesAfter(appenderSync: Promise<void>): Promise<void> {
		try {
			await settle(appenderSync)
		} catch (thrown) {
			throw asCoded(thrown, 'SYNC_FAILED', 'the appender cannot sync')
		} finally {
			// An appender may give the same promise for ever; what is lost later has to be told all the same.
			this.#lastSync = undefined
		}
		this.#losses.tell('SYNC_FAILED')
	}

	/**
	 * Waits for what is in flight, tries once to hand over the rest, syncs and closes the appender. What could not be
	 * handed over is lost and counted. Never waits for a failing appender to recover, and no longer than `timeoutMs` for one that answers
	 * nothing.
	 *
	 * @throws {MeshChainError} the first thing that went wrong, after everything else was done.
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
			pending: this.#pending,
			inFlight: this.#inFlight.count,
			committedSeq: this.committedSeq,
			lost: this.#losses.counts(),
		})
	}

	get #pending(): number {
		if (this.#closed) return 0
		return this.#queue.end - this.#cursor - this.#gaps.positions + this.#inFlight.recordPositions
	}

	#appendNext(): void {
		const position = this.#cursor
		if (this.#failure !== undefined) this.#counts.retries += 1
		if (position === this.#gaps.first) this.#appendGap(this.#gaps.shift()!)
		else if (position < this.#queue.first) this.#cursor = Math.min(this.#queue.first, this.#gaps.first)
		else if (position === this.#batches[0]?.from) this.#appendBatch(this.#batches.shift()!)
		else this.#appendRecord(position)
	}

	/** The usual case by far: builds nothing as long as the appender simply returns. */
	#appendRecord(position: number): void {
		const record = this.#queue.at(position)
		let result: unknown
		// Moved first: what the ring evicts while the appender has it is not lost.
		this.#cursor = position + 1
		try {
			result = this.#appender.append(record)
		} catch (thrown) {
			this.#failedAtOnce(newAppend('record', queueRangeOf(position, [record])), thrown)
			return
		}
		if (!isThenable(result) && this.#inFlight.count === 0) this.#taken(1, record.seq)
		else this.#follow(newAppend('record', queueRangeOf(position, [record])), result)
	}

	#appendBatch(span: QueueRange): void {
		const append = newAppend('batch', span)
		this.#begin(append, () => this.#appender.appendBatch!(this.#queue.slice(span.from, span.to)))
	}

	#appendGap(gap: Gap): void {
		const { epoch, clock } = this.#options
		const { fromSeq, toSeq, count, cause } = gap
		const record = gapRecord({ fromSeq, toSeq, count, cause }, { epoch, tsMs: clock() })
		this.#begin(newAppend('gap', gap, gap), () => this.#appender.append(record))
	}

	#begin(append: Append, call: () => unknown): void {
		let result: unknown
		this.#cursor = append.span.to + 1
		try {
			result = call()
		} catch (thrown) {
			this.#failedAtOnce(append, thrown)
			return
		}
		this.#follow(append, result)
	}

	#follow(append: Append, result: unknown): void {
		this.#inFlight.begin(append)
		if (!isThenable(result)) {
			this.#inFlight.settle(append, 'taken')
			this.#settled()
			return
		}
		follow(
			result,
			() => this.#settledLater(append, 'taken'),
			(thrown) => this.#settledLater(append, toAppendError(thrown, append.span.fromSeq)),
		)
	}

	#failedAtOnce(append: Append, thrown: unknown): void {
		this.#inFlight.begin(append)
		this.#inFlight.settle(append, toAppendError(thrown, append.span.fromSeq))
		this.#settled()
	}

	#retryLater(): void {
		this.pump()
		this.#options.events.progress()
	}

	#settledLater(append: Append, outcome: 'taken' | LogAppendError): void {
		// It was given up when the appender was closed, and counted.
		if (this.#closed) return
		this.#answers += 1
		this.#inFlight.settle(append, outcome)
		if (this.#settled()) this.pump()
		this.#options.events.progress()
	}

	/** Acts on what has settled; false when the appender failed and has to be left alone for now. */
	#settled(): boolean {
		let append = this.#inFlight.shiftTaken()
		while (append !== undefined) {
			const { shape, span } = append
			if (shape === 'gap') this.#counts.gapsAppended += 1
			this.#taken(shape === 'gap' ? 0 : span.to - span.from + 1, span.toSeq)
			append = this.#inFlight.shiftTaken()
		}
		if (this.#waiters.count > 0) this.#waiters.handedOver(this.needed)
		const failed = this.#inFlight.takeFailed()
		return failed === undefined || this.#rewind(failed)
	}

	#taken(records: number, seq: number): void {
		this.#counts.appended += records
		this.#committedSeq = seq
		if (this.#failure !== undefined) this.#answered()
	}

	/** The appender took something over, or refused it for good: either way it does not fail any more. */
	#answered(): void {
		this.#failure = undefined
		this.#timer.reset()
		this.#options.events.recovered()
	}

	/** Goes back to the append that failed; false when it is to be tried again, true when it was given up. */
	#rewind(appends: readonly Append[]): boolean {
		const failed = appends[0]!
		const error = failed.outcome as LogAppendError
		this.#counts.failures += 1
		this.#lastError = error.message
		for (let index = appends.length - 1; index > 0; index--) this.#putBack(appends[index]!)
		this.#cursor = failed.span.from
		if (error.retryable) {
			this.#putBack(failed)
			this.#fail(error)
			return false
		}
		if (failed.shape === 'gap') {
			this.#counts.gapsUnwritten += 1
			this.#cursor = failed.span.to + 1
		} else this.#lose(failed.span, 'appendFailed', error)
		if (this.#failure !== undefined) this.#answered()
		return true
	}

	/** Makes an append that was begun one that is still to come. */
	#putBack(append: Append): void {
		const { shape, span, gap, outcome } = append
		if (gap !== undefined) this.#gaps.insert(gap)
		else if (span.from < this.#queue.first) {
			if (outcome !== 'taken') this.#lose(span, this.#options.evictionCause)
		} else if (shape === 'batch') this.#batches.unshift(span)
	}

	#fail(error: LogAppendError): void {
		const healthy = this.#failure === undefined
		this.#stalled = true
		this.#failure = error
		this.#timer.start()
		this.#waiters.failed(error)
		if (healthy) this.#options.events.failing(error)
	}

	#lose(span: QueueRange, cause: 'evicted' | 'overflow' | 'appendFailed', error?: LogAppendError): void {
		const { from, to, fromSeq, toSeq, count } = span
		const gap = { from, to, fromSeq, toSeq, count, cause }
		this.#losses.add(cause, count, fromSeq, error ?? this.#failure)
		this.#gaps.insert(gap)
		this.#options.events.lost(gap, error)
	}

	#spanAt(position: number): QueueRange {
		return queueRangeOf(position, [this.#queue.at(position)])
	}

	/** Takes the batch that holds this position out of those that wait. */
	#takeBatchOver(position: number): QueueRange | undefined {
		const batch = this.#batches[0]
		return batch !== undefined && batch.from <= position ? this.#batches.shift() : undefined
	}

	/** Something waits: see to it that it is tried later, and at the latest when the process exits. */
	#holdOn(): void {
		this.#undoExitHook ??= onExit('loop', () => this.pump())
		// More than failed appends and those in flight can only come from an appender that publishes while it appends.
		if (!this.#stalled && this.#inFlight.hasRoom && !this.#closed) this.#timer.start()
	}

	#pendingError(code: ErrorCode, thrown?: unknown): MeshChainError {
		const cause = thrown ?? this.#failure
		const why = cause === undefined ? 'they are in flight; await sync()' : messageOf(cause)
		const seq = this.#firstPendingSeq()
		const message = `records from seq ${seq} are not with the appender yet: ${why}`
		return new MeshChainError(code, message, { seq, cause })
	}

	#firstPendingSeq(): number {
		const oldest = this.#inFlight.oldest
		if (oldest !== undefined) return oldest.span.fromSeq
		if (this.#gaps.first === this.#cursor) return this.#gaps.peek()!.fromSeq
		return this.#cursor < this.#queue.end ? this.#spanAt(this.#cursor).fromSeq : this.#committedSeq + 1
	}

	/**
	 * Waits until everything that was published was handed over, or the appender fails. Gives up, and says so, when no append has settled for
	 * so long.
	 */
	async #drain(stallMs: number): Promise<LogAppendError | undefined> {
		// What is in flight may fail; what comes after it is tried all the same.
		const first = this.#inFlight.count === 0 || (await this.#settledWithin(stallMs))
		if (first && (await this.#settledWithin(stallMs))) return undefined
		return new LogAppendError(`no append has settled for ${stallMs} ms`)
	}

	async #settledWithin(stallMs: number): Promise<boolean> {
		const settled = this.settle()
		for (;;) {
			const answers = this.#answers
			if ((await within(settled, stallMs)).is !== 'late') return true
			if (answers === this.#answers) return false
		}
	}

	/** No append begins after this, and none that is in flight is waited for. */
	#stop(keep: (error: MeshChainError) => void, hang: LogAppendError | undefined): void {
		if (this.needed < this.#queue.end) {
			const error = this.#pendingError('CLOSE_FAILED', hang)
			keep(error)
			this.#waiters.failed(error)
		}
		if (this.#pending > 0) this.#loseRest(hang ?? this.#failure)
		this.#counts.gapsUnwritten += this.#gaps.count + this.#inFlight.gaps
		this.#closed = true
		this.#timer.reset()
		this.#undoExitHook?.()
	}

	#loseRest(why: LogAppendError | undefined): void {
		// What is in a gap, at the front, was counted when it was lost.
		const from = this.#cursor + this.#gaps.positions
		const rest =
			from < this.#queue.end ? [queueRangeOf(from, this.#queue.slice(from, this.#queue.end - 1))] : []
		for (const span of [...this.#inFlight.recordSpans, ...rest]) {
			this.#losses.add('atClose', span.count, span.fromSeq, why)
			this.#options.events.lost({ ...span, cause: 'appendFailed' }, why)
		}
	}
}
