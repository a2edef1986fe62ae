/** A projection's state and how far it has come, as one file that is always whole: written beside, synced, and put in its place; nobody else holds its name then. */
import { dirname } from 'node:path'
import { fromJson, toJson } from '../codec/json-dialect.ts'
import { show } from '../guard/show.ts'
import { MeshChainError, messageOf } from '../model/errors.ts'
import { isEpoch, isSeq } from '../model/record.ts'
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
	syncDirectory,
	systemCode,
	writeFully,
} from '../platform/file-system.ts'
import { NameLock } from './name-lock.ts'

export interface Snapshot<S> {
	readonly epoch: number
	readonly seq: number
	/** Records up to there that are not in the state, because the chain does not have them. */
	readonly absent: number
	readonly state: S
}

export class SnapshotFile<S> {
	readonly path: string
	readonly #system: FileSystem
	readonly #chainId: string
	readonly #lock: NameLock
	/** Of the file that was found or written last. */
	#stat: FileStat | undefined

	/** @throws {MeshChainError} `CURSOR_IN_USE`, `CURSOR_FAILED`. */
	constructor(system: FileSystem, path: string, chainId: string) {
		this.path = path
		this.#system = system
		this.#chainId = chainId
		this.#lock = this.#acquire()
	}

	/** @throws {MeshChainError} `CURSOR_MISMATCH`, `CURSOR_DAMAGED`, `CURSOR_FAILED`. */
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
			const advice = 'remove it, and the projection is made again from the first record'
			throw new MeshChainError('CURSOR_DAMAGED', `${show(path)} is no snapshot of a projection: ${advice}`, {
				path,
			})
		}
		if (found.chainId === this.#chainId) return found as unknown as Snapshot<S>
		const text2 = `${show(path)} is about chain ${show(found.chainId)}, and this is chain ${this.#chainId}: remove it if the chain was replaced on purpose`
		throw new MeshChainError('CURSOR_MISMATCH', text2, { path })
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

	/** Whether what was found or written last, if anything, is still to be found by the name of the file, as far as can be seen. */
	get isKept(): boolean {
		if (this.#stat === undefined) return true
		try {
			const found = this.#system.statSync(this.path)
			// Nobody holds it open: its number may be that of another file by now.
			return isSameFile(found, this.#stat) && found.size === this.#stat.size
		} catch {
			return false
		}
	}

	/** @throws {MeshChainError} `CURSOR_FAILED`, `CURSOR_IN_USE`; what was written before stays. */
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
			this.#system.renameSync(temporary, this.path)
			this.#stat = stat
			syncDirectory(this.#system, dirname(this.path))
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
		const text = `cannot keep ${show(this.path)}: ${messageOf(error)}`
		return new MeshChainError('CURSOR_FAILED', text, { path: this.path, cause: error })
	}
}

/**
 * A state that comes back as it is.
 *
 * @throws {MeshChainError} `INVALID_STATE` for one that would not: a function, a map, a class of its own.
 */
function plainState(state: unknown): unknown {
	if (state === undefined) return null
	if (!isPlain(state)) {
		throw new MeshChainError(
			'INVALID_STATE',
			'the state of a projection must be plain data: objects, arrays, texts, numbers, bigints, dates and bytes',
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
