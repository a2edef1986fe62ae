/** The lock of a chain, as an opening takes it and gives it back. */

import { MeshChainError } from '../../model/errors.ts'
import type { FileSystem } from '../../platform/file-system.ts'
import { acquireLock, type Lock, type Provenance } from '../files/lock.ts'
import { unreadable } from '../files/names.ts'
import type { LiveFileLoss } from './live-file-check.ts'
import { unlockError } from './writer-errors.ts'

/** @throws {MeshChainError} `CHAIN_LOCKED`, `CHAIN_UNREADABLE`. */
export function takeLock(
	system: FileSystem,
	path: string,
	nowMs: number,
	waitMs: number,
	mode?: number,
): Lock {
	try {
		return acquireLock(system, path, nowMs, waitMs, mode)
	} catch (error) {
		throw unreadable(path, error)
	}
}

/** The lock of a chain that is being written: it is made again where its file was removed. */
export class WriterLock implements Lock {
	readonly #system: FileSystem
	readonly #path: string
	readonly #mode: number
	#lock: Lock

	/** @throws {MeshChainError} as {@link takeLock}. */
	constructor(system: FileSystem, path: string, mode: number, nowMs: number, waitMs: number) {
		this.#system = system
		this.#path = path
		this.#mode = mode
		this.#lock = takeLock(system, path, nowMs, waitMs, mode)
	}

	get provenance(): Provenance {
		return this.#lock.provenance
	}

	isHeld(): boolean {
		return this.#lock.isHeld()
	}

	/** @throws {MeshChainError} `CLOSE_FAILED` where the lock file cannot be removed. */
	release(isUnclosed: boolean, unwritten?: number): void {
		try {
			this.#lock.release(isUnclosed, unwritten)
		} catch (error) {
			throw unlockError(this.#path, error)
		}
	}

	/** Whether nobody else has the chain, whatever became of its live file: a running service outlives `rm`. */
	outlives({ what }: LiveFileLoss, nowMs: number): boolean {
		if (what === 'was taken over by another writer') return false
		if (this.#lock.isHeld()) return true
		return what !== 'was replaced by another chain' && this.#takeAgain(nowMs)
	}

	#takeAgain(nowMs: number): boolean {
		try {
			const lock = acquireLock(this.#system, this.#path, nowMs, 0, this.#mode)
			releaseQuietly(this.#lock)
			this.#lock = lock
			return true
		} catch (error) {
			if (error instanceof MeshChainError && error.code === 'CHAIN_LOCKED') return false
			throw error
		}
	}
}

/** After an opening that failed, whose own error says more. Whether the writer before is gone is as well known as it was. */
export function releaseQuietly(lock: Lock): void {
	try {
		lock.release(lock.provenance === 'kernel')
	} catch {
		// The kernel lets go of it with the process at the latest.
	}
}
