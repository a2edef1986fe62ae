/**
 * One writer a chain. The lock is the kernel's where `flock(1)` can give it to us: it holds while its owner is
 * stopped and is freed when the owner dies. Elsewhere it is a file that names its owner, and what cannot be decided is
 * refused. Either way the file's text says who holds it.
 */
import { hostname } from 'node:os'
import { threadId } from 'node:worker_threads'
import { MeshChainError, messageOf } from '../../errors.ts'
import {
	closeQuietly,
	type FileSystem,
	isSameFile,
	O_CREAT,
	O_EXCL,
	O_RDONLY,
	O_RDWR,
	openOurs,
	readFully,
	systemCode,
	writeFully,
} from '../../file-system.ts'
import { show } from '../../record.ts'
import type { LockHolder } from '../chain.ts'

const HOLDER_BYTES_MAX = 4096
const ATTEMPTS_MAX = 16
/** How often to ask again for a lock that another writer has: each time costs about 3 ms. */
const POLL_MS = 50

/** What the lock file says: the holder, and what tells it from another process with the same pid. */
interface HolderText extends LockHolder {
	readonly threadId: number
	/** The kernel holds the lock: whoever gets it knows that this holder is gone. */
	readonly kernel: boolean
	readonly startTime: string | undefined
	readonly bootId: string | undefined
	readonly pidNamespace: string | undefined
	/** Records that its close could not write; only of a holder that has let go. */
	readonly unwritten?: number
}

/**
 * How the writer before let go: its lock was the kernel's, and the kernel has freed it (`kernel`); its lock was a file, and it is dead
 * as far as can be told (`file`); there was no lock file, so that it closed the chain or somebody removed the file (`none`).
 */
export type Provenance = 'kernel' | 'file' | 'none'

export interface Lock {
	readonly provenance: Provenance
	/** Whether the lock file is still this holder's: nobody has removed it or taken it over. */
	isHeld(): boolean
	/**
	 * Lets go, and removes the lock file; unless a chain was left unclosed: then the file stays, where the kernel had the lock, and
	 * tells the next writer that the kernel has seen this one go.
	 *
	 * @param unwritten how many records a close that failed has given up; the file that stays says so.
	 */
	release(isUnclosed: boolean, unwritten?: number): void
}

/** Where the lock of a chain lies. */
function lockPathOf(chainPath: string): string {
	return `${chainPath}.lock`
}

/**
 * Takes the lock of a chain, waiting up to `waitMs` for another writer to let it go. The thread is blocked meanwhile.
 *
 * @throws {MeshChainError} `CHAIN_LOCKED`, naming the holder.
 */
export function acquireLock(
	system: FileSystem,
	chainPath: string,
	nowMs: number,
	waitMs: number,
	mode = 0o600,
): Lock {
	const deadline = performance.now() + waitMs
	for (;;) {
		const lock = tryLock(system, chainPath, nowMs, mode)
		if (lock !== undefined) return lock
		const holder = readHolderText(system, chainPath)
		const isOurs = holder !== undefined && isThisThread(system, holder)
		const leftMs = deadline - performance.now()
		// Whoever waits for itself waits for ever.
		if (isOurs || leftMs <= 0) throw lockedError(chainPath, holder)
		Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Math.min(leftMs, POLL_MS))
	}
}

function isThisThread(system: FileSystem, holder: HolderText): boolean {
	const us = ourselves(system, 0, holder.kernel)
	const isSameProcess =
		holder.pid === us.pid && holder.startTime === us.startTime && holder.bootId === us.bootId
	return isSameProcess && holder.pidNamespace === us.pidNamespace && holder.threadId === us.threadId
}

/** The lock, or undefined while somebody else has it. */
function tryLock(system: FileSystem, chainPath: string, nowMs: number, mode: number): Lock | undefined {
	const path = lockPathOf(chainPath)
	for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
		const fd = openOurs(system, path, O_RDWR | O_CREAT, mode)
		let lock: Lock | undefined
		try {
			const outcome = system.lockSync(fd)
			if (outcome === 'held') return undefined
			if (outcome === 'unavailable') return tryFileLock(system, chainPath, nowMs, mode)
			// Otherwise the holder before removed the file between our open and our lock: what we locked has no name any more.
			if (isStillNamed(system, fd, path)) {
				const before = readHolderText(system, chainPath)
				// A holder that could not ask the kernel does not lose its lock to one that can.
				if (before !== undefined && !before.kernel && liveness(system, before) !== 'dead') return undefined
				const provenance = before === undefined ? 'none' : before.kernel ? 'kernel' : 'file'
				const held = holdLock(system, fd, { path, nowMs, provenance: () => provenance, kernel: true })
				// While it had no text it was nobody's, and somebody may have taken it away.
				if (!held.isHeld()) continue
				lock = held
				return lock
			}
		} catch (error) {
			removeNobodys(system, chainPath)
			throw error
		} finally {
			if (lock === undefined) closeQuietly(system, fd)
		}
	}
	return undefined
}

