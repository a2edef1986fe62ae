/**
 * The appender whose chain is a file: decides when the writer writes and syncs, and keeps the service running while
 * the disk does not.
 */
import { basename, dirname, join, resolve } from 'node:path'
import type { LogChainAppender } from '../appender.ts'
import { LogAppendError, MeshChainError, messageOf } from '../errors.ts'
import { isExiting, onExit } from '../exit-hook.ts'
import { PENDING_BYTES_DEFAULT, RETRY_MS_MAX, RETRY_MS_MIN } from '../limits.ts'
import { checkOptionNames, checkWholeNumber } from '../options.ts'
import { LOG_LEVELS, type LogLevel, type LogRecord, levelIndex, show } from '../record.ts'
import { report, warn } from '../report.ts'
import { type FileSystem, nodeFileSystem, systemCode } from './file-system.ts'
import { ChainWriter, type ChainWriterStats } from './writer.ts'

/** With more than this unwritten, the turn's end is not waited for. */
const WRITE_BYTES_TARGET = 64 * 1024

export interface FileChainOptions {
	/**
	 * What a committed record survives. `'os'` (default): a killed process; records are with the operating system before any
	 * immediate queued after them runs. `'disk'`: a power loss; each write is followed by an fdatasync.
	 */
	readonly durability?: 'os' | 'disk'
	/** A record at this level or above is written before `append` returns. Default `'error'`. */
	readonly writeThrough?: LogLevel
	/** Permissions of a file that is created. Default `0o600`. */
	readonly mode?: number
	/** Bytes that wait in memory while the disk fails; beyond it appends are refused as retryable. Default 16 MiB. */
	readonly pendingBytesMax?: number
	/** Times of opening and closing. Default `Date.now`. */
	readonly clock?: () => number
	readonly fs?: FileSystem
}

type ResolvedOptions = Required<FileChainOptions>

