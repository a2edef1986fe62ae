/**
 * An appender for JSON Lines. `append` writes each record as one line, with one system call, before it
 * returns.
 */
import type { LogChainAppender } from '../appender.ts'
import { show } from '../guard/show.ts'
import { checkPath } from '../model/check.ts'
import { type ErrorCode, LogAppendError, MeshChainError, messageOf } from '../model/errors.ts'
import { SLOW_CLOSE_TIMEOUT_MS } from '../model/limits.ts'
import type { LogRecord } from '../model/record.ts'
import { warn } from '../platform/diagnostics.ts'
import { onExit } from '../platform/exit-hook.ts'
import { type FileSystem, readFully } from '../platform/file-system.ts'
import { counted } from '../text/numbers.ts'
import { type JsonlOptions, resolveJsonlOptions } from './jsonl-options.ts'
import { type FileChanges, LineFile, type LineLoss } from './line-file.ts'
import { type LineFormat, lineBy, readingBy } from './line-format.ts'
import { LineReader } from './line-reader.ts'

const NEWLINE = 0x0a

/** Counters of a {@link JsonlAppender}. */
export interface JsonlStats {
	/** Number of lines written. */
	readonly written: number
	/** Number of records that the format cannot represent as a line. */
	readonly unsupported: number
	/** Number of failed writes. The loop retries the records. */
	readonly failures: number
	/** Whether the file ended with an incomplete line when it was opened. */
	readonly foundTorn: boolean
	/** Number of times that other programs renamed, removed or truncated the file. */
	readonly changes: FileChanges
	/** Number of lines that were written again to a new file because their file was removed. */
	readonly rewritten: number
	/**
	 * Number of lines that were written but are not in any file known to the appender. A line is lost if
	 * another program truncates the file or overwrites the line before the next check, or if no file accepts
	 * the line before `close()`. A copy of the file made before a truncation may contain the line.
	 */
	readonly lost: number
}

/**
 * Appends to a JSON Lines file, and creates it if it is missing.
 *
 * Any number of processes can append to the same file, as with `>>`, because each line is a single write to
 * the end of the file. Each process assigns its own seqs, so records from different processes can have the
 * same seq. Use `nodeId` to distinguish them. In mesh-chain's own format, an appender continues the existing
 * history: `nextSeq` is one higher than the seq of the last record, and `epoch` is one higher than the epoch
 * of that record.
 *
 * Other programs can rename, remove, replace or truncate the file. The appender detects this within 100 ms
 * after a write, and always before `flush`, `sync` and `close` return. It then continues in a new file under
 * the same name, or at the new end of a truncated file. If the file was removed, the appender writes all
 * lines since the last check to the new file. If the file was truncated, the appender counts the lines that
 * were lost since the last check (`stats().lost`). The first loss from each cause emits a process warning.
 *
 * @example
 * ```ts
 * import { JsonlAppender, MeshLoop } from 'mesh-chain'
 *
 * const appender = new JsonlAppender('node.jsonl')
 * const loop = new MeshLoop(appender)
 * process.on('SIGHUP', () => appender.reopen()) // logrotate has renamed the file
 * loop.info('listening', { port: 8080 })
 * await loop.close()
 * ```
 */
export class JsonlAppender implements LogChainAppender {
	readonly path: string
	readonly durability = 'os'
	/** Time limit for closing in milliseconds. It is longer than the default, because a disk can be slow. */
	readonly closeTimeoutMs = SLOW_CLOSE_TIMEOUT_MS
	readonly nextSeq: number
	readonly epoch: number
	readonly #format: LineFormat
	readonly #file: LineFile
	readonly #forgetExit: () => void
	readonly #stats = { written: 0, unsupported: 0, failures: 0 }
	readonly #toldLosses = new Set<LineLoss>()
	#closing: Promise<void> | undefined

