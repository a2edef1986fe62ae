/** The real file system, until it is told to fail. */
import { type FileSystem, nodeFileSystem } from '../../src/chain/file-system.ts'

export class FaultyFileSystem implements FileSystem {
	readonly openSync = nodeFileSystem.openSync
	readonly closeSync = nodeFileSystem.closeSync
	readonly readSync = nodeFileSystem.readSync
	readonly fstatSync = nodeFileSystem.fstatSync
	readonly statSync = nodeFileSystem.statSync
	readonly fsyncSync = nodeFileSystem.fsyncSync
	readonly fdatasyncSync = nodeFileSystem.fdatasyncSync
	readonly linkSync = nodeFileSystem.linkSync
	readonly renameSync = nodeFileSystem.renameSync
	readonly unlinkSync = nodeFileSystem.unlinkSync
	readonly realpathSync = nodeFileSystem.realpathSync
	readonly readFileSync = nodeFileSystem.readFileSync
	readonly open = nodeFileSystem.open
	readonly close = nodeFileSystem.close
	readonly read = nodeFileSystem.read
	readonly fstat = nodeFileSystem.fstat
	readonly watch = nodeFileSystem.watch
	/** Bytes that may still be written; what goes beyond is a short write, then ENOSPC. */
	roomBytes = Number.POSITIVE_INFINITY
	syncs = 0
	#writeError: string | undefined
	#syncError: string | undefined
	#truncateError: string | undefined

	failWrites(code: string): void {
		this.#writeError = code
	}

	failSyncs(code: string): void {
		this.#syncError = code
	}

	failTruncates(code: string): void {
		this.#truncateError = code
	}

	heal(): void {
		this.#writeError = undefined
		this.#syncError = undefined
		this.#truncateError = undefined
		this.roomBytes = Number.POSITIVE_INFINITY
	}

	readonly writeSync = (fd: number, buffer: Uint8Array, offset: number, length: number, position: number) => {
		if (this.#writeError !== undefined) throw failure(this.#writeError)
		if (this.roomBytes === 0) throw failure('ENOSPC')
		const fitting = Math.min(length, this.roomBytes)
		const written = nodeFileSystem.writeSync(fd, buffer, offset, fitting, position)
		this.roomBytes -= written
		return written
	}

	readonly ftruncateSync = (fd: number, length: number) => {
		if (this.#truncateError !== undefined) throw failure(this.#truncateError)
		nodeFileSystem.ftruncateSync(fd, length)
	}

	readonly fdatasync = async (fd: number) => {
		this.syncs++
		if (this.#syncError !== undefined) throw failure(this.#syncError)
		await nodeFileSystem.fdatasync(fd)
	}
}

function failure(code: string): Error {
	return Object.assign(new Error(`${code}: forced by the test`), { code })
}
