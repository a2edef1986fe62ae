/**
 * Implements the appender that writes a chain to files. It decides when the writer (writer.ts) writes and
 * syncs, and retries while the disk is failing. maintenance.ts decides when rotation and retention are due.
 */
import type { LogChainAppender } from '../../appender.ts'
import { discard } from '../../guard/promises.ts'
import { show } from '../../guard/show.ts'
import { attempt } from '../../guard/values.ts'
import { LogAppendError, type MeshChainError } from '../../model/errors.ts'
import { RETRY_MS_MAX, RETRY_MS_MIN } from '../../model/limits.ts'
import { type LogRecord, levelIndex } from '../../model/record.ts'
import { report, warn } from '../../platform/diagnostics.ts'
import { isExiting, onExit } from '../../platform/exit-hook.ts'
import { RetrySchedule } from '../../platform/retry-schedule.ts'
import { writablePath } from '../files/open-error.ts'
import {
	type FileChainOptions,
	type ResolvedFileChainOptions,
	resolveFileChainOptions,
} from './file-chain-options.ts'
import { Maintenance } from './maintenance.ts'
import type { ChainRecovery } from './opened-chain.ts'
import { recoveryWarning } from './recovery-warning.ts'
import { Timeout } from './timeout.ts'
import { ChainWriter } from './writer.ts'
import { closeError } from './writer-errors.ts'
import type { ChainWriterStats } from './writer-stats.ts'

/** Number of unwritten bytes at which records are written before the end of the turn. */
const WRITE_BYTES_TARGET = 64 * 1024

/** Counters of a {@link FileChainAppender} since it opened the chain, and its current state. */
export interface FileChainStats extends ChainWriterStats {
	readonly path: string
	readonly chainId: string
	readonly epoch: number
	readonly durability: 'os' | 'disk'
	readonly committedSeq: number
	/** Reason why records cannot be committed; undefined if they can. */
	readonly failure: string | undefined
	/** Number of records that `close()` could not write. */
	readonly lostAtClose: number
	/** Number of times that the chain continued in a full live file because it could not be replaced. */
	readonly rotationFailures: number
	/** Number of times that `clock` threw or did not return a time, and `Date.now` was used instead. */
	readonly clockFailures: number
}

/**
 * Appends records to a chain file, which the constructor opens or creates. A chain has one writer and any
 * number of readers.
 *
 * With durability `os`, a record reaches the operating system before Node runs any immediate that was queued
 * after the record's `append`. From then on, the record survives even if the process is killed. `flush()`
 * writes immediately. `sync()` and `close()` ensure that records are on disk. No record is lost when the
 * process ends normally, calls `process.exit()` or throws an uncaught exception.
 *
 * If the disk fails after the chain was opened, up to `pendingBytesMax` bytes of records wait in memory. The
 * appender emits one process warning and retries until the disk works again.
 *
 * @example
 * ```ts
 * import { FileChainAppender, MeshLoop } from 'mesh-chain'
 *
 * const loop = new MeshLoop(new FileChainAppender('node.chain'))
 * loop.info('listening', { port: 8080 })
 * await loop.close()
 * ```
 */
export class FileChainAppender implements LogChainAppender {
	readonly path: string
	/**
	 * Maximum time that {@link close} waits for the disk, in milliseconds. A loop also waits up to this time
	 * when it closes the appender.
	 */
	readonly closeTimeoutMs: number
	readonly closeSyncs = true
	readonly #writer: ChainWriter
	readonly #options: ResolvedFileChainOptions
	/** Whether a write can start a sync. */
	readonly #syncsItself: boolean
	/** Whether the live file has bounds, so that the chain continues in a new file when it is full. */
	readonly rotates: boolean
	readonly #maintenance: Maintenance
	readonly #forgetExit: () => void
	readonly #fileListeners = new Set<{ readonly listener: (firstSeq: number) => void }>()
	/** First seq of the oldest file that has begun since the listeners were last called. */
	#begunSeq: number | undefined
	#turnScheduled = false
	readonly #retry = new RetrySchedule(
		() => {
			if (this.#closing === undefined) this.#tryAgain()
		},
		RETRY_MS_MIN,
		RETRY_MS_MAX,
	)
	#failure: MeshChainError | undefined
	#closing: Promise<void> | undefined
	#exitCode: number | undefined
	#lostAtClose = 0
	#policyTimer: NodeJS.Timeout | undefined
	#lastSync: { readonly writerSync: Promise<void>; readonly handled: Promise<void> } | undefined

