/**
 * One writer a chain. The lock is the kernel's where `flock(1)` can give it to us: it holds while its owner is
 * stopped and is freed when the owner dies. Elsewhere it is a file that names its owner, and what cannot be decided is
 * refused. Either way the file's text says who holds it.
 */
import { spawnSync } from 'node:child_process'
import { hostname } from 'node:os'
import { threadId } from 'node:worker_threads'
import { MeshChainError } from '../errors.ts'
import { show } from '../record.ts'
import type { LockHolder } from './chain.ts'
import {
	type FileSystem,
	O_CREAT,
	O_EXCL,
	O_NOFOLLOW,
	O_RDONLY,
	O_RDWR,
	readFully,
	systemCode,
	writeFully,
} from './file-system.ts'

const HOLDER_BYTES_MAX = 4096
const ATTEMPTS_MAX = 16

/** What the lock file says: the holder, and what tells it from another process with the same pid. */
interface HolderText extends LockHolder {
	readonly threadId: number
	readonly startTime: string | undefined
	readonly bootId: string | undefined
	readonly pidNamespace: string | undefined
}

export interface Lock {
	/** Removes the lock file and lets go. */
	release(): void
}

/** Where the lock of a chain lies. */
export function lockPathOf(chainPath: string): string {
	return `${chainPath}.lock`
}

/**
 * Takes the lock of a chain.
 *
 * @throws {MeshChainError} `CHAIN_LOCKED`, naming the holder.
 */
export function acquireLock(system: FileSystem, chainPath: string, nowMs: number): Lock {
	const path = lockPathOf(chainPath)
	for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
		const fd = system.openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600)
		const outcome = kernelLock(fd)
		if (outcome === 'taken' && isStillNamed(system, fd, path)) return holdLock(system, fd, path, nowMs)
		system.closeSync(fd)
		if (outcome === 'held') throw lockedError(chainPath, readHolderText(system, chainPath))
		if (outcome === 'unavailable') return acquireFileLock(system, chainPath, nowMs)
		// The holder before removed the file between our open and our lock: what we locked has no name any more.
	}
	throw lockedError(chainPath, readHolderText(system, chainPath))
}

/** The live process that holds a chain open for writing, as far as this process can tell. */
export function readHolder(system: FileSystem, chainPath: string): LockHolder | undefined {
	const holder = readHolderText(system, chainPath)
	if (holder === undefined || liveness(system, holder) === 'dead') return undefined
	return { pid: holder.pid, host: holder.host, sinceMs: holder.sinceMs }
}

/** Asks the kernel for the lock on our own open file; it stays with the descriptor when `flock` has ended. */
function kernelLock(fd: number): 'taken' | 'held' | 'unavailable' {
	const { status, error } = spawnSync('flock', ['-xn', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] })
	if (error !== undefined) return 'unavailable'
	if (status === 0) return 'taken'
	return status === 1 ? 'held' : 'unavailable'
}

/** Without the kernel: whoever creates the file has the lock, and a holder that is dead for certain loses it. */
function acquireFileLock(system: FileSystem, chainPath: string, nowMs: number): Lock {
	const path = lockPathOf(chainPath)
	for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
		try {
			const fd = system.openSync(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
			return holdLock(system, fd, path, nowMs)
		} catch (error) {
			if (systemCode(error) !== 'EEXIST') throw error
		}
		const holder = readHolderText(system, chainPath)
		// An empty file is what acquireLock leaves when flock turns out to be missing, or a holder that died at once.
		if (holder !== undefined && liveness(system, holder) !== 'dead') throw lockedError(chainPath, holder)
		removeIfThere(system, path)
	}
	throw lockedError(chainPath, readHolderText(system, chainPath))
}

function holdLock(system: FileSystem, fd: number, path: string, nowMs: number): Lock {
	try {
		system.ftruncateSync(fd, 0)
		writeFully(system, fd, Buffer.from(`${JSON.stringify(ourselves(system, nowMs))}\n`), 0)
	} catch (error) {
		// On a full disk the lock still holds; only its text is missing.
		if (systemCode(error) !== 'ENOSPC') {
			system.closeSync(fd)
			throw error
		}
	}
	let held = true
	return {
		release() {
			if (!held) return
			held = false
			try {
				if (isStillNamed(system, fd, path)) removeIfThere(system, path)
			} finally {
				system.closeSync(fd)
			}
		},
	}
}

function isStillNamed(system: FileSystem, fd: number, path: string): boolean {
	try {
		const open = system.fstatSync(fd)
		const named = system.statSync(path)
		return open.ino === named.ino && open.dev === named.dev
	} catch (error) {
		if (systemCode(error) === 'ENOENT') return false
		throw error
	}
}

function removeIfThere(system: FileSystem, path: string): void {
	try {
		system.unlinkSync(path)
	} catch (error) {
		if (systemCode(error) !== 'ENOENT') throw error
	}
}

function readHolderText(system: FileSystem, chainPath: string): HolderText | undefined {
	let fd: number | undefined
	try {
		fd = system.openSync(lockPathOf(chainPath), O_RDONLY | O_NOFOLLOW)
		const holder: unknown = JSON.parse(readFully(system, fd, HOLDER_BYTES_MAX, 0).toString())
		return isHolderText(holder) ? holder : undefined
	} catch {
		return undefined
	} finally {
		if (fd !== undefined) system.closeSync(fd)
	}
}

function isHolderText(value: unknown): value is HolderText {
	const holder = value as Partial<HolderText> | null
	return (
		typeof holder === 'object' &&
		Number.isSafeInteger(holder?.pid) &&
		(holder?.pid ?? 0) > 0 &&
		typeof holder?.host === 'string' &&
		Number.isSafeInteger(holder?.sinceMs)
	)
}

function ourselves(system: FileSystem, nowMs: number): HolderText {
	return {
		pid: process.pid,
		host: hostname(),
		sinceMs: nowMs,
		threadId,
		startTime: startTimeOf(system, process.pid),
		bootId: readText(system, '/proc/sys/kernel/random/boot_id'),
		pidNamespace: pidNamespaceOf(system),
	}
}

/** Whether the process that a lock file names still runs. `unknown`: another host or container, or no way to tell. */
function liveness(system: FileSystem, holder: HolderText): 'alive' | 'dead' | 'unknown' {
	const us = ourselves(system, 0)
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

function lockedError(chainPath: string, holder: HolderText | undefined): MeshChainError {
	const lockPath = lockPathOf(chainPath)
	const by = holder
		? `process ${holder.pid} on ${show(holder.host)} since ${new Date(holder.sinceMs).toISOString()}`
		: 'another process'
	return new MeshChainError(
		'CHAIN_LOCKED',
		`${show(chainPath)} is open for writing by ${by}: give this writer another path ('{pid}' in a path becomes the process id), stop the other one, or, if it is certain that none runs, remove ${show(lockPath)}`,
		{ path: chainPath },
	)
}
