/**
 * Records as JSON Lines: one line each, written by one call before `append` returns.
 *
 * What a killed writer left half-way at the end of the file stays there, and a newline goes before the next line: a reader sees a line
 * that is torn, never one that is glued together.
 */
import type { LogChainAppender } from '../appender.ts'
import { LogAppendError, MeshChainError, messageOf } from '../errors.ts'
import {
	closeQuietly,
	type FileSystem,
	O_CREAT,
	O_NOFOLLOW,
	O_RDWR,
	readFully,
	systemCode,
	writeFully,
} from '../file-system.ts'
import { SLOW_CLOSE_TIMEOUT_MS } from '../limits.ts'
import { checkPath } from '../options.ts'
import { type LogRecord, show } from '../record.ts'
import { type JsonlOptions, resolveJsonlOptions } from './jsonl-options.ts'
import type { LineFormat } from './line-format.ts'
import { LineReader } from './line-reader.ts'

const NEWLINE = 0x0a
/** What every chain begins with. */
const CHAIN_LEAD = Buffer.concat([Buffer.from([0x99, 0xaa]), Buffer.from('mesh-chain')])

export interface JsonlStats {
	/** Lines written. */
	readonly written: number
	/** Records that the form has no place for: they are in no line. */
	readonly unsupported: number
	/** Writes that failed; the loop tries their records again. */
	readonly failures: number
	/** Whether the file ended within a line when it was opened. */
	readonly foundTorn: boolean
}

/**
 * Appends to a file of JSON Lines, which is made when it is missing. One writer at a time: nothing keeps out a second one.
 *
 * In mesh-chain's own form the file goes on where it ended: `nextSeq` is behind its last record, and `epoch` is the next one.
 *
 * @example
 * ```ts
 * import { JsonlAppender, MeshLoop } from 'mesh-chain'
 *
 * const loop = new MeshLoop(new JsonlAppender('node.jsonl'))
 * loop.info('listening', { port: 8080 })
 * await loop.close()
 * ```
 */
export class JsonlAppender implements LogChainAppender {
	readonly path: string
	readonly durability = 'os'
	/** A disk may be slow: a loop waits for it longer than for others. */
	readonly closeTimeoutMs = SLOW_CLOSE_TIMEOUT_MS
	readonly nextSeq: number
	readonly epoch: number
	readonly #system: FileSystem
	readonly #format: LineFormat
	readonly #fd: number
	#size: number
	/** The file ends within a line. */
	#endsTorn: boolean
	#closing: Promise<void> | undefined
	readonly #stats = { written: 0, unsupported: 0, failures: 0, foundTorn: false }

