/**
 * The appender whose chain is a file: decides when the writer writes and syncs, and keeps the service running while
 * the disk does not.
 */
import type { LogChainAppender } from '../../appender.ts'
import { show } from '../../guard/show.ts'
import { LogAppendError, type MeshChainError } from '../../model/errors.ts'
import { RETRY_MS_MAX, RETRY_MS_MIN } from '../../model/limits.ts'
import { type LogRecord, levelIndex } from '../../model/record.ts'
import { report, warn } from '../../platform/diagnostics.ts'
import { isExiting, onExit } from '../../platform/exit-hook.ts'
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

/** With more than this unwritten, the turn's end is not waited for. */
const WRITE_BYTES_TARGET = 64 * 1024

/** What a chain's writer did, and how it is. */
export interface FileChainStats extends ChainWriterStats {
	readonly path: string
	readonly chainId: string
	readonly epoch: number
	readonly durability: 'os' | 'disk'
	readonly committedSeq: number
	/** Why nothing can be committed at present. */
	readonly failure: string | undefined
	/** Records that `close()` could not write. */
	readonly lostAtClose: number
	/** Times that a full file could not be replaced by a new one; the chain went on in it. */
	readonly rotationFailures: number
	/** Times that `clock` threw or gave no time, and `Date.now` stood in. */
	readonly clockFailures: number
}

