/**
 * Stores the cursor of a consumer in a file next to the chain. The file has two lines of 256 bytes, each with
 * a checksum. The lines are written alternately. A kill or a power loss destroys at most the line that was
 * being written. At most one consumer with a given name uses the file at a time.
 *
 * Invariant: the last saved cursor is in the file at `path`, and no other process holds the lock on the name.
 * Both conditions are checked before each save.
 */
import { createHash } from 'node:crypto'
import { dirname } from 'node:path'
import { show } from '../guard/show.ts'
import { MeshChainError, messageOf } from '../model/errors.ts'
import { SEQ_MAX } from '../model/limits.ts'
import { isEpoch, isSeq } from '../model/record.ts'
import {
	closeQuietly,
	type FileStat,
	type FileSystem,
	isNamed,
	O_CREAT,
	O_RDWR,
	openOurs,
	readFully,
	syncDirectory,
	writeFully,
} from '../platform/file-system.ts'
import { type LockHolder, NameLock } from './name-lock.ts'

const LINE_BYTES = 256
/** Start of the first line that is written to a file. No later line starts with this string. */
const FIRST_LEAD = '{"turn":0,'

/** Epoch and seq of the last handled record; both are 0 before the first one. */
export interface ConsumerCursor {
	/** Epoch of the record. */
	readonly epoch: number
	/** Seq of the record. */
	readonly seq: number
}

interface Line extends ConsumerCursor {
	readonly chainId: string
	/** Number of lines written before this one. */
	readonly turn: number
}

/** The file of one cursor, and the lock on its name. */
export class CursorFile {
	readonly path: string
	readonly #system: FileSystem
	readonly #chainId: string
	readonly #lock: NameLock
	/** File descriptor; undefined if the file must be opened again. */
	#fd: number | undefined
	/** Status of the file when it was opened. */
	#stat: FileStat | undefined
	#turn = 0
	/**
	 * Whether this process has synced the directory entry of the file. The process that created the file may
	 * have been killed before it synced the entry.
	 */
	#isNamed = false
	/** Cursor from the file; undefined for a new file. */
	readonly found: ConsumerCursor | undefined

	/**
	 * Locks the name and opens the file.
	 *
	 * @throws {MeshChainError} `CURSOR_IN_USE`, `CURSOR_MISMATCH`, `CURSOR_DAMAGED`, `CURSOR_FAILED`.
	 */
	constructor(system: FileSystem, path: string, chainId: string, holder: LockHolder = 'consumer') {
		this.path = path
		this.#system = system
		this.#chainId = chainId
		this.#lock = locked(system, path, holder)
		try {
			const line = this.#open()
			this.found = line === undefined ? undefined : { epoch: line.epoch, seq: line.seq }
		} catch (error) {
			this.#lock.release()
			throw failed(path, error)
		}
	}

	/** Whether the file with the last saved cursor is still at its path. */
	get isKept(): boolean {
		try {
			return this.#isOpen
		} catch {
			return false
		}
	}

