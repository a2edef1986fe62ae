/** The appender whose chain is in a stream only: for services without a disk. */
import { randomBytes } from 'node:crypto'
import type { StreamInfo } from '@nats-io/jetstream'
import type { LogChainAppender } from '../appender.ts'
import { checkBatch, missingBefore } from '../chain/write/seq-check.ts'
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
import { fillMessages, publishOpen } from './fill-messages.ts'
import {
	type JetStreamOptions,
	type ResolvedJetStreamOptions,
	resolveJetStreamOptions,
} from './jetstream-options.ts'
import type { JetStreamStats } from './jetstream-stats.ts'
import { MessageBuilder, NO_SUMS, type OutgoingMessage } from './message.ts'
import { PendingRecords } from './pending-records.ts'
import { Publisher } from './publisher.ts'
import { fitStream, unreachable } from './stream.ts'
import { limitsOf, positionOf } from './stream-position.ts'
import { subjectOf } from './subjects.ts'

const CHAIN_ID_BYTES = 16

/**
 * Appends to a stream of JetStream, and keeps nothing on a disk. Where there is a disk, a `FileChainAppender` and `forwardChain` lose less: what is not
 * acknowledged yet is in this process only, and dies with it.
 *
 * It takes records over at once and sends them behind the service's back, in order and each once, as many in a message as came meanwhile. A record is committed when
 * the servers have acknowledged it; until then it is `chainPending`, and the appender holds it: up to `pendingRecordsMax` and `pendingBytesMax`. With more the loop
 * keeps the newest in its ring, and what it must let go is counted and a `$gap` in the stream.
 *
 * The cluster need not be there, not even at the start: the appender connects again for ever, one process warning says that it cannot, and nothing is thrown. So
 * each appender begins a chain of its own, with a new id and seq 1: where an older chain ended, only the cluster could say. `node` is what a service's chains have in common:
 * `openStream('nats://…/mesh?node=api-1')`.
 *
 * Acknowledged means that the stream has it on as many servers as its replicas make a majority of; with `storage: 'file'` these bring it to their disks when they choose to (`sync_interval`). What
 * is not acknowledged when the process ends is lost: `process.exit()` cannot wait for a network. Await `loop.close()` before. Until then the appender keeps the process alive.
 *
 * @example
 * ```ts
 * import { MeshLoop } from 'mesh-chain'
 * import { JetStreamAppender } from 'mesh-chain/cluster'
 *
 * const loop = new MeshLoop(new JetStreamAppender({ servers: 'nats://127.0.0.1:4222', create: {} }), { nodeId: 'api-1' })
 * loop.info('listening', { port: 8080 })
 * await loop.sync()
 * await loop.close()
 * ```
 */
export class JetStreamAppender implements LogChainAppender {
	readonly chainId = randomBytes(CHAIN_ID_BYTES).toString('hex')
	readonly epoch = 1
	/** A process that is killed does not take it along, here or on a server whose stream is in files; a power loss may, where it hits as many servers as have it. */
	readonly durability = 'os'
	/** It has bounds of its own: a loop waits for it longer than for others. */
	readonly closeTimeoutMs = SLOW_CLOSE_TIMEOUT_MS
	readonly #options: ResolvedJetStreamOptions
	readonly #pending: PendingRecords
	readonly #syncs = new PositionWaiters()
	readonly #over = new AbortController()
	readonly #counts = { records: 0, messages: 0, bytes: 0, tooLarge: 0, failures: 0, connections: 0 }
	/** Whoever waits for a record, or for the end. */
	readonly #sleepers = new Set<() => void>()
	readonly #forgetExit: () => void
	readonly #ended: Promise<void>
	#nextSeq = 1
	#committedSeq = 0
	#subject: string | undefined
	#failure: MeshChainError | undefined
	/** Sleeps before the next connection. */
	readonly #retrySleep = new Sleeper()
	#isHurried = false
	#drained: (() => void) | undefined
	#silence: NodeJS.Timeout | undefined
	#closing: Promise<void> | undefined
	#lostAtClose = 0
	#lostByServers = 0
	#knownLostTo = 0

	/**
	 * Returns at once, and connects meanwhile.
	 *
	 * @throws {MeshChainError} `INVALID_OPTION`, `FILE_UNREADABLE` where a secret's file is not there.
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

	/** The seq of the last record that is acknowledged; 0 before the first. */
	get committedSeq(): number {
		return this.#committedSeq
	}

	get failure(): MeshChainError | undefined {
		return this.#failure
	}

	/**
	 * Takes one record over; it stays in memory until it is acknowledged.
	 *
	 * @throws {LogAppendError} `PENDING_OVERFLOW` (retryable); `APPENDER_CLOSED`, `SEQ_NOT_INCREASING`, `APPEND_FAILED` (not).
	 */
	append(record: LogRecord): void {
		this.#take([record], false)
	}

