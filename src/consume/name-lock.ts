/** The lock on a name under which a position in a chain is saved. */
import { acquireLock, type Lock, readHolder } from '../chain/index.ts'
import { show } from '../guard/show.ts'
import { invalidOption } from '../model/check.ts'
import { MeshChainError } from '../model/errors.ts'
import type { FileSystem } from '../platform/file-system.ts'

type Named = 'consumer' | 'projection'
/** Kind of lock holder. A forwarder does not have a name. */
export type LockHolder = Named | 'forwarder'

/**
 * Checks a name that becomes part of a file name.
 *
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export function checkLockName(what: Named, name: unknown): void {
	if (typeof name === 'string' && /^[\w-]{1,64}$/.test(name)) return
	throw invalidOption(`the name of a ${what}`, name, '1 to 64 letters, digits, - and _')
}

/** The lock on a name. If the lock file is removed, the lock is acquired again. */
export class NameLock {
	readonly #take: () => Lock
	#lock: Lock

	/**
	 * @param path Path of the file that contains the position.
	 * @param what Kind of holder, for error messages.
	 * @throws {MeshChainError} `CURSOR_IN_USE`, which names the process that holds the lock, or an error from
	 * the file system.
	 */
	constructor(system: FileSystem, path: string, what: LockHolder) {
		this.#take = () => lockName(system, path, what)
		this.#lock = this.#take()
	}

	/**
	 * Ensures that no other process holds the lock on the name.
	 *
	 * @throws {MeshChainError} The same errors as the constructor.
	 */
	keep(): void {
		if (this.#lock.isHeld()) return
		const lock = this.#take()
		this.#lock.release('closed')
		this.#lock = lock
	}

	release(): void {
		this.#lock.release('closed')
	}
}

function lockName(system: FileSystem, path: string, what: LockHolder): Lock {
	try {
		return acquireLock(system, path, { nowMs: Date.now() })
	} catch (error) {
		if (!(error instanceof MeshChainError && error.code === 'CHAIN_LOCKED')) throw error
		const holder = readHolder(system, path)
		const by = holder === undefined ? 'another process' : `process ${holder.pid} on ${show(holder.host)}`
		const text =
			what === 'forwarder'
				? `a forwarder for this chain and stream is already running in ${by}: stop one of the two`
				: `a ${what} with this name is already running in ${by}: stop it, or use another name`
		throw new MeshChainError('CURSOR_IN_USE', `${text}; ${show(path)} holds its position`, {
			path,
			cause: error,
		})
	}
}
