/** The lock of a chain, as an opening takes it and gives it back. */

import type { FileSystem } from '../../file-system.ts'
import { acquireLock, type Lock } from '../files/lock.ts'
import { unreadable } from '../files/names.ts'

/** @throws {MeshChainError} `CHAIN_LOCKED`, `CHAIN_UNREADABLE`. */
export function takeLock(system: FileSystem, path: string, nowMs: number, waitMs: number): Lock {
	try {
		return acquireLock(system, path, nowMs, waitMs)
	} catch (error) {
		throw unreadable(path, error)
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
