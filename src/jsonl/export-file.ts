/** A new file that appears under its name only after it is completely on disk. */
import { show } from '../guard/show.ts'
import { MeshChainError, messageOf, unsyncedName } from '../model/errors.ts'
import { putFirstInPlace, temporaryPathOf } from '../platform/atomic-file.ts'
import {
	closeQuietly,
	exists,
	type FileSystem,
	O_CREAT,
	O_EXCL,
	O_NOFOLLOW,
	O_WRONLY,
	systemCode,
	writeFully,
} from '../platform/file-system.ts'

/** A file that is written under a temporary name and receives its final name at the end. */
export class ExportFile {
	readonly #system: FileSystem
	readonly #path: string
	readonly #temporary: string
	readonly #fd: number
	#size = 0
	#isOpen = true

	/** @throws {MeshChainError} `FILE_EXISTS`, `EXPORT_FAILED`. */
	constructor(system: FileSystem, path: string, mode: number) {
		this.#system = system
		this.#path = path
		this.#temporary = temporaryPathOf(path)
		this.#fd = this.#explained(() => {
			if (exists(system, path)) throw Object.assign(new Error('it exists'), { code: 'EEXIST' })
			return system.openSync(this.#temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode)
		})
	}

	/** @throws {MeshChainError} `EXPORT_FAILED`. */
	write(text: string): void {
		const bytes = Buffer.from(text)
		this.#explained(() => writeFully(this.#system, this.#fd, bytes, this.#size))
		this.#size += bytes.length
	}

	/**
	 * Syncs the file and gives it its final name.
	 *
	 * @throws {MeshChainError} `FILE_EXISTS` if another program has created a file with this name, or
	 * `EXPORT_FAILED`. After `EXPORT_FAILED`, no file is left behind, unless the message says that the file is
	 * complete.
	 */
	finish(): void {
		const { unsynced } = this.#explained(() => {
			this.#system.fsyncSync(this.#fd)
			return putFirstInPlace(this.#system, this.#temporary, this.#path)
		})
		if (unsynced !== undefined) throw unsyncedName('EXPORT_FAILED', this.#path, unsynced)
	}

	/** Closes the file, and removes the temporary file if it still exists. */
	discard(): void {
		if (!this.#isOpen) return
		this.#isOpen = false
		closeQuietly(this.#system, this.#fd)
		try {
			this.#system.unlinkSync(this.#temporary)
		} catch {
			// The file already has its final name, or it cannot be removed.
		}
	}

	#explained<T>(work: () => T): T {
		try {
			return work()
		} catch (error) {
			const details = { path: this.#path, cause: error }
			if (systemCode(error) === 'EEXIST') {
				throw new MeshChainError(
					'FILE_EXISTS',
					`${show(this.#path)} already exists: name a new file`,
					details,
				)
			}
			throw new MeshChainError(
				'EXPORT_FAILED',
				`cannot write ${show(this.#path)}: ${messageOf(error)}`,
				details,
			)
		}
	}
}
