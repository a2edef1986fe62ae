/** What a lock file says of its holder, and whether that one still runs. Never writes. */
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

/** What the lock file says: the holder, and what tells it from another process with the same pid. */
export interface HolderText extends LockHolder {
	readonly threadId: number
	/** The kernel holds the lock: a process that gets it knows that this holder is gone. */
	readonly kernel: boolean
	readonly startTime: string | undefined
	readonly bootId: string | undefined
	readonly pidNamespace: string | undefined
	/** Records that its close could not write. Only a holder that has let go says so. */
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

/**
 * Why this process cannot tell whether a writer has the chain open: it may not read the lock. Undefined where
 * it can tell.
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
 * Records that the last writer gave up when it could not close the chain; undefined where no note says so.
 */
export function readUnwritten(system: FileSystem, chainPath: string): number | undefined {
	const unwritten = readHolderText(system, chainPath)?.unwritten
	return Number.isSafeInteger(unwritten) ? unwritten : undefined
}

/** Whether a writer has the chain open, as far as this process can rule that out. */
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

/** Whether a holder has certainly let go. One that left a note has, although its process may still run. */
export function hasLetGo(system: FileSystem, holder: HolderText): boolean {
	return holder.unwritten !== undefined || liveness(system, holder) === 'dead'
}

/**
 * Whether the process that a lock file names still runs. `unknown`: another host or container, or no way to
 * tell.
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
 * When a process started, in clock ticks since boot: the 22nd field of its stat line, counted after its name.
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