/** The live process that holds a chain open for writing, as far as this process can tell. */
export function readHolder(system: FileSystem, chainPath: string): LockHolder | undefined {
	const holder = readHolderText(system, chainPath)
	// Who has left a note has let go, though its process may still run.
	const isGone = holder === undefined || holder.unwritten !== undefined || liveness(system, holder) === 'dead'
	if (isGone) return undefined
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

/** Without the kernel: whoever's file has the name has the lock, and a holder that is dead for certain loses it. */
function tryFileLock(system: FileSystem, chainPath: string, nowMs: number, mode: number): Lock | undefined {
	const path = lockPathOf(chainPath)
	// It gets its name when its text is in it: what has no text is nobody's.
	const ours = `${path}.${process.pid}-${threadId}`
	let provenance: Provenance = 'none'
	removeIfThere(system, ours)
	const fd = openOurs(system, ours, O_RDWR | O_CREAT | O_EXCL, mode)
	let isTaken = false
	try {
		const lock = holdLock(system, fd, { path, nowMs, provenance: () => provenance, kernel: false })
		for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
			isTaken = linkUnlessThere(system, ours, path)
			if (isTaken) return lock
			const before = readHolderText(system, chainPath)
			if (before !== undefined && liveness(system, before) !== 'dead') return undefined
			if (before !== undefined) provenance = 'file'
			removeDead(system, path, before)
		}
		return undefined
	} finally {
		removeQuietly(system, ours)
		if (!isTaken) closeQuietly(system, fd)
	}
}

function linkUnlessThere(system: FileSystem, from: string, to: string): boolean {
	try {
		system.linkSync(from, to)
		return true
	} catch (error) {
		if (systemCode(error) === 'EEXIST') return false
		throw error
	}
}

/** Takes the lock file of a dead holder away, and puts it back should it be another one's by now. */
function removeDead(system: FileSystem, path: string, dead: HolderText | undefined): void {
	const aside = `${path}.${process.pid}-${threadId}-dead`
	try {
		system.renameSync(path, aside)
	} catch (error) {
		if (systemCode(error) === 'ENOENT') return
		throw error
	}
	if (JSON.stringify(readTextAt(system, aside)) !== JSON.stringify(dead)) linkUnlessThere(system, aside, path)
	removeIfThere(system, aside)
}

/** A lock file without a text, left by an attempt that failed. */
function removeNobodys(system: FileSystem, chainPath: string): void {
	try {
		if (readHolderText(system, chainPath) === undefined) removeDead(system, lockPathOf(chainPath), undefined)
	} catch {
		// What ended the attempt says more.
	}
}

interface HeldLock {
	readonly path: string
	readonly nowMs: number
	readonly provenance: () => Provenance
	readonly kernel: boolean
}

function holdLock(system: FileSystem, fd: number, { path, nowMs, provenance, kernel }: HeldLock): Lock {
	const text = ourselves(system, nowMs, kernel)
	try {
		system.ftruncateSync(fd, 0)
		writeFully(system, fd, Buffer.from(`${JSON.stringify(text)}\n`), 0)
	} catch (error) {
		// On a full disk the kernel's lock still holds; only its text is missing. A lock that is a file is nothing without it.
		if (systemCode(error) !== 'ENOSPC' || !kernel) throw error
	}
	let held = true
	return {
		get provenance() {
			return provenance()
		},
		isHeld: () => held && isStillNamed(system, fd, path),
		release(isUnclosed, unwritten) {
			if (!held) return
			held = false
			try {
				if (kernel && isUnclosed && unwritten !== undefined) leaveNote(system, fd, text, unwritten)
				if (!(kernel && isUnclosed) && isStillNamed(system, fd, path)) removeIfThere(system, path)
			} finally {
				closeQuietly(system, fd)
			}
		},
	}
}

/** In the place of the text, and no longer than that: on a full disk there is no room for more. */
function leaveNote(system: FileSystem, fd: number, text: HolderText, unwritten: number): void {
	const { kernel, pid, host, sinceMs } = text
	const length = JSON.stringify(text).length
	const note = JSON.stringify({ kernel, pid, host, sinceMs, unwritten }).padEnd(length)
	try {
		writeFully(system, fd, Buffer.from(`${note}\n`), 0)
	} catch {
		// Whoever looks is told less.
	}
}

function isStillNamed(system: FileSystem, fd: number, path: string): boolean {
	try {
		return isSameFile(system.fstatSync(fd), system.statSync(path))
	} catch (error) {
		if (systemCode(error) === 'ENOENT') return false
		throw error
	}
}

/** What stays is untidy, not wrong. */
function removeQuietly(system: FileSystem, path: string): void {
	try {
		system.unlinkSync(path)
	} catch {
		// Its name is this thread's alone.
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
	return readTextAt(system, lockPathOf(chainPath))
}

function readTextAt(system: FileSystem, path: string): HolderText | undefined {
	let fd: number | undefined
	try {
		fd = openOurs(system, path, O_RDONLY)
		const holder: unknown = JSON.parse(readFully(system, fd, HOLDER_BYTES_MAX, 0).toString())
		return isHolderText(holder) ? holder : undefined
	} catch {
		return undefined
	} finally {
		if (fd !== undefined) closeQuietly(system, fd)
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

function ourselves(system: FileSystem, nowMs: number, kernel: boolean): HolderText {
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
