/** What a lock file says of its holder, and whether that one still runs. Never writes. */
import { hostname } from 'node:os'
import { threadId } from 'node:worker_threads'
import { show } from '../../guard/show.ts'
import { messageOf } from '../../model/errors.ts'
import {
	closeQuietly,
	type FileSystem,
	O_RDONLY,
	openOurs,
	readFully,
	systemCode,
} from '../../platform/file-system.ts'
import type { LockHolder } from '../chain.ts'

const HOLDER_BYTES_MAX = 4096

/** What the lock file says: the holder, and what tells it from another process with the same pid. */
export interface HolderText extends LockHolder {
	readonly threadId: number
	/** The kernel holds the lock: whoever gets it knows that this holder is gone. */
	readonly kernel: boolean
	readonly startTime: string | undefined
	readonly bootId: string | undefined
	readonly pidNamespace: string | undefined
	/** Records that its close could not write; only of a holder that has let go. */
	readonly unwritten?: number
}

/** Where the lock of a chain lies. */
export function lockPathOf(chainPath: string): string {
	return `${chainPath}.lock`
}

/** The live process that holds a chain open for writing, as far as this process can tell. */
export function readHolder(system: FileSystem, chainPath: string): LockHolder | undefined {
	const holder = readHolderText(system, chainPath)
	if (holder === undefined || hasLetGo(system, holder)) return undefined
	return { pid: holder.pid, host: holder.host, sinceMs: holder.sinceMs }
}

/** Why it cannot be told whether a writer has the chain open: its lock is not ours to read. Undefined where that can be told. */
export function lockObstacle(system: FileSystem, chainPath: string): string | undefined {
	let fd: number | undefined
	try {
		fd = openOurs(system, lockPathOf(chainPath), O_RDONLY)
		return undefined
	} catch (error) {
		return systemCode(error) === 'ENOENT' ? undefined : `${show(lockPathOf(chainPath))}: ${messageOf(error)}`
	} finally {
		if (fd !== undefined) closeQuietly(system, fd)
	}
}

/** How many records the last writer gave up when it could not close the chain; undefined where nothing says that it did. */
export function readUnwritten(system: FileSystem, chainPath: string): number | undefined {
	const unwritten = readHolderText(system, chainPath)?.unwritten
	return Number.isSafeInteger(unwritten) ? unwritten : undefined
}

/** Whether a writer has the chain open, or that cannot be told. */
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
	return readTextAt(system, lockPathOf(chainPath))
}

function readTextAt(system: FileSystem, path: string): HolderText | undefined {
	let fd: number | undefined
	try {
		fd = openOurs(system, path, O_RDONLY)
		return readTextIn(system, fd)
	} catch {
		return undefined
	} finally {
		if (fd !== undefined) closeQuietly(system, fd)
	}
}

export function readTextIn(system: FileSystem, fd: number): HolderText | undefined {
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

/** For certain. Who has left a note has, though its process may still run. */
export function hasLetGo(system: FileSystem, holder: HolderText): boolean {
	return holder.unwritten !== undefined || liveness(system, holder) === 'dead'
}

/** Whether the process that a lock file names still runs. `unknown`: another host or container, or no way to tell. */
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

/** When a process started, in clock ticks since boot: the 22nd field of its stat line, counted behind its name. */
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