	/** @throws {MeshChainError} `INVALID_OPTION`, `INVALID_PATH`, `FILE_UNREADABLE`. */
	constructor(path: string, options: JsonlOptions = {}) {
		const { format, lineBytesMax, mode, system } = resolveJsonlOptions(options)
		this.path = checkPath('a file of JSON Lines', path)
		this.#system = system
		this.#format = format
		this.#fd = openFile(system, path, mode)
		try {
			this.#size = system.fstatSync(this.#fd).size
			this.#endsTorn = this.#size > 0 && readFully(system, this.#fd, 1, this.#size - 1)[0] !== NEWLINE
			this.#stats.foundTorn = this.#endsTorn
			refuseChain(system, this.#fd, path)
			const last = lastRecord(system, this.#fd, this.#size, format, lineBytesMax)
			this.nextSeq = (last?.seq ?? 0) + 1
			this.epoch = (last?.epoch ?? 0) + 1
		} catch (error) {
			closeQuietly(system, this.#fd)
			throw unwritable(path, error)
		}
	}

	/** @throws {LogAppendError} when it could not be written; nothing of it is left in the file where that can be cut. */
	append(record: LogRecord): void {
		if (this.#closing !== undefined) {
			throw new LogAppendError(`${show(this.path)} is closed`, {
				code: 'APPENDER_CLOSED',
				retryable: false,
				path: this.path,
				seq: record.seq,
			})
		}
		const text = this.#format.write(record)
		if (text === undefined) {
			this.#stats.unsupported++
			return
		}
		const bytes = Buffer.from(`${this.#endsTorn ? '\n' : ''}${text}\n`)
		try {
			writeFully(this.#system, this.#fd, bytes, this.#size)
		} catch (error) {
			this.#stats.failures++
			this.#cutBack()
			throw new LogAppendError(`${show(this.path)}: ${messageOf(error)}`, {
				path: this.path,
				seq: record.seq,
				cause: error,
			})
		}
		this.#size += bytes.length
		this.#endsTorn = false
		this.#stats.written++
	}

	stats(): JsonlStats {
		return { ...this.#stats }
	}

	/** @throws {MeshChainError} `SYNC_FAILED`. */
	sync(): Promise<void> {
		return this.#closing ?? this.#syncNow()
	}

	async #syncNow(): Promise<void> {
		try {
			await this.#system.fdatasync(this.#fd)
		} catch (error) {
			const text = `cannot sync ${show(this.path)}: ${messageOf(error)}`
			throw new MeshChainError('SYNC_FAILED', text, { path: this.path, cause: error })
		}
	}

	close(): Promise<void> {
		this.#closing ??= this.#close()
		return this.#closing
	}

	async #close(): Promise<void> {
		try {
			await this.#syncNow()
		} finally {
			closeQuietly(this.#system, this.#fd)
		}
	}

	/** Takes half a line back; where that fails too it stays, as a torn line. */
	#cutBack(): void {
		try {
			this.#system.ftruncateSync(this.#fd, this.#size)
		} catch {
			this.#size = sizeOf(this.#system, this.#fd) ?? this.#size
			this.#endsTorn = true
		}
	}
}

/** @throws {MeshChainError} `FILE_UNREADABLE` for a chain: lines in it would be damage. */
function refuseChain(system: FileSystem, fd: number, path: string): void {
	if (!readFully(system, fd, CHAIN_LEAD.length, 0).equals(CHAIN_LEAD)) return
	throw new MeshChainError('FILE_UNREADABLE', `${show(path)} is a chain, not JSON Lines: name another file`, {
		path,
	})
}

/** Read too: the end of the file is looked at. */
function openFile(system: FileSystem, path: string, mode: number): number {
	try {
		return system.openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW, mode)
	} catch (error) {
		throw unwritable(path, error)
	}
}

function sizeOf(system: FileSystem, fd: number): number | undefined {
	try {
		return system.fstatSync(fd).size
	} catch {
		return undefined
	}
}

/** The record of the last line that is one, among those at the end of a file. */
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
		// The line before the first newline may have begun earlier.
		const whole = start === 0 ? bytes : bytes.subarray(bytes.indexOf(NEWLINE) + 1)
		const last = lastOf(whole, format, lineBytesMax)
		if (last !== undefined || start === 0 || length === 2 * lineBytesMax) return last
	}
}

function lastOf(bytes: Buffer, format: LineFormat, lineBytesMax: number) {
	let last: LogRecord | undefined
	// Only the form knows whether its lines bring their own seqs.
	const numbered: LineFormat = {
		...format,
		read(fields, text) {
			const reading = format.read(fields, text)
			return 'record' in reading ? reading : { skipped: 'unknownKind' }
		},
	}
	const reader = new LineReader(numbered, lineBytesMax, () => {})
	for (const record of reader.push(bytes)) last = record
	for (const record of reader.end()) last = record
	return last
}

function unwritable(path: string, error: unknown): MeshChainError {
	if (error instanceof MeshChainError) return error
	const advice =
		systemCode(error) === 'ELOOP' ? 'it is a symbolic link: name the file itself' : messageOf(error)
	return new MeshChainError('FILE_UNREADABLE', `cannot open ${show(path)} for writing: ${advice}`, {
		path,
		cause: error,
	})
}
