/** An appender whose chain exists only in a stream, for services without a disk. */
import { randomBytes } from 'node:crypto'
import type { StreamInfo } from '@nats-io/jetstream'
import type { LogChainAppender } from '../appender.ts'
import { checkBatch, gapBefore } from '../chain/index.ts'
import { within } from '../guard/promises.ts'
import { show } from '../guard/show.ts'
import { asCoded, LogAppendError, MeshChainError, messageOf } from '../model/errors.ts'
import { RETRY_MS_MAX, RETRY_MS_MIN, SLOW_CLOSE_TIMEOUT_MS } from '../model/limits.ts'
import { gapRecord, type LogRecord } from '../model/record.ts'
import { PositionWaiters } from '../outbox/position-waiters.ts'
import { Backoff } from '../platform/backoff.ts'
import { report, warn } from '../platform/diagnostics.ts'
import { onExit } from '../platform/exit-hook.ts'
import { Sleeper, wait } from '../platform/wait.ts'
import { type Cluster, openCluster } from './connection.ts'
import { openPublisher } from './exactly-once-publisher.ts'
import { fillMessages, publishOpen } from './fill-messages.ts'
import {
	type JetStreamOptions,
	type ResolvedJetStreamOptions,
	resolveJetStreamOptions,
} from './jetstream-options.ts'
import type { JetStreamStats } from './jetstream-stats.ts'
import type { OutgoingMessage } from './message-builder.ts'
import { PendingRecords } from './pending-records.ts'
import { fitStream, unreachable } from './stream.ts'
import { positionOf } from './stream-position.ts'
import { subjectOf } from './subjects.ts'

const CHAIN_ID_BYTES = 16

/**
 * Appends to a JetStream stream, for services without a disk. Records that are not yet acknowledged exist
 * only in this process, and are lost when it ends. On a machine with a disk, a `FileChainAppender` with
 * `forwardChain` therefore loses fewer records.
 *
 * The appender accepts records immediately and sends them in the background, in order and exactly once. Each
 * message contains the records that arrived since the previous message. A record is committed when the
 * servers have acknowledged it. Until then, the record is `chainPending`, and the appender keeps it in
 * memory. Beyond the limits `pendingRecordsMax` and `pendingBytesMax`, the loop keeps the newest records in
 * its ring. Records that the loop must evict are counted and become a `$gap` in the stream.
 *
 * If the cluster is unreachable, even at startup, the appender retries indefinitely, warns once, and throws
 * nothing. Only the cluster has the end of an older chain, so each appender starts a new chain, with a new id
 * and seq 1. The chains of a service share its `node`: `openStream('nats://…/mesh?node=api-1')` reads all of
 * them.
 *
 * A record is acknowledged when a majority of the stream's replicas have it. With `storage: 'file'`, the
 * servers fsync on their own schedule (`sync_interval`). Records that are not acknowledged when the process
 * ends are lost, because `process.exit()` cannot wait for the network. Await `loop.close()` first. The
 * appender keeps the process alive until it is closed.
 *
 * @example
 * ```ts
 * import { MeshLoop } from 'mesh-chain'
 * import { JetStreamAppender } from 'mesh-chain/cluster'
 *
 * const appender = new JetStreamAppender({ servers: 'nats://127.0.0.1:4222', create: {} })
 * const loop = new MeshLoop(appender, { nodeId: 'api-1' })
 * loop.info('listening', { port: 8080 })
 * await loop.sync()
 * await loop.close()
 * ```
 */
export class JetStreamAppender implements LogChainAppender {
	readonly chainId = randomBytes(CHAIN_ID_BYTES).toString('hex')
	readonly epoch = 1
	/**
	 * Committed records survive if this process is killed, or if a server that stores the stream in files is
	 * killed. A record may be lost if all servers that store it lose power.
	 */
	readonly durability = 'os'
	/**
	 * Maximum time that a loop waits for this appender. It is long because the appender has its own time
	 * limits.
	 */
	readonly closeTimeoutMs = SLOW_CLOSE_TIMEOUT_MS
	readonly #options: ResolvedJetStreamOptions
	readonly #pending: PendingRecords
	readonly #syncs = new PositionWaiters()
	readonly #over = new AbortController()
	readonly #counts = { records: 0, messages: 0, bytes: 0, tooLarge: 0, failures: 0, connections: 0 }
	/** Callbacks that wake callers waiting for a record or for the end of the connection. */
	readonly #waiters = new Set<() => void>()
	readonly #forgetExit: () => void
	readonly #ended: Promise<void>
	#nextSeq = 1
	#committedSeq = 0
	#subject: string | undefined
	#failure: MeshChainError | undefined
	/** Delay before the next connection. */
	readonly #retrySleep = new Sleeper()
	#isHurried = false
	#drained: (() => void) | undefined
	#silence: NodeJS.Timeout | undefined
	#closing: Promise<void> | undefined
	#lostAtClose = 0
	#lostByServers = 0
	#knownLostTo = 0

