/**
 * Stores the state and position of a projection in a file that is always complete. The file is written under
 * a temporary name, synced and renamed. Only one process at a time can hold the lock on the name.
 */
import { fromJson, toJson } from '../codec/json-dialect.ts'
import { show } from '../guard/show.ts'
import { MeshChainError, messageOf } from '../model/errors.ts'
import { isEpoch, isSeq } from '../model/record.ts'
import { replaceFile, requireSynced } from '../platform/atomic-file.ts'
import {
	closeQuietly,
	type FileStat,
	type FileSystem,
	isSameFile,
	O_CREAT,
	O_RDONLY,
	O_TRUNC,
	O_WRONLY,
	openOurs,
	readFully,
	systemCode,
	writeFully,
} from '../platform/file-system.ts'
import { NameLock } from './name-lock.ts'

/** The contents of a snapshot. */
export interface Snapshot<S> {
	readonly epoch: number
	readonly seq: number
	/** Number of records up to `seq` that are absent from the chain, and therefore not part of the state. */
	readonly absent: number
	readonly state: S
}

/** The file of one projection, and the lock on its name. */
export class SnapshotFile<S> {
	readonly path: string
	readonly #system: FileSystem
	readonly #chainId: string
	readonly #lock: NameLock
	/** Status of the file after the last read or write. */
	#stat: FileStat | undefined

	/** Locks the name. @throws {MeshChainError} `CURSOR_IN_USE`, `CURSOR_FAILED`. */
	constructor(system: FileSystem, path: string, chainId: string) {
		this.path = path
		this.#system = system
		this.#chainId = chainId
		this.#lock = this.#acquire()
	}

	/**
	 * Returns the snapshot, or undefined if there is none.
	 *
	 * @throws {MeshChainError} `CURSOR_MISMATCH`, `CURSOR_DAMAGED`, `CURSOR_FAILED`.
	 */
	read(): Snapshot<S> | undefined {
		const { path } = this
		let text: string
		try {
			text = this.#readText()
		} catch (error) {
			if (systemCode(error) === 'ENOENT') return undefined
			throw this.#failed(error)
		}
		const found = parse(text)
		if (found === undefined) {
			const advice = 'remove the file to start again from the first record'
			throw new MeshChainError(
				'CURSOR_DAMAGED',
				`${show(path)} is not a snapshot of a projection: ${advice}`,
				{
					path,
				},
			)
		}
		if (found.chainId === this.#chainId) return found as unknown as Snapshot<S>
		const mismatch =
			`${show(path)} belongs to chain ${show(found.chainId)}, not to chain ${this.#chainId}: ` +
			'if the chain was replaced on purpose, remove the file'
		throw new MeshChainError('CURSOR_MISMATCH', mismatch, { path })
	}

	#readText(): string {
		const fd = openOurs(this.#system, this.path, O_RDONLY)
		try {
			this.#stat = this.#system.fstatSync(fd)
			return readFully(this.#system, fd, this.#stat.size, 0).toString()
		} finally {
			closeQuietly(this.#system, fd)
		}
	}

	/**
	 * Whether the file has the same identity and size as after the last read or write; true before the first
	 * read or write.
	 */
	get isKept(): boolean {
		if (this.#stat === undefined) return true
		try {
			const found = this.#system.statSync(this.path)
			// The size is also compared, because the file is not kept open and its inode number may have been
			// reused.
			return isSameFile(found, this.#stat) && found.size === this.#stat.size
		} catch {
			return false
		}
	}

	/**
	 * Writes a snapshot.
	 *
	 * @throws {MeshChainError} `CURSOR_FAILED`, `CURSOR_IN_USE`, `INVALID_STATE`. After an error, the file
	 * contains either the previous or the new snapshot.
	 */
	write({ epoch, seq, absent, state }: Snapshot<S>): void {
		const temporary = `${this.path}.tmp`
		try {
			this.#lock.keep()
			const fields = { chainId: this.#chainId, epoch, seq, absent, state: plainState(state) }
			const bytes = Buffer.from(`${toJson(fields)}\n`)
			let stat: FileStat
			const fd = openOurs(this.#system, temporary, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
			try {
				writeFully(this.#system, fd, bytes, 0)
				this.#system.fsyncSync(fd)
				stat = this.#system.fstatSync(fd)
			} finally {
				closeQuietly(this.#system, fd)
			}
			const placed = replaceFile(this.#system, temporary, this.path)
			this.#stat = stat
			requireSynced(placed)
		} catch (error) {
			throw this.#failed(error)
		}
	}

	close(): void {
		this.#lock.release()
	}

	#acquire(): NameLock {
		try {
			return new NameLock(this.#system, this.path, 'projection')
		} catch (error) {
			throw this.#failed(error)
		}
	}

	#failed(error: unknown): MeshChainError {
		if (error instanceof MeshChainError) return error
		const text = `cannot save ${show(this.path)}: ${messageOf(error)}`
		return new MeshChainError('CURSOR_FAILED', text, { path: this.path, cause: error })
	}
}

/**
 * Returns the state if it survives a round trip through JSON, or null if the state is undefined.
 *
 * @throws {MeshChainError} `INVALID_STATE` if the state does not survive, for example because it contains a
 * function, a map or a class instance.
 */
function plainState(state: unknown): unknown {
	if (state === undefined) return null
	if (!isPlain(state)) {
		throw new MeshChainError(
			'INVALID_STATE',
			'the state of a projection must be plain data: ' +
				'objects, arrays, strings, numbers, bigints, dates and bytes',
		)
	}
	return state
}

function isPlain(value: unknown): boolean {
	if (typeof value === 'function' || typeof value === 'symbol') return false
	if (typeof value !== 'object' || value === null) return true
	if (value instanceof Date || value instanceof Uint8Array) return true
	if (Array.isArray(value)) return value.every(isPlain)
	const prototype: unknown = Object.getPrototypeOf(value)
	return (prototype === Object.prototype || prototype === null) && Object.values(value).every(isPlain)
}

function parse(text: string): (Snapshot<unknown> & { readonly chainId: string }) | undefined {
	try {
		const found = fromJson(text) as Partial<Snapshot<unknown> & { chainId: string }> | null
		const isWhole = isEpoch(found?.epoch, 0) && isSeq(found?.seq, 0) && isSeq(found?.absent, 0)
		return isWhole && typeof found?.chainId === 'string' && 'state' in found ? (found as never) : undefined
	} catch {
		return undefined
	}
}