	/**
	 * @param path Path of the chain; `{pid}` is replaced by the process id.
	 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_LEVEL`, `INVALID_PATH`, `CHAIN_LOCKED`,
	 * `CHAIN_UNWRITABLE`, `CHAIN_DAMAGED`, `CHAIN_SEALED`, `CHAIN_EXHAUSTED`, `NOT_A_CHAIN`, `HEADER_DAMAGED`,
	 * `NEWER_VERSION`. A file that is not a chain is never changed.
	 */
	constructor(path: string, options: FileChainOptions = {}) {
		this.#options = resolveFileChainOptions(options)
		const { fs, durability, mode, pendingBytesMax, clock, onDamage, lockWaitMs, rotate, retain } =
			this.#options
		this.#syncsItself = durability === 'disk' || this.#options.policy !== undefined
		this.rotates = Object.values(this.#options.rotate).some((bound) => bound !== Number.POSITIVE_INFINITY)
		this.path = writablePath(path, fs)
		this.closeTimeoutMs = this.#options.closeTimeoutMs
		this.#writer = new ChainWriter(this.path, {
			system: fs,
			mode,
			pendingBytesMax,
			clock,
			onDamage,
			lockWaitMs,
			keepUnsynced: durability === 'disk',
			rotate,
			retain,
			begun: (firstSeq) => this.#onBegun(firstSeq),
		})
		this.#forgetExit = onExit('chain', (exitCode) => this.#onExit(exitCode))
		this.#reportRecovery(this.#writer.recovery)
		this.#maintenance = new Maintenance(this.#writer, {
			rotate,
			clock,
			source: this,
			isOver: () => isExiting() || this.#closing !== undefined,
			failed: (error) => this.#failed(error),
		})
		void this.#maintenance.retain(true)
	}

	get chainId(): string {
		return this.#writer.identity.idHex
	}

	get nextSeq(): number {
		return this.#writer.nextSeq
	}

	get epoch(): number {
		return this.#writer.epoch
	}

	get durability(): 'os' | 'disk' {
		return this.#options.durability
	}

	get committedSeq(): number {
		return this.durability === 'disk' ? this.#writer.durableSeq : this.#writer.writtenSeq
	}

	get failure(): MeshChainError | undefined {
		return this.#failure
	}

	/**
	 * Accepts one record, which stays in memory until it is written.
	 *
	 * @throws {LogAppendError} `PENDING_OVERFLOW` (retryable), or `APPENDER_CLOSED`, `SEQ_NOT_INCREASING`,
	 * `APPEND_FAILED`, `BATCH_TOO_LARGE`, `CHAIN_EXHAUSTED` or `CHAIN_TAKEN_OVER` (not retryable).
	 */
	append(record: LogRecord): void {
		this.#refuseWhenClosed(record.seq)
		if (!this.#writer.hasRoom) this.#makeRoom(record.seq)
		const isFrameFinished = this.#writer.push(record)
		this.#afterPush(levelIndex(record.level) >= this.#options.writeThroughIndex, isFrameFinished)
	}

	/**
	 * Accepts several records as one frame. After a crash, the chain contains all of them or none. Each seq
	 * must be one greater than the previous one.
	 *
	 * @throws {LogAppendError} The same errors as {@link append}. The code is `BATCH_TOO_LARGE` if the batch
	 * exceeds 65,535 records or 16 MiB. In all cases, no record is accepted.
	 */
	appendBatch(records: readonly LogRecord[]): void {
		if (records.length === 0) return
		const seq = records[0]?.seq ?? 0
		this.#refuseWhenClosed(seq)
		if (!this.#writer.hasRoom) this.#makeRoom(seq)
		this.#writer.pushBatch(records)
		const { writeThroughIndex } = this.#options
		this.#afterPush(
			records.some((record) => levelIndex(record.level) >= writeThroughIndex),
			true,
		)
	}

	/**
	 * Writes every accepted record.
	 *
	 * @throws {MeshChainError} `CHAIN_TAKEN_OVER`, or `WRITE_FAILED` if the write fails. After `WRITE_FAILED`,
	 * the records stay in memory and the write is retried.
	 */
	flush(): void {
		if (this.#closing !== undefined) return
		const isWritten = this.#tryWrite(() => this.#writer.checkOwner())
		if (!isWritten && this.#failure !== undefined) throw this.#failure
	}

	/**
	 * Resolves when every record accepted before this call is on disk, regardless of the durability.
	 *
	 * @throws {MeshChainError} `WRITE_FAILED`, `CHAIN_TAKEN_OVER` or `SYNC_FAILED`. After `SYNC_FAILED`, each
	 * later call tries to continue the chain in a new file, and fails until that succeeds.
	 */
	sync(): Promise<void> {
		if (this.#closing !== undefined) return this.#closing
		if (this.#failure !== undefined && !this.#tryAgain()) return Promise.reject(this.#failure)
		return this.#sync()
	}

	/**
	 * Writes all pending records and a closing anchor, syncs, and releases the file and the lock. Idempotent.
	 *
	 * @throws {MeshChainError} `SYNC_FAILED`, `CHAIN_TAKEN_OVER`, or `CLOSE_FAILED` if records could not be
	 * written or the disk did not respond within `closeTimeoutMs`. In all cases, the file is released, and
	 * `stats().lostAtClose` is the number of records that could not be written.
	 */
	close(): Promise<void> {
		this.#closing ??= this.#close()
		return this.#closing
	}

	/**
	 * Calls a listener with the first seq of a new file each time the chain has continued in one, for example
	 * after a rotation, in a later microtask. Errors of the listener are ignored. Returns a function that
	 * ends the calls.
	 */
	onNewFile(listener: (firstSeq: number) => void): () => void {
		const entry = { listener }
		this.#fileListeners.add(entry)
		return () => void this.#fileListeners.delete(entry)
	}

	stats(): FileChainStats {
		return {
			path: this.path,
			chainId: this.chainId,
			epoch: this.epoch,
			durability: this.durability,
			committedSeq: this.committedSeq,
			failure: this.#failure?.message,
			lostAtClose: this.#lostAtClose,
			rotationFailures: this.#maintenance.rotationFailures,
			clockFailures: this.#options.clock.failures,
			...this.#writer.stats(),
		}
	}

	/** Calls the listeners later, because they may publish while the writer is at work. */
	#onBegun(firstSeq: number): void {
		if (this.#fileListeners.size === 0 || this.#begunSeq !== undefined) return
		this.#begunSeq = firstSeq
		queueMicrotask(() => {
			this.#begunSeq = undefined
			if (this.#closing !== undefined) return
			for (const { listener } of this.#fileListeners)
				discard(attempt<unknown>(() => listener(firstSeq), undefined))
		})
	}

	#refuseWhenClosed(seq: number): void {
		if (this.#closing === undefined) return
		throw new LogAppendError(`the chain ${show(this.path)} is closed`, {
			code: 'APPENDER_CLOSED',
			retryable: false,
			path: this.path,
			seq,
		})
	}

	#makeRoom(seq: number): void {
		this.#tryWrite()
		this.#writer.checkRoom(seq)
	}

	#afterPush(writeThrough: boolean, isFrameFinished: boolean): void {
		if (isExiting()) this.#writeOnExit()
		else if (writeThrough || (isFrameFinished && this.#isWriteDue)) this.#tryWrite()
		else if (!this.#turnScheduled) {
			this.#turnScheduled = true
			setImmediate(this.#onTurnEnd)
		}
	}

	get #isWriteDue(): boolean {
		return this.#failure === undefined && this.#writer.pendingBytes >= WRITE_BYTES_TARGET
	}

	readonly #onTurnEnd = (): void => {
		this.#turnScheduled = false
		if (this.#closing === undefined) this.#tryWrite()
	}

	/** Writes all accepted records. Returns whether they have all reached the operating system. */
	#tryWrite(before?: () => void): boolean {
		try {
			before?.()
			this.#writer.write()
		} catch (error) {
			this.#failed(error as MeshChainError)
			return false
		}
		if (this.#writer.syncFailure === undefined) {
			this.#recovered()
			if (this.#syncsItself) this.#syncAsPromised()
		}
		if (this.rotates) this.#maintenance.whenDue()
		return true
	}

	/** Starts a sync after a write, if the durability requires one. */
	#syncAsPromised(): void {
		const { policy } = this.#options
		const { writtenSeq, durableSeq, unsyncedBytes } = this.#writer
		if (durableSeq >= writtenSeq) return
		const isDue =
			policy === undefined ||
			writtenSeq - durableSeq >= policy.everyRecords ||
			unsyncedBytes >= policy.everyBytes
		if (isDue)
			this.#sync().catch(() => {}) // the failure was reported, and committedSeq does not advance
		else if (policy.everyMs !== Number.POSITIVE_INFINITY) this.#syncLater(policy.everyMs)
	}

	#syncLater(ms: number): void {
		if (this.#policyTimer !== undefined) return
		this.#policyTimer = setTimeout(() => {
			this.#policyTimer = undefined
			if (this.#closing === undefined && this.#failure === undefined) this.#sync().catch(() => {})
		}, ms)
		this.#policyTimer.unref()
	}

	/** Returns the same promise to all callers that wait for the same sync of the writer. */
	#sync(): Promise<void> {
		const writerSync = this.#writer.sync()
		if (this.#lastSync?.writerSync !== writerSync) {
			this.#lastSync = { writerSync, handled: this.#handled(writerSync) }
		}
		return this.#lastSync.handled
	}

	async #handled(writerSync: Promise<void>): Promise<void> {
		try {
			await writerSync
		} catch (error) {
			this.#failed(error as MeshChainError)
			throw error
		}
	}

	#failed(error: MeshChainError): void {
		if (this.#failure === undefined) {
			warn('CHAIN_FAILING', `${error.message}; the service continues, and records wait in memory`)
		}
		this.#failure = error
		report('failing', { source: this, error })
		if (error.code !== 'CHAIN_TAKEN_OVER') this.#retry.start()
	}

	/**
	 * Retries the write. After a failed sync, first moves the chain to a new file. Returns whether both
	 * succeeded.
	 */
	#tryAgain(): boolean {
		let isMoved = true
		try {
			this.#writer.move()
		} catch (error) {
			this.#failed(error as MeshChainError)
			isMoved = false
		}
		return this.#tryWrite() && isMoved
	}

	#recovered(): void {
		if (this.#failure === undefined) return
		this.#failure = undefined
		this.#retry.reset()
		const text = `${show(this.path)} can be written again, and all waiting records have been written`
		warn('CHAIN_RECOVERED', text)
		report('recovered', { source: this })
	}

	async #close(): Promise<void> {
		this.#retry.reset()
		clearTimeout(this.#policyTimer)
		this.#maintenance.end()
		this.#forgetExit()
		const timeout = new Timeout(this.closeTimeoutMs)
		let isClean = false
		try {
			this.#writer.move()
			this.#writer.writeClosingAnchor(undefined)
			await timeout.orThrow(this.#writer.sync())
			isClean = true
		} catch (error) {
			this.#failure = error as MeshChainError
			// No sync may be in flight when the file is released. This sync also retries the write.
			if (!timeout.isOver) await timeout.orThrow(this.#writer.sync()).catch(() => {})
			this.#lostAtClose = this.#writer.pendingRecords
			const { path } = this
			const { writtenSeq, durableSeq } = this.#writer
			throw closeError({ path, writtenSeq, durableSeq, lost: this.#lostAtClose }, error)
		} finally {
			timeout.clear()
			this.#writer.close(isClean)
		}
	}

	#onExit(exitCode: number): void {
		this.#exitCode = exitCode
		if (this.#closing === undefined) this.#writeOnExit()
	}

	/** Writes everything and a closing anchor when the process exits. */
	#writeOnExit(): void {
		try {
			this.#writer.write()
			if (this.#exitCode !== undefined) this.#writer.writeClosingAnchor(this.#exitCode)
			if (this.durability === 'disk' || this.#options.policy !== undefined) this.#writer.syncOnExit()
		} catch (error) {
			this.#failure = error as MeshChainError
		}
	}

	#reportRecovery(recovery: ChainRecovery | undefined): void {
		if (recovery === undefined) return
		report('recovery', { source: this, recovery })
		const warning = recoveryWarning(this.path, recovery)
		if (warning !== undefined) warn(warning.code, warning.text)
	}
}