	get #isOpen(): boolean {
		return this.#fd !== undefined && isNamed(this.#system, this.path, this.#stat!)
	}

	/**
	 * Saves a cursor on disk. If the file was removed or replaced, opens the file at the path, or creates a new
	 * one.
	 *
	 * @throws {MeshChainError} `CURSOR_FAILED`, `CURSOR_IN_USE`, `CURSOR_MISMATCH`, `CURSOR_DAMAGED`. A failed
	 * save does not destroy the previously saved cursor.
	 */
	async save({ epoch, seq }: ConsumerCursor): Promise<void> {
		try {
			this.#lock.keep()
			if (!this.#isOpen) this.#open()
			const fd = this.#fd!
			const line = encode({ turn: this.#turn, chainId: this.#chainId, epoch, seq })
			writeFully(this.#system, fd, line, (this.#turn % 2) * LINE_BYTES)
			await this.#system.fdatasync(fd)
			if (!this.#isNamed) syncDirectory(this.#system, dirname(this.path))
			this.#isNamed = true
			this.#turn++
		} catch (error) {
			throw failed(this.path, error)
		}
	}

	/**
	 * Closes the file and releases the lock.
	 *
	 * @throws {MeshChainError} `CURSOR_FAILED` if the lock file cannot be removed.
	 */
	close(): void {
		this.#letGo()
		try {
			this.#lock.release()
		} catch (error) {
			throw failed(this.path, error)
		}
	}

	/** Opens or creates the file. The next save continues after the newest line in the file. */
	#open(): Line | undefined {
		this.#letGo()
		const { path } = this
		const fd = openOurs(this.#system, path, O_RDWR | O_CREAT, 0o600)
		try {
			const line = newest(readFully(this.#system, fd, 2 * LINE_BYTES, 0), path)
			if (line !== undefined && line.chainId !== this.#chainId)
				throw mismatch(path, line.chainId, this.#chainId)
			this.#stat = this.#system.fstatSync(fd)
			this.#turn = line === undefined ? 0 : line.turn + 1
			this.#isNamed = false
			this.#fd = fd
			return line
		} catch (error) {
			closeQuietly(this.#system, fd)
			throw error
		}
	}

	#letGo(): void {
		if (this.#fd !== undefined) closeQuietly(this.#system, this.#fd)
		this.#fd = undefined
	}
}

function encode({ turn, chainId, epoch, seq }: Line): Buffer {
	const fields = { turn, chainId, epoch, seq }
	const text = JSON.stringify({ ...fields, sum: sumOf(fields) })
	return Buffer.from(`${text.padEnd(LINE_BYTES - 1)}\n`)
}

/**
 * Returns the newest valid line; undefined if the first line was never completely written.
 *
 * @throws {MeshChainError} `CURSOR_DAMAGED`
 */
function newest(bytes: Buffer, path: string): Line | undefined {
	const lines = [0, LINE_BYTES].map((at) => decode(bytes.subarray(at, at + LINE_BYTES)))
	const valid = lines.filter((line) => line !== undefined).sort((a, b) => b.turn - a.turn)
	if (valid.length > 0 || isUnfinished(bytes)) return valid[0]
	throw new MeshChainError(
		'CURSOR_DAMAGED',
		`${show(path)} is damaged: restore a copy, or remove the file to start again from the first record`,
		{ path },
	)
}

/**
 * Returns whether the file contains at most an incomplete first line, because of a full disk, a kill or a
 * power loss. Such a line was never acknowledged.
 */
function isUnfinished(bytes: Buffer): boolean {
	if (bytes.every((byte) => byte === 0)) return bytes.length <= LINE_BYTES
	const text = bytes.subarray(0, FIRST_LEAD.length).toString()
	return bytes.length < LINE_BYTES && FIRST_LEAD.startsWith(text)
}

function decode(bytes: Buffer): Line | undefined {
	try {
		const { sum, ...fields } = JSON.parse(bytes.toString()) as Line & { sum: unknown }
		const isWhole = isEpoch(fields.epoch, 0) && isSeq(fields.seq, 0) && isTurn(fields.turn)
		return isWhole && sum === sumOf(fields) ? fields : undefined
	} catch {
		return undefined
	}
}

/** Returns whether a turn is valid. The limit leaves room for later turns, which must be exact integers. */
function isTurn(turn: unknown): boolean {
	return isSeq(turn, 0) && turn <= SEQ_MAX / 2
}

function sumOf({ turn, chainId, epoch, seq }: Line): string {
	return createHash('sha256').update(`${turn} ${chainId} ${epoch} ${seq}`).digest('hex').slice(0, 8)
}

function locked(system: FileSystem, path: string, holder: LockHolder): NameLock {
	try {
		return new NameLock(system, path, holder)
	} catch (error) {
		throw failed(path, error)
	}
}

function mismatch(path: string, found: string, expected: string): MeshChainError {
	const what = `${show(path)} belongs to chain ${found}, not to chain ${expected}`
	const advice = 'if the chain was replaced on purpose, remove the file to start again from the first record'
	return new MeshChainError('CURSOR_MISMATCH', `${what}: ${advice}`, { path })
}

function failed(path: string, error: unknown): MeshChainError {
	if (error instanceof MeshChainError) return error
	return new MeshChainError('CURSOR_FAILED', `cannot save ${show(path)}: ${messageOf(error)}`, {
		path,
		cause: error,
	})
}
