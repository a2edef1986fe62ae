/**
 * Reads the holder of a lock from the lock file, and determines whether the holder is still running. Never
 * writes.
 */
import { hostname } from 'node:os'
import { threadId } from 'node:worker_threads'
import { show } from '../../guard/show.ts'
import { messageOf } from '../../model/errors.ts'
import {
	type FileSystem,
	O_RDONLY,
	type OpenFile,
	readFully,
	systemCode,
	withFile,
} from '../../platform/file-system.ts'
import type { LockHolder } from '../chain.ts'

const HOLDER_BYTES_MAX = 4096

/**
 * The content of a lock file: the holder, and details that distinguish the holder from another process with
 * the same pid.
 */
export interface HolderText extends LockHolder {
	readonly threadId: number
	/**
	 * Whether the lock is a kernel lock. If so, acquiring the lock proves that this holder has released it or
	 * died.
	 */
	readonly kernel: boolean
	readonly startTime: string | undefined
	readonly bootId: string | undefined
	readonly pidNamespace: string | undefined
	/**
	 * Number of records that the holder could not write when it closed the chain. Present only after the
	 * holder has released the lock.
	 */
	readonly unwritten?: number
}

/** Returns the path of a chain's lock file. */
export function lockPathOf(chainPath: string): string {
	return `${chainPath}.lock`
}

/**
 * Returns the holder of a chain's lock. Returns undefined if there is none, or if it has definitely released
 * the lock or died.
 */
export function readHolder(system: FileSystem, chainPath: string): LockHolder | undefined {
	const holder = readHolderText(system, chainPath)
	if (holder === undefined || hasLetGo(system, holder)) return undefined
	return { pid: holder.pid, host: holder.host, sinceMs: holder.sinceMs }
}

/**
 * Returns the reason why this process cannot open the lock file, and therefore cannot determine whether a
 * writer has the chain open. Returns undefined if it can open the file, or if there is none.
 */
export function lockObstacle(system: FileSystem, chainPath: string): string | undefined {
	const path = lockPathOf(chainPath)
	try {
		return withFile(system, path, O_RDONLY, () => undefined)
	} catch (error) {
		return systemCode(error) === 'ENOENT' ? undefined : `${show(path)}: ${messageOf(error)}`
	}
}

/**
 * Returns the number of records that the last writer could not write when it closed the chain; undefined if
 * the lock file does not contain that number.
 */
export function readUnwritten(system: FileSystem, chainPath: string): number | undefined {
	const unwritten = readHolderText(system, chainPath)?.unwritten
	return Number.isSafeInteger(unwritten) ? unwritten : undefined
}

/** Returns false only if this process can rule out that a writer has the chain open. */
export function mayBeHeld(system: FileSystem, chainPath: string): boolean {
	return readHolder(system, chainPath) !== undefined || lockObstacle(system, chainPath) !== undefined
}

export function isThisThread(system: FileSystem, holder: HolderText): boolean {
	const us = ourselves(system, 0, holder.kernel)
	const isSameProcess =
		holder.pid === us.pid && holder.startTime === us.startTime && holder.bootId === us.bootId
	return isSameProcess && holder.pidNamespace === us.pidNamespace && holder.threadId === us.threadId
}

export function readHolderText(system: FileSystem, chainPath: string): HolderText | undefined {
	try {
		return withFile(system, lockPathOf(chainPath), O_RDONLY, readTextIn)
	} catch {
		return undefined
	}
}

export function readTextIn({ system, fd }: OpenFile): HolderText | undefined {
	const text = readFully(system, fd, HOLDER_BYTES_MAX, 0).toString()
	try {
		const holder: unknown = JSON.parse(text)
		return isHolderText(holder) ? holder : undefined
	} catch {
		return undefined
	}
}

function isHolderText(value: unknown): value is HolderText {
	const holder = value as Partial<HolderText> | null
	return (
		typeof holder === 'object' &&
		Number.isSafeInteger(holder?.pid) &&
		(holder?.pid ?? 0) > 0 &&
		typeof holder?.host === 'string' &&
		typeof holder?.kernel === 'boolean' &&
		Number.isSafeInteger(holder?.sinceMs)
	)
}

export function ourselves(system: FileSystem, nowMs: number, kernel: boolean): HolderText {
	return {
		kernel,
		pid: process.pid,
		host: hostname(),
		sinceMs: nowMs,
		threadId,
		startTime: startTimeOf(system, process.pid),
		bootId: readText(system, '/proc/sys/kernel/random/boot_id'),
		pidNamespace: pidNamespaceOf(system),
	}
}

/**
 * Returns whether a holder has definitely released the lock or died. A holder that recorded its number of
 * unwritten records has released the lock, even if its process is still running.
 */
export function hasLetGo(system: FileSystem, holder: HolderText): boolean {
	return holder.unwritten !== undefined || liveness(system, holder) === 'dead'
}

/**
 * Returns whether the process named in a lock file is still running. The result is `unknown` if the process
 * is on another host or in another container, or if its start time is unknown.
 */
function liveness(system: FileSystem, holder: HolderText): 'alive' | 'dead' | 'unknown' {
	const us = ourselves(system, 0, holder.kernel)
	if (holder.host !== us.host) return 'unknown'
	if (holder.bootId !== us.bootId) return 'dead'
	if (holder.pidNamespace !== us.pidNamespace) return 'unknown'
	try {
		process.kill(holder.pid, 0)
	} catch (error) {
		if (systemCode(error) === 'ESRCH') return 'dead'
	}
	const startTime = startTimeOf(system, holder.pid)
	if (startTime === undefined || holder.startTime === undefined) return 'unknown'
	return startTime === holder.startTime ? 'alive' : 'dead'
}

/**
 * Returns the start time of a process in clock ticks since boot: the 22nd field of its stat line. The fields
 * are counted from the end of the process name, because the name may contain spaces.
 */
function startTimeOf(system: FileSystem, pid: number): string | undefined {
	const stat = readText(system, `/proc/${pid}/stat`)
	return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
}

function pidNamespaceOf(system: FileSystem): string | undefined {
	try {
		return String(system.statSync('/proc/self/ns/pid').ino)
	} catch {
		return undefined
	}
}

function readText(system: FileSystem, path: string): string | undefined {
	try {
		return system.readFileSync(path).toString().trim()
	} catch {
		return undefined
	}
}