/**
 * Appends to a chain file, opening or creating it at once. One writer a chain; any number of readers meanwhile.
 *
 * With `os`, a record is in the kernel's hands before any immediate queued after its `append` runs: from there a killed
 * process does not lose it. `flush()` does so at once; `sync()` and `close()` put it on disk. A normal end, `process.exit()` and
 * an uncaught exception lose nothing.
 *
 * When the disk fails after a successful open, records wait in memory up to `pendingBytesMax`, one process warning says so,
 * and the chain goes on when the disk does.
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
	/** How long {@link close}, which writes and syncs by itself, waits for the disk, and so how long a loop waits for it. */
	readonly closeTimeoutMs: number
	readonly closeSyncs = true
	readonly #writer: ChainWriter
	readonly #options: ResolvedFileChainOptions
	/** Whether a write is followed by a sync, or by a look at the size of the file, at all. */
	readonly #syncsItself: boolean
	readonly #rotates: boolean
	readonly #upkeep: Maintenance
	readonly #forgetExit: () => void
	#turnScheduled = false
	#retryTimer: NodeJS.Timeout | undefined
	#retryMs = RETRY_MS_MIN
	#failure: MeshChainError | undefined
	#closing: Promise<void> | undefined
	#exitCode: number | undefined
	#lostAtClose = 0
	#policyTimer: NodeJS.Timeout | undefined
	#lastSync: { readonly writerSync: Promise<void>; readonly handled: Promise<void> } | undefined

	/**
	 * @param path where the chain is; `{pid}` becomes the process id.
	 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_LEVEL`, `INVALID_PATH`, `CHAIN_LOCKED`, `CHAIN_UNREADABLE`,
	 * `CHAIN_DAMAGED`, `NOT_A_CHAIN`, `HEADER_DAMAGED`, `NEWER_VERSION`. A file that is no chain is never touched.
	 */
	constructor(path: string, options: FileChainOptions = {}) {
		this.#options = resolveFileChainOptions(options)
		const { fs, durability, mode, pendingBytesMax, clock, onDamage, lockWaitMs, rotate, retain } =
			this.#options
		this.#syncsItself = durability === 'disk' || this.#options.policy !== undefined
		this.#rotates = Object.values(this.#options.rotate).some((bound) => bound !== Number.POSITIVE_INFINITY)
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
		})
		this.#forgetExit = onExit('chain', (exitCode) => this.#onExit(exitCode))
		this.#tellRecovery(this.#writer.recovery)
		this.#upkeep = new Maintenance(this.#writer, {
			rotate,
			clock,
			source: this,
			isOver: () => isExiting() || this.#closing !== undefined,
			failed: (error) => this.#failed(error),
		})
		void this.#upkeep.retain(true)
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
	 * Takes one record over; it stays in memory until it is written.
	 *
	 * @throws {LogAppendError} `PENDING_OVERFLOW` (retryable); `APPENDER_CLOSED`, `SEQ_NOT_INCREASING`, `APPEND_FAILED`,
	 * `CHAIN_TAKEN_OVER` (not).
	 */
	append(record: LogRecord): void {
		this.#refuseWhenClosed(record.seq)
		if (!this.#writer.hasRoom) this.#makeRoom(record.seq)
		const isFrameFinished = this.#writer.push(record)
		this.#afterPush(levelIndex(record.level) >= this.#options.writeThroughIndex, isFrameFinished)
	}

	/**
	 * Takes all of them over as one frame: after a crash all of them are there or none. Their seqs must follow each other.
	 *
	 * @throws {LogAppendError} as {@link append}; `BATCH_TOO_LARGE` above 65,535 records or 16 MiB. None is taken over then.
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
	 * Gives everything taken over to the operating system.
	 *
	 * @throws {MeshChainError} `WRITE_FAILED`; the records stay and are tried again. `CHAIN_TAKEN_OVER`.
	 */
	flush(): void {
		if (this.#closing !== undefined) return
		const isWritten = this.#tryWrite(() => this.#writer.checkOwner())
		if (!isWritten && this.#failure !== undefined) throw this.#failure
	}

	/**
	 * Resolves once everything taken over before this call is on disk, at every durability.
	 *
	 * @throws {MeshChainError} `WRITE_FAILED` or `SYNC_FAILED`; after the latter until the chain has gone on in a new file, which each
	 * call tries. `CHAIN_TAKEN_OVER`.
	 */
	sync(): Promise<void> {
		if (this.#closing !== undefined) return this.#closing
		if (this.#failure !== undefined && !this.#tryAgain()) return Promise.reject(this.#failure)
		return this.#sync()
	}

	/**
	 * Writes what waits, leaves the mark of a clean end, syncs, and lets go of file and lock. Idempotent.
	 *
	 * @throws {MeshChainError} `CLOSE_FAILED` when records could not be written, or the disk has not answered within `closeTimeoutMs`;
	 * `SYNC_FAILED`, `CHAIN_TAKEN_OVER`. The file is let go of all the same, and `stats().lostAtClose` counts the records that could not
	 * be written.
	 */
	close(): Promise<void> {
		this.#closing ??= this.#close()
		return this.#closing
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
			rotationFailures: this.#upkeep.rotationFailures,
			clockFailures: this.#options.clock.failures,
			...this.#writer.stats(),
		}
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

	/** Whether everything taken over is with the operating system now. */
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
		if (this.#rotates) this.#upkeep.whenDue()
		return true
	}

	/** Begins the sync that the durability asks for behind a write. */
	#syncAsPromised(): void {
		const { policy } = this.#options
		const { writtenSeq, durableSeq, unsyncedBytes } = this.#writer
		if (durableSeq >= writtenSeq) return
		const isDue =
			policy === undefined ||
			writtenSeq - durableSeq >= policy.everyRecords ||
			unsyncedBytes >= policy.everyBytes
		if (isDue)
			this.#sync().catch(() => {}) // it has been announced, and committedSeq stays where it is
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

	/** One promise for all who wait for the same sync of the writer. */
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
			warn('CHAIN_FAILING', `${error.message}; the service goes on, records wait in memory`)
		}
		this.#failure = error
		report('failing', { source: this, error })
		if (error.code === 'CHAIN_TAKEN_OVER' || this.#retryTimer !== undefined) return
		this.#retryTimer = setTimeout(() => {
			this.#retryTimer = undefined
			if (this.#closing === undefined) this.#tryAgain()
		}, this.#retryMs)
		this.#retryTimer.unref()
		this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX)
	}

	/** What a failed sync has left in doubt goes into a new file, what a failed write has left in memory into the file. */
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
		this.#retryMs = RETRY_MS_MIN
		clearTimeout(this.#retryTimer)
		this.#retryTimer = undefined
		warn('CHAIN_RECOVERED', `${show(this.path)} can be written again; everything that waited is written`)
		report('recovered', { source: this })
	}

	async #close(): Promise<void> {
		clearTimeout(this.#retryTimer)
		clearTimeout(this.#policyTimer)
		this.#upkeep.end()
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
			// No sync may still be under way when the file is let go of; and it writes once more.
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

	/** The process ends: everything is written now, with a clean-close mark behind it. */
	#writeOnExit(): void {
		try {
			this.#writer.write()
			if (this.#exitCode !== undefined) this.#writer.writeClosingAnchor(this.#exitCode)
			if (this.durability === 'disk' || this.#options.policy !== undefined) this.#writer.syncOnExit()
		} catch (error) {
			this.#failure = error as MeshChainError
		}
	}

	#tellRecovery(recovery: ChainRecovery | undefined): void {
		if (recovery === undefined) return
		report('recovery', { source: this, recovery })
		const warning = recoveryWarning(this.path, recovery)
		if (warning !== undefined) warn(warning.code, warning.text)
	}
}
