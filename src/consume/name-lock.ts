/** Whoever keeps its place in a chain under a name has that name to itself. */
import { acquireLock, type Lock, readHolder } from '../chain/index.ts'
import { show } from '../guard/show.ts'
import { invalidOption } from '../model/check.ts'
import { MeshChainError } from '../model/errors.ts'
import type { FileSystem } from '../platform/file-system.ts'

type Named = 'consumer' | 'projection'
/** One of a chain and a stream needs no name. */
export type LockHolder = Named | 'forwarder'

/** A name that is a part of a file's name. @throws {MeshChainError} `INVALID_OPTION` */
export function checkLockName(what: Named, name: unknown): void {
	if (typeof name === 'string' && /^[\w-]{1,64}$/.test(name)) return
	throw invalidOption(`the name of a ${what}`, name, '1 to 64 letters, digits, - and _')
}

/** The lock of a name: it is made again where its file was removed. */
export class NameLock {
	readonly #take: () => Lock
	#lock: Lock

	/**
	 * @param path of the file that says how far it has come.
	 * @param what it is, in a message.
	 * @throws {MeshChainError} `CURSOR_IN_USE`, naming the process that has it; whatever else the system says.
	 */
	constructor(system: FileSystem, path: string, what: LockHolder) {
		this.#take = () => lockName(system, path, what)
		this.#lock = this.#take()
	}

	/** Makes sure that nobody else has the name by now. @throws {MeshChainError} as the constructor. */
	keep(): void {
		if (this.#lock.isHeld()) return
		const lock = this.#take()
		this.#lock.release(false)
		this.#lock = lock
	}

	release(): void {
		this.#lock.release(false)
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
				? `a forwarder of this chain to this stream runs in ${by}, and one is enough: stop one of them`
				: `a ${what} of this name runs in ${by}: give this one another name, or stop that one`
		throw new MeshChainError('CURSOR_IN_USE', `${text}; ${show(path)} says how far it has come`, {
			path,
			cause: error,
		})
	}
}
