/**
 * Takes, keeps and releases the lock of a chain that is being written. `files/lock.ts` implements the lock
 * file.
 */
import { MeshChainError } from '../../model/errors.ts'
import type { FileSystem } from '../../platform/file-system.ts'
import { acquireLock, type Lock, type LockOptions, type Provenance } from '../files/lock.ts'
import { openError } from '../files/open-error.ts'
import type { LiveFileLoss } from './live-file-check.ts'
import { unlockError } from './writer-errors.ts'

/**
 * Takes the lock of a chain.
 *
 * @throws {MeshChainError} `CHAIN_LOCKED`, `CHAIN_UNWRITABLE`.
 */
export function takeLock(system: FileSystem, path: string, options: LockOptions): Lock {
	try {
		return acquireLock(system, path, options)
	} catch (error) {
		throw openError(path, error)
	}
}

/** The lock of a writer. It can be taken again after the lock file was removed. */
export class WriterLock implements Lock {
	readonly #system: FileSystem
	readonly #path: string
	readonly #mode: number
	#lock: Lock

	/** @throws {MeshChainError} The same errors as {@link takeLock}. */
	constructor(system: FileSystem, path: string, options: LockOptions & { readonly mode: number }) {
		this.#system = system
		this.#path = path
		this.#mode = options.mode
		this.#lock = takeLock(system, path, options)
	}

	get provenance(): Provenance {
		return this.#lock.provenance
	}

	isHeld(): boolean {
		return this.#lock.isHeld()
	}

	/** @throws {MeshChainError} `CLOSE_FAILED` if the lock file cannot be removed. */
	release(chain: 'closed' | 'unclosed', unwritten?: number): void {
		try {
			this.#lock.release(chain, unwritten)
		} catch (error) {
			throw unlockError(this.#path, error)
		}
	}

	/**
	 * Returns whether the writer may continue the chain after the live file was lost, and takes the lock again
	 * if necessary. The writer may continue only if no other writer has taken over the chain. For example, a
	 * running service continues its chain after `rm` has removed the file.
	 */
	outlives({ what }: LiveFileLoss, nowMs: number): boolean {
		if (what === 'was taken over by another writer') return false
		if (this.#lock.isHeld()) return true
		return what !== 'was replaced by another chain' && this.#takeAgain(nowMs)
	}

	#takeAgain(nowMs: number): boolean {
		try {
			const lock = acquireLock(this.#system, this.#path, { nowMs, mode: this.#mode })
			releaseQuietly(this.#lock)
			this.#lock = lock
			return true
		} catch (error) {
			if (error instanceof MeshChainError && error.code === 'CHAIN_LOCKED') return false
			throw error
		}
	}
}

/**
 * Releases the lock after a failed opening. Never throws, because the error from the opening is more useful.
 * Preserves the evidence of how the previous writer released the lock.
 */
export function releaseQuietly(lock: Lock): void {
	try {
		lock.release(lock.provenance === 'kernel' ? 'unclosed' : 'closed')
	} catch {
		// At the latest, the kernel releases the lock when the process ends.
	}
}