	/** @throws {MeshChainError} `INVALID_OPTION`, `INVALID_PATH`, `FILE_UNWRITABLE`. */
	constructor(path: string, options: JsonlOptions = {}) {
		const { format, lineBytesMax, mode, system } = resolveJsonlOptions(options)
		this.path = checkPath('a file of JSON Lines', path)
		this.#format = format
		this.#file = new LineFile(system, path, mode, {
			lost: (cause, lines) => this.#tellLost(cause, lines),
			failing: (error) =>
				warn('APPENDER_FAILING', this.#error('WRITE_FAILED', 'cannot write', error).message),
		})
		const last = this.#file.read((fd, size) => lastRecord(system, fd, size, format, lineBytesMax))
		this.nextSeq = (last?.seq ?? 0) + 1
		this.epoch = (last?.epoch ?? 0) + 1
		this.#forgetExit = onExit('chain', () => this.#file.look())
	}

	/**
	 * Writes one line.
	 *
	 * @throws {LogAppendError} `APPEND_FAILED`, which is retryable unless the format failed, or
	 * `APPENDER_CLOSED`, which is not retryable.
	 */
	append(record: LogRecord): void {
		if (this.#closing !== undefined) {
			throw new LogAppendError(`${show(this.path)} is closed`, {
				code: 'APPENDER_CLOSED',
				retryable: false,
				path: this.path,
				seq: record.seq,
			})
		}
		const text = this.#lineOf(record)
		if (text === undefined) {
			this.#stats.unsupported++
			return
		}
		try {
			this.#file.append(text)
		} catch (error) {
			this.#stats.failures++
			throw new LogAppendError(`${show(this.path)}: ${messageOf(error)}`, {
				path: this.path,
				seq: record.seq,
				cause: error,
			})
		}
		this.#stats.written++
	}

	#lineOf(record: LogRecord): string | undefined {
		try {
			return lineBy(this.#format, record)
		} catch (error) {
			throw new LogAppendError(`${show(this.path)}: ${messageOf(error)}`, {
				retryable: false,
				path: this.path,
				seq: record.seq,
				cause: error,
			})
		}
	}

	stats(): JsonlStats {
		const { foundTorn, changes, rewritten, lost } = this.#file
		return { ...this.#stats, foundTorn, changes: { ...changes }, rewritten, lost }
	}

	/**
	 * Ensures that every line is in the file at `path` or in a renamed file, or is counted as lost.
	 *
	 * @throws {MeshChainError} `WRITE_FAILED`. The lines remain in memory, and the write is retried.
	 */
	flush(): void {
		if (this.#closing !== undefined) return
		try {
			this.#file.look()
		} catch (error) {
			throw this.#error('WRITE_FAILED', 'cannot write', error)
		}
	}

	/**
	 * Continues in the file at `path`, and creates the file if it does not exist. Call this method when the
	 * process receives the signal that logrotate sends after renaming the file. Without this call, the rename
	 * is detected within 100 ms after the next write.
	 *
	 * @throws {MeshChainError} `APPENDER_CLOSED` after {@link close}, or `WRITE_FAILED`. After `WRITE_FAILED`,
	 * the next write retries the operation.
	 */
	reopen(): void {
		if (this.#closing !== undefined)
			throw new MeshChainError('APPENDER_CLOSED', `${show(this.path)} is closed`, { path: this.path })
		this.flush()
	}

	/**
	 * Resolves when every line written before this call is on disk, including lines in files that have been
	 * renamed.
	 *
	 * @throws {MeshChainError} `SYNC_FAILED`.
	 */
	sync(): Promise<void> {
		return this.#closing ?? this.#syncNow()
	}

	async #syncNow(): Promise<void> {
		try {
			await this.#file.sync()
		} catch (error) {
			throw this.#error('SYNC_FAILED', 'cannot sync', error)
		}
	}

	/**
	 * Syncs and closes the file. Further calls return the same promise.
	 *
	 * @throws {MeshChainError} `SYNC_FAILED`, or `CLOSE_FAILED` if lines from a removed file could not be
	 * written again and are lost.
	 */
	close(): Promise<void> {
		this.#closing ??= this.#close()
		return this.#closing
	}

	async #close(): Promise<void> {
		this.#forgetExit()
		let failure: unknown
		await this.#syncNow().catch((error) => {
			failure = error
		})
		const { lost } = this.#file
		await this.#file.close()
		if (this.#file.lost > lost) {
			throw this.#error(
				'CLOSE_FAILED',
				`${counted(this.#file.lost - lost, 'line is', 'lines are')} lost: cannot write`,
				failure,
			)
		}
		if (failure !== undefined) throw failure
	}

	#error(code: ErrorCode, what: string, error: unknown): MeshChainError {
		const text = `${what} ${show(this.path)}: ${messageOf(error)}`
		return new MeshChainError(code, text, { path: this.path, cause: error })
	}

	#tellLost(cause: LineLoss, lines: number): void {
		if (this.#toldLosses.has(cause)) return
		this.#toldLosses.add(cause)
		const what = `${show(this.path)}: ${counted(lines, 'line is', 'lines are')} lost`
		warn('LINES_LOST', `${what}, ${LOSS_TEXTS[cause]}; further losses with this cause are only counted`)
	}
}

const LOSS_TEXTS: Readonly<Record<LineLoss, string>> = {
	truncated:
		'because another program truncated the file; a copy made by that program may contain them (copytruncate)',
	overwritten: 'because another program overwrote them',
	close: 'because their file was removed and they could not be written to a new file before closing',
}

/** Returns the last record in a file, ignoring lines without a seq. */
function lastRecord(
	system: FileSystem,
	fd: number,
	size: number,
	format: LineFormat,
	lineBytesMax: number,
): Pick<LogRecord, 'seq' | 'epoch'> | undefined {
	for (let length = 64 * 1024; ; length = Math.min(length * 8, 2 * lineBytesMax)) {
		const start = Math.max(0, size - length)
		const bytes = readFully(system, fd, size - start, start)
		// The first line is skipped, because it may be incomplete.
		const whole = start === 0 ? bytes : bytes.subarray(bytes.indexOf(NEWLINE) + 1)
		const last = lastOf(whole, format, lineBytesMax)
		if (last !== undefined || start === 0 || length === 2 * lineBytesMax) return last
	}
}

function lastOf(bytes: Buffer, format: LineFormat, lineBytesMax: number) {
	let last: LogRecord | undefined
	// Accepts only lines that the format reads as records with their own seqs.
	const numbered: LineFormat = {
		name: 'numbered',
		write: () => undefined,
		read(fields, text) {
			const reading = readingBy(format, fields, text)
			return 'record' in reading ? reading : { skipped: 'unknownKind' }
		},
	}
	const reader = new LineReader(numbered, lineBytesMax, () => {})
	for (const record of reader.push(bytes)) last = record
	for (const record of reader.end()) last = record
	return last
}