const DEFAULTS: ResolvedOptions = Object.freeze({
	durability: 'os',
	writeThrough: 'error',
	mode: 0o600,
	pendingBytesMax: PENDING_BYTES_DEFAULT,
	clock: Date.now,
	fs: nodeFileSystem,
})

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
	readonly #writer: ChainWriter
	readonly #options: ResolvedOptions
	readonly #writeThroughIndex: number
	readonly #forgetExit: () => void
	#turnScheduled = false
	#retryTimer: NodeJS.Timeout | undefined
	#retryMs = RETRY_MS_MIN
	#failure: MeshChainError | undefined
	#closing: Promise<void> | undefined
	#exitCode: number | undefined
	#lostAtClose = 0
	#lastSync: { readonly writerSync: Promise<void>; readonly handled: Promise<void> } | undefined

	/**
	 * @param path where the chain is; `{pid}` becomes the process id.
	 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_LEVEL`, `INVALID_PATH`, `CHAIN_LOCKED`, `CHAIN_UNREADABLE`,
	 * `NOT_A_CHAIN`, `HEADER_DAMAGED`, `NEWER_VERSION`. A file that is no chain is never touched.
	 */
	constructor(path: string, options: FileChainOptions = {}) {
		this.#options = resolveOptions(options)
		const { fs, mode, pendingBytesMax, clock, durability, writeThrough } = this.#options
		this.#writeThroughIndex = levelIndex(writeThrough)
		this.path = resolvePath(path, fs)
		this.#writer = new ChainWriter(this.path, { system: fs, mode, pendingBytesMax, clock })
		if (durability === 'disk') this.#writer.syncOnExit()
		this.#forgetExit = onExit('chain', (exitCode) => this.#onExit(exitCode))
		this.#tellTailCut()
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
	 * @throws {LogAppendError} `PENDING_OVERFLOW` (retryable); `APPENDER_CLOSED`, `SEQ_NOT_INCREASING`, `APPEND_FAILED` (not).
	 */
	append(record: LogRecord): void {
		this.#refuseWhenClosed(record.seq)
		if (!this.#writer.hasRoom) this.#tryWrite()
		this.#writer.push(record)
		this.#afterPush(levelIndex(record.level) >= this.#writeThroughIndex)
	}

	/** Takes all of them over as one frame: after a crash all of them are there or none. */
	appendBatch(records: readonly LogRecord[]): void {
		if (records.length === 0) return
		this.#refuseWhenClosed(records[0]?.seq ?? 0)
		if (!this.#writer.hasRoom) this.#tryWrite()
		this.#writer.pushBatch(records)
		this.#afterPush(records.some((record) => levelIndex(record.level) >= this.#writeThroughIndex))
	}

	/**
	 * Gives everything taken over to the operating system.
	 *
	 * @throws {MeshChainError} `WRITE_FAILED`; the records stay and are tried again.
	 */
	flush(): void {
		if (this.#closing !== undefined) return
		if (!this.#tryWrite() && this.#failure !== undefined) throw this.#failure
	}

	/**
	 * Resolves once everything taken over before this call is on disk, at every durability.
	 *
	 * @throws {MeshChainError} `WRITE_FAILED` or `SYNC_FAILED`.
	 */
	sync(): Promise<void> {
		if (this.#closing !== undefined) return this.#closing
		if (this.#failure?.code === 'WRITE_FAILED' && !this.#tryWrite()) return Promise.reject(this.#failure)
		return this.#sync()
	}

	/**
	 * Writes what waits, leaves the mark of a clean end, syncs, and lets go of file and lock. Idempotent.
	 *
	 * @throws {MeshChainError} `WRITE_FAILED` or `SYNC_FAILED`; the file is let go of all the same, and `stats().lostAtClose`
	 * counts the records that could not be written.
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

	#afterPush(writeThrough: boolean): void {
		if (isExiting()) this.#lastWords()
		else if (writeThrough) this.#tryWrite()
		else if (this.#failure === undefined && this.#writer.pendingBytes >= WRITE_BYTES_TARGET) this.#tryWrite()
		else if (!this.#turnScheduled) {
			this.#turnScheduled = true
			setImmediate(this.#onTurnEnd)
		}
	}

	readonly #onTurnEnd = (): void => {
		this.#turnScheduled = false
		if (this.#closing === undefined) this.#tryWrite()
	}

	/** Whether everything taken over is with the operating system now. */
	#tryWrite(): boolean {
		try {
			this.#writer.write()
		} catch (error) {
			this.#failed(error as MeshChainError)
			return false
		}
		if (this.#writer.syncFailure === undefined || this.durability === 'os') this.#recovered()
		if (this.durability === 'disk' && this.#writer.durableSeq < this.#writer.writtenSeq) {
			this.#sync().catch(() => {}) // it has been announced, and committedSeq stays where it is
		}
		return true
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
		if (error.code !== 'WRITE_FAILED' || this.#retryTimer !== undefined) return
		this.#retryTimer = setTimeout(() => {
			this.#retryTimer = undefined
			if (this.#closing === undefined) this.#tryWrite()
		}, this.#retryMs)
		this.#retryTimer.unref()
		this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX)
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
		this.#forgetExit()
		try {
			this.#writer.markClosed(undefined)
			await this.#writer.sync()
		} catch (error) {
			this.#lostAtClose = this.#writer.pendingRecords
			this.#failure = error as MeshChainError
			// No sync may still be under way when the file is let go of.
			await this.#writer.sync().catch(() => {})
			throw error
		} finally {
			this.#writer.close()
		}
	}

	#onExit(exitCode: number): void {
		this.#exitCode = exitCode
		if (this.#closing === undefined) this.#lastWords()
	}

	/** The process ends: everything is written now, with a clean-close mark behind it. */
	#lastWords(): void {
		try {
			this.#writer.write()
			if (this.#exitCode !== undefined) this.#writer.markClosed(this.#exitCode)
			if (this.durability === 'disk') this.#writer.syncOnExit()
		} catch (error) {
			this.#failure = error as MeshChainError
		}
	}

	#tellTailCut(): void {
		const cut = this.#writer.tailCut
		if (cut === undefined) return
		report('tailCut', { source: this, recovery: cut })
		const what = cut.verdict === 'torn' ? 'a torn tail, normal after a crash' : 'a damaged end'
		warn(
			'TAIL_CUT',
			`${show(this.path)} ended in ${cut.bytes} bytes of ${what}: cut off, and kept at ${show(cut.keptAt)}`,
		)
	}
}

function resolveOptions(options: FileChainOptions): ResolvedOptions {
	checkOptionNames(options, Object.keys(DEFAULTS))
	const resolved = {
		durability: options.durability ?? DEFAULTS.durability,
		writeThrough: options.writeThrough ?? DEFAULTS.writeThrough,
		mode: options.mode ?? DEFAULTS.mode,
		pendingBytesMax: options.pendingBytesMax ?? DEFAULTS.pendingBytesMax,
		clock: options.clock ?? DEFAULTS.clock,
		fs: options.fs ?? DEFAULTS.fs,
	}
	if (resolved.durability !== 'os' && resolved.durability !== 'disk') {
		throw invalidOption('durability', resolved.durability, "'os' or 'disk'")
	}
	if (levelIndex(resolved.writeThrough) < 0) {
		throw new MeshChainError(
			'INVALID_LEVEL',
			`writeThrough: no such level: ${show(resolved.writeThrough)} (one of ${LOG_LEVELS.join(', ')})`,
		)
	}
	if (!Number.isInteger(resolved.mode) || resolved.mode < 0o400 || resolved.mode > 0o777) {
		throw invalidOption('mode', resolved.mode, 'file permissions such as 0o600')
	}
	checkWholeNumber('pendingBytesMax', resolved.pendingBytesMax, 1)
	if (typeof resolved.clock !== 'function') throw invalidOption('clock', resolved.clock, 'a function')
	return resolved
}

function invalidOption(key: string, value: unknown, allowed: string): MeshChainError {
	return new MeshChainError('INVALID_OPTION', `${key} must be ${allowed}, not ${show(value)}`)
}

/** The one name of the file: the lock must be the same whichever way leads there. */
function resolvePath(path: unknown, system: FileSystem): string {
	if (typeof path !== 'string' || path === '' || path.includes('\0')) {
		throw new MeshChainError(
			'INVALID_PATH',
			`the path of a chain must be a non-empty text, not ${show(path)}`,
		)
	}
	const absolute = resolve(path.replaceAll('{pid}', String(process.pid)))
	try {
		return join(system.realpathSync(dirname(absolute)), basename(absolute))
	} catch (error) {
		const reason = systemCode(error) === 'ENOENT' ? 'it does not exist: create it first' : messageOf(error)
		throw new MeshChainError('CHAIN_UNREADABLE', `cannot open the directory of ${show(path)}: ${reason}`, {
			path: absolute,
			cause: error,
		})
	}
}