	/**
	 * Takes all of them over. They go in one message, where the servers take one so large: then all of them are stored or none. Their seqs must follow each other.
	 *
	 * @throws {LogAppendError} as {@link append}; none is taken over then.
	 */
	appendBatch(records: readonly LogRecord[]): void {
		if (records.length > 0) this.#take(records, true)
	}

	/**
	 * Cannot wait for a network: it only says whether everything is acknowledged.
	 *
	 * @throws {MeshChainError} `FLUSH_FAILED` where it is not: await `sync()`.
	 */
	flush(): void {
		if (this.#closing === undefined && this.#pending.count > 0) throw this.#pendingError('FLUSH_FAILED')
	}

	/**
	 * Resolves when everything taken over before is acknowledged. Where the cluster is away, it is tried once more at once.
	 *
	 * @throws {MeshChainError} `SYNC_FAILED` when that fails, or nothing is acknowledged for `ackTimeoutMs`; the records stay and are tried again.
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
	 * Waits for what is not acknowledged, for `closeMs` at most, and disconnects. Idempotent. A loop's `close()` calls `sync()` before, which has a limit of its own.
	 *
	 * @throws {MeshChainError} `CLOSE_FAILED` when records were not acknowledged in time; `stats().lostAtClose` counts them.
	 */
	close(): Promise<void> {
		this.#closing ??= this.#close()
		return this.#closing
	}

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

	/** For messages. */
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
		const missing = missingBefore(this.#nextSeq, records[0]!, this.#options.stream)
		if (missing !== undefined && !this.#pending.add([missing], false)) throw this.#overflow(seq)
		if (missing !== undefined) this.#nextSeq = missing.seq + 1
		if (!this.#pending.add(records, isBatch)) throw this.#overflow(seq)
		this.#nextSeq = records.at(-1)!.seq + 1
		this.#wake()
	}

	#overflow(seq: number): LogAppendError {
		const why = this.#failure === undefined ? 'it is slower than the service' : this.#failure.message
		const text = `${this.#pending.count} records wait for ${this.#name}, and no more can: ${why}`
		return new LogAppendError(text, { code: 'PENDING_OVERFLOW', seq, cause: this.#failure })
	}

	#pendingError(code: 'FLUSH_FAILED' | 'SYNC_FAILED' | 'CLOSE_FAILED', thrown?: unknown): MeshChainError {
		const { count, firstSeq: seq = this.#nextSeq } = this.#pending
		const cause = thrown ?? this.#failure
		const why = cause === undefined ? 'they are under way; await sync()' : messageOf(cause)
		const text = `${count} records from seq ${seq} on are not acknowledged by ${this.#name}: ${why}`
		return new MeshChainError(code, text, { seq, cause })
	}

	/** A connection after the other. */
	async #run(): Promise<void> {
		const backoff = new Backoff(RETRY_MS_MIN, RETRY_MS_MAX)
		while (!this.#isOver) {
			try {
				await this.#connectAndSend()
			} catch (error) {
				// It worked meanwhile.
				if (this.#failure === undefined) backoff.reset()
				if (!this.#isOver) this.#failed(error)
			}
			if (!this.#isOver) await this.#pause(backoff.next())
		}
	}

	/** Until something fails, or it is over. A connection that has failed once is not used again: a new one may reach another server. */
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
		const { stream, prefix, create, node, messageBytes } = this.#options
		const info = await fitStream(cluster, stream, prefix, create)
		if (this.#pending.count === 0) this.#recovered()
		await this.#more(cluster, this.#pending.first)
		if (this.#isOver) return
		this.#subject ??= subjectOf(prefix, node ?? this.#pending.firstNode() ?? 'node', this.chainId)
		const { publisher, builder } = await this.#resume(cluster, info, this.#subject)
		const fill = (from: number) => fillMessages(this.#pending, from, messageBytes, builder, publisher)
		let position = this.#pending.first
		// What waited here for a connection that is lost must not go on beside the next one.
		while (!this.#isOver && !cluster.connection.isClosed()) {
			position = await fill(position)
			// While a message is under way, more may come for the next one.
			await publisher.settled()
			position = await fill(position)
			await publishOpen(builder, publisher)
			if (position < this.#pending.end) continue
			await publisher.settled()
			await this.#more(cluster, position)
		}
	}

	/** From where the stream is on: what is stored there is not sent again. */
	async #resume(cluster: Cluster, info: StreamInfo, subject: string) {
		const { stream, messageBytes } = this.#options
		const place = await positionOf(cluster, stream, subject, this.chainId)
		const { last } = place
		if (last !== undefined) this.#acknowledge(last.seq)
		const limits = limitsOf(cluster, info, messageBytes)
		const builder = new MessageBuilder(this.chainId, limits, last?.sums ?? NO_SUMS)
		const isReplicated = info.config.num_replicas > 1
		const publisher = new Publisher(cluster, this.#options, subject, place, isReplicated, (message) =>
			this.#took(message),
		)
		const next = this.#pending.count === 0 ? undefined : this.#pending.at(this.#pending.first)
		if (last !== undefined && next !== undefined && last.seq < this.#committedSeq) {
			// A leader that is new may not show all that it has.
			await publisher.fenced()
			builder.add(this.#lostInStream(last.seq + 1, next))
		}
		return { publisher, builder }
	}

	/** What was acknowledged and is gone: servers went down before they had it on disk. */
	#lostInStream(fromSeq: number, next: LogRecord): LogRecord {
		const toSeq = this.#committedSeq
		const gap = { fromSeq, toSeq, count: toSeq - fromSeq + 1, cause: 'unsynced' } as const
		if (toSeq > this.#knownLostTo) {
			this.#knownLostTo = toSeq
			this.#lostByServers += gap.count
			report('gap', { source: this, gap })
			const text = `${this.#name} has lost ${gap.count} records from seq ${fromSeq} on that its servers had acknowledged`
			warn('RECORDS_LOST', text)
		}
		return gapRecord(gap, next)
	}

	#took(message: OutgoingMessage): void {
		this.#counts.messages++
		this.#counts.records += message.records
		this.#counts.bytes += message.body.length
		if (message.tooLarge > 0) this.#tooLarge(message)
		this.#acknowledge(message.lastSeq)
		this.#recovered()
	}

	/** Such a message holds nothing but the gap. */
	#tooLarge({ lastSeq, tooLarge: count }: OutgoingMessage): void {
		report('gap', { source: this, gap: { fromSeq: lastSeq, toSeq: lastSeq, count, cause: 'tooLarge' } })
		if (this.#counts.tooLarge === 0) {
			const text = `the record with seq ${lastSeq} is longer than ${this.#name} takes a message, and lost; further ones are only counted`
			warn('RECORDS_LOST', text)
		}
		this.#counts.tooLarge += count
	}

	#acknowledge(seq: number): void {
		if (seq <= this.#committedSeq) return
		this.#committedSeq = seq
		this.#pending.drop(seq)
		this.#syncs.handedOver(seq + 1)
		this.#watchSilence()
		if (this.#pending.count === 0) this.#drained?.()
	}

	/** Resolves when there is something at a position, or the connection is closed. */
	async #more({ connection }: Cluster, position: number): Promise<void> {
		while (this.#pending.end <= position && !connection.isClosed()) {
			await new Promise<void>((resolve) => this.#sleepers.add(resolve))
		}
	}

	#wake(): void {
		if (this.#sleepers.size === 0) return
		for (const sleeper of this.#sleepers) sleeper()
		this.#sleepers.clear()
	}

	/** Whoever waits for a sync is told when it goes on too long without a word from the servers. */
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
		if (isNew) warn('STREAM_FAILING', `${error.message}; the service goes on, records wait in memory`)
		report('failing', { source: this, error })
		this.#syncs.failed(this.#pendingError('SYNC_FAILED', error))
		this.#watchSilence()
	}

	#recovered(): void {
		if (this.#failure === undefined) return
		this.#failure = undefined
		warn('STREAM_RECOVERED', `${this.#name} takes records again`)
		report('recovered', { source: this })
	}

	async #close(): Promise<void> {
		const deadline = performance.now() + this.#options.closeMs
		this.#hurry()
		if (this.#pending.count > 0) {
			await within(new Promise<void>((resolve) => (this.#drained = resolve)), this.#options.closeMs)
		}
		const reason = this.#failure ?? new Error(`${this.#options.closeMs} ms were not enough`)
		const error = this.#pending.count > 0 ? this.#pendingError('CLOSE_FAILED', reason) : undefined
		this.#forgetExit()
		this.#countLoss()
		if (error !== undefined) this.#syncs.failed(error)
		clearTimeout(this.#silence)
		this.#over.abort()
		this.#wake()
		this.#hurry()
		// A connection that is being made cannot be called off; it ends by itself.
		await within(this.#ended, Math.max(0, deadline - performance.now()))
		this.#pending.clear()
		if (error !== undefined) throw error
	}

	/** What is not acknowledged by now is not waited for. */
	#countLoss(): void {
		const loss = this.#pending.asLoss()
		this.#lostAtClose = loss?.count ?? 0
		if (loss === undefined) return
		const { fromSeq, toSeq, count, cause } = loss
		report('gap', { source: this, gap: { fromSeq, toSeq, count, cause } })
	}

	/** Somebody wants to know now whether it works again. */
	#hurry(): void {
		this.#isHurried = true
		this.#retrySleep.wake()
	}

	/** Never shorter than the least: many may be in a hurry. */
	async #pause(ms: number): Promise<void> {
		await wait(RETRY_MS_MIN)
		if (!this.#isHurried) await this.#retrySleep.sleep(ms - RETRY_MS_MIN)
		this.#isHurried = false
	}
}