	/**
	 * Returns immediately and connects in the background.
	 *
	 * @throws {MeshChainError} `INVALID_OPTION`, or `FILE_UNREADABLE` if a file for authentication or TLS
	 * cannot be used.
	 */
	constructor(options: JetStreamOptions) {
		this.#options = resolveJetStreamOptions(options)
		this.#pending = new PendingRecords(this.#options)
		this.#forgetExit = onExit('chain', () => this.#countLoss())
		this.#ended = this.#run()
	}

	get nextSeq(): number {
		return this.#nextSeq
	}

	/** Seq of the last acknowledged record; 0 before the first one. */
	get committedSeq(): number {
		return this.#committedSeq
	}

	get failure(): MeshChainError | undefined {
		return this.#failure
	}

	/**
	 * Accepts one record, which stays in memory until it is acknowledged.
	 *
	 * @throws {LogAppendError} `PENDING_OVERFLOW` (retryable); `APPENDER_CLOSED`, `SEQ_NOT_INCREASING`,
	 * `APPEND_FAILED` (not retryable).
	 */
	append(record: LogRecord): void {
		this.#take([record], false)
	}

	/**
	 * Accepts a batch of consecutive records. The records share one message if the servers accept a message of
	 * that size. In that case, either all of the records are stored or none are.
	 *
	 * @throws {LogAppendError} The same errors as {@link append}. After an error, no record of the batch is
	 * accepted.
	 */
	appendBatch(records: readonly LogRecord[]): void {
		if (records.length > 0) this.#take(records, true)
	}

	/**
	 * Checks that every record is acknowledged. This synchronous method cannot wait for the network.
	 *
	 * @throws {MeshChainError} `FLUSH_FAILED` if some records are not acknowledged; await `sync()` instead.
	 */
	flush(): void {
		if (this.#closing === undefined && this.#pending.count > 0) throw this.#pendingError('FLUSH_FAILED')
	}

	/**
	 * Resolves when every record accepted before this call is acknowledged. If the cluster is unreachable, the
	 * appender retries immediately.
	 *
	 * @throws {MeshChainError} `SYNC_FAILED` if the retry fails, or if nothing is acknowledged for
	 * `ackTimeoutMs`. The records stay in memory, and the appender sends them again.
	 */
	sync(): Promise<void> {
		if (this.#closing !== undefined) return this.#closing
		if (this.#pending.count === 0) return Promise.resolve()
		const acknowledged = this.#syncs.wait(this.#nextSeq)
		this.#watchSilence()
		this.#hurry()
		return acknowledged
	}

	/**
	 * Waits at most `closeMs` for unacknowledged records, and then disconnects. Idempotent. A loop's `close()`
	 * calls `sync()` first, which has its own time limit.
	 *
	 * @throws {MeshChainError} `CLOSE_FAILED` if records were not acknowledged in time. `stats().lostAtClose`
	 * counts them.
	 */
	close(): Promise<void> {
		this.#closing ??= this.#close()
		return this.#closing
	}

	/** Returns the current counters. */
	stats(): JetStreamStats {
		return {
			chainId: this.chainId,
			stream: this.#options.stream,
			subject: this.#subject,
			committedSeq: this.#committedSeq,
			pendingRecords: this.#pending.count,
			pendingBytes: this.#pending.bytes,
			failure: this.#failure?.message,
			...this.#counts,
			lostByServers: this.#lostByServers,
			lostAtClose: this.#lostAtClose,
		}
	}

	get #isOver(): boolean {
		return this.#over.signal.aborted
	}

	/** Name of the stream for errors and warnings. */
	get #name(): string {
		return `the stream ${show(this.#options.stream)}`
	}

	#take(records: readonly LogRecord[], isBatch: boolean): void {
		const { seq } = records[0]!
		if (this.#closing !== undefined) {
			const closed = { code: 'APPENDER_CLOSED', retryable: false, seq } as const
			throw new LogAppendError(`the appender to ${this.#name} is closed`, closed)
		}
		if (isBatch) checkBatch(records, this.#options.stream)
		const missing = gapBefore(this.#nextSeq, records[0]!, this.#options.stream)
		if (missing !== undefined && !this.#pending.add([missing], false)) throw this.#overflow(seq)
		if (missing !== undefined) this.#nextSeq = missing.seq + 1
		if (!this.#pending.add(records, isBatch)) throw this.#overflow(seq)
		this.#nextSeq = records.at(-1)!.seq + 1
		this.#wake()
	}

	#overflow(seq: number): LogAppendError {
		const why = this.#failure === undefined ? 'the stream is slower than the service' : this.#failure.message
		const text = `${this.#pending.count} records are waiting for ${this.#name} (the limit is reached): ${why}`
		return new LogAppendError(text, { code: 'PENDING_OVERFLOW', seq, cause: this.#failure })
	}

	#pendingError(code: 'FLUSH_FAILED' | 'SYNC_FAILED' | 'CLOSE_FAILED', thrown?: unknown): MeshChainError {
		const { count, firstSeq: seq = this.#nextSeq } = this.#pending
		const cause = thrown ?? this.#failure
		const why = cause === undefined ? 'they are in flight; await sync()' : messageOf(cause)
		const text = `${this.#name} has not acknowledged ${count} records from seq ${seq} onward: ${why}`
		return new MeshChainError(code, text, { seq, cause })
	}

	/** Uses one connection after another until the appender is closed. */
	async #run(): Promise<void> {
		const backoff = new Backoff(RETRY_MS_MIN, RETRY_MS_MAX)
		while (!this.#isOver) {
			try {
				await this.#connectAndSend()
			} catch (error) {
				// After a recovery, the delays start again from the minimum.
				if (this.#failure === undefined) backoff.reset()
				if (!this.#isOver) this.#failed(error)
			}
			if (!this.#isOver) await this.#pause(backoff.next())
		}
	}

	/**
	 * Connects and sends records until something fails or the appender is closed. A failed connection is not
	 * reused, because a new one may reach another server.
	 */
	async #connectAndSend(): Promise<void> {
		const cluster = await openCluster(this.#options.connection)
		const over = this.#over.signal
		const close = () => void cluster.close()
		over.addEventListener('abort', close)
		try {
			if (over.aborted) return
			this.#counts.connections++
			const lost = cluster.connection.closed().then((reason) => {
				throw unreachable(cluster, this.#options.stream, reason ?? new Error('the connection was closed'))
			})
			await Promise.race([this.#send(cluster), lost])
		} finally {
			over.removeEventListener('abort', close)
			await cluster.close()
			this.#wake()
		}
	}

	async #send(cluster: Cluster): Promise<void> {
		const { stream, subjectPrefix: prefix, create, node, messageBytes } = this.#options
		const info = await fitStream(cluster, stream, prefix, create)
		if (this.#pending.count === 0) this.#recovered()
		await this.#recordsFrom(cluster, this.#pending.first)
		if (this.#isOver) return
		this.#subject ??= subjectOf(prefix, node ?? this.#pending.firstNode() ?? 'node', this.chainId)
		const { publisher, builder } = await this.#resume(cluster, info, this.#subject)
		const target = { batchBytes: messageBytes, builder, publisher }
		let position = this.#pending.first
		// Code that waited on a lost connection must not continue alongside the next connection.
		while (!this.#isOver && !cluster.connection.isClosed()) {
			position = await fillMessages(this.#pending, position, target)
			// While a message is in flight, more records may arrive for the next message.
			await publisher.settled()
			position = await fillMessages(this.#pending, position, target)
			await publishOpen(builder, publisher)
			if (position < this.#pending.end) continue
			await publisher.settled()
			await this.#recordsFrom(cluster, position)
		}
	}

	/** Prepares to send the records after those that are already in the stream. */
	async #resume(cluster: Cluster, info: StreamInfo, subject: string) {
		const { stream, messageBytes, ackTimeoutMs } = this.#options
		const { chainId } = this
		const position = await positionOf(cluster, stream, subject, chainId)
		const { last } = position
		if (last !== undefined) this.#acknowledge(last.seq)
		const sender = openPublisher(
			cluster,
			{ chainId, subject, info, position },
			{ stream, messageBytes, ackTimeoutMs, onAcknowledged: (message) => this.#onAcknowledged(message) },
		)
		const next = this.#pending.count === 0 ? undefined : this.#pending.at(this.#pending.first)
		if (last !== undefined && next !== undefined && last.seq < this.#committedSeq) {
			// A new leader may not yet return all messages that the stream has.
			await sender.publisher.fenced()
			sender.builder.add(this.#lostInStream(last.seq + 1, next))
		}
		return sender
	}

	/**
	 * Returns the gap for acknowledged records that the stream has lost because servers went down before they
	 * wrote the records to disk.
	 */
	#lostInStream(fromSeq: number, next: LogRecord): LogRecord {
		const toSeq = this.#committedSeq
		const gap = { fromSeq, toSeq, count: toSeq - fromSeq + 1, cause: 'unsynced' } as const
		if (toSeq > this.#knownLostTo) {
			this.#knownLostTo = toSeq
			this.#lostByServers += gap.count
			report('gap', { source: this, gap })
			const text = `${this.#name} has lost ${gap.count} acknowledged records from seq ${fromSeq} onward`
			warn('RECORDS_LOST', text)
		}
		return gapRecord(gap, next)
	}

	#onAcknowledged(message: OutgoingMessage): void {
		this.#counts.messages++
		this.#counts.records += message.records
		this.#counts.bytes += message.body.length
		for (const seq of message.tooLarge) this.#reportTooLarge(seq)
		this.#acknowledge(message.lastSeq)
		this.#recovered()
	}

	/** Reports a record that is too large for any message. In the acknowledged message, a gap replaces it. */
	#reportTooLarge(seq: number): void {
		report('gap', { source: this, gap: { fromSeq: seq, toSeq: seq, count: 1, cause: 'tooLarge' } })
		if (this.#counts.tooLarge === 0) {
			const text =
				`the record with seq ${seq} is lost: it is larger than any message that ` +
				`${this.#name} accepts; later records that are too large are only counted`
			warn('RECORDS_LOST', text)
		}
		this.#counts.tooLarge++
	}

	#acknowledge(seq: number): void {
		if (seq <= this.#committedSeq) return
		this.#committedSeq = seq
		this.#pending.drop(seq)
		this.#syncs.reached(seq + 1)
		this.#watchSilence()
		if (this.#pending.count === 0) this.#drained?.()
	}

	/** Resolves when a record is available at a position, or when the connection is closed. */
	async #recordsFrom({ connection }: Cluster, position: number): Promise<void> {
		while (this.#pending.end <= position && !connection.isClosed()) {
			await new Promise<void>((resolve) => this.#waiters.add(resolve))
		}
	}

	#wake(): void {
		if (this.#waiters.size === 0) return
		for (const sleeper of this.#waiters) sleeper()
		this.#waiters.clear()
	}

	/** Fails pending `sync()` calls if the servers acknowledge nothing for `ackTimeoutMs`. */
	#watchSilence(): void {
		clearTimeout(this.#silence)
		if (this.#syncs.count === 0) return
		const { ackTimeoutMs } = this.#options
		this.#silence = setTimeout(() => {
			const reason = this.#failure ?? new Error(`nothing was acknowledged for ${ackTimeoutMs} ms`)
			this.#syncs.failed(this.#pendingError('SYNC_FAILED', reason))
		}, ackTimeoutMs)
	}

	#failed(thrown: unknown): void {
		const error = asCoded(thrown, 'CLUSTER_UNREACHABLE', this.#name)
		const isNew = this.#failure === undefined
		this.#counts.failures++
		this.#failure = error
		if (isNew) warn('STREAM_FAILING', `${error.message}; the service continues, and records wait in memory`)
		report('failing', { source: this, error })
		this.#syncs.failed(this.#pendingError('SYNC_FAILED', error))
		this.#watchSilence()
	}

	#recovered(): void {
		if (this.#failure === undefined) return
		this.#failure = undefined
		warn('STREAM_RECOVERED', `${this.#name} accepts records again`)
		report('recovered', { source: this })
	}

	async #close(): Promise<void> {
		const deadline = performance.now() + this.#options.closeMs
		this.#hurry()
		if (this.#pending.count > 0) {
			await within(new Promise<void>((resolve) => (this.#drained = resolve)), this.#options.closeMs)
		}
		const reason = this.#failure ?? new Error(`close() waited only ${this.#options.closeMs} ms`)
		const error = this.#pending.count > 0 ? this.#pendingError('CLOSE_FAILED', reason) : undefined
		this.#forgetExit()
		this.#countLoss()
		if (error !== undefined) this.#syncs.failed(error)
		clearTimeout(this.#silence)
		this.#over.abort()
		this.#wake()
		this.#hurry()
		// A connection attempt cannot be cancelled. It ends by itself.
		await within(this.#ended, Math.max(0, deadline - performance.now()))
		this.#pending.clear()
		if (error !== undefined) throw error
	}

	/** Counts the unacknowledged records as lost, and reports them. */
	#countLoss(): void {
		const loss = this.#pending.asLoss()
		this.#lostAtClose = loss?.count ?? 0
		if (loss === undefined) return
		const { fromSeq, toSeq, count, cause } = loss
		report('gap', { source: this, gap: { fromSeq, toSeq, count, cause } })
	}

	/** Ends the delay before the next connection, because a caller is waiting for the outcome. */
	#hurry(): void {
		this.#isHurried = true
		this.#retrySleep.wake()
	}

	/**
	 * Waits before the next connection. The delay is reduced to its minimum if a caller is waiting for the
	 * outcome.
	 */
	async #pause(ms: number): Promise<void> {
		await wait(RETRY_MS_MIN)
		if (!this.#isHurried) await this.#retrySleep.sleep(ms - RETRY_MS_MIN)
		this.#isHurried = false
	}
}
