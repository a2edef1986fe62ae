/**
 * Ensures that a chain has at most one writer. Where `flock(1)` is available, the lock is a kernel lock: it
 * stays locked while its holder is suspended, and the kernel releases it when the holder dies. Elsewhere, the
 * lock is only a file, and cannot be taken over while it is unknown whether its holder is running. In both
 * cases, the lock file names the holder.
 *
 * Invariants: where hard links are available, a lock file appears at its path only after its content is
 * written and the kernel lock is taken, and only if no other file is at that path. A lock file is removed
 * only by its holder or, after the holder has died, by the one process that has claimed the removal.
 * Therefore, a lock never has two holders.
 */
import { show } from '../../guard/show.ts'
import { MeshChainError } from '../../model/errors.ts'
import { NO_HARD_LINKS, temporaryPathOf } from '../../platform/atomic-file.ts'
import {
	closeQuietly,
	type FileSystem,
	isNamed,
	O_CREAT,
	O_EXCL,
	O_RDWR,
	type OpenFile,
	openOurs,
	removeQuietly,
	systemCode,
	writeFully,
} from '../../platform/file-system.ts'
import {
	type HolderText,
	hasLetGo,
	isThisThread,
	lockPathOf,
	ourselves,
	readHolderText,
	readTextIn,
} from './lock-holder.ts'

const ATTEMPTS_MAX = 16
/**
 * Interval between attempts to take a lock that another writer holds, in milliseconds. Each attempt takes
 * about 3 ms.
 */
const POLL_MS = 50

/**
 * How the previous writer released the lock. `kernel`: the kernel released it. `file`: the lock was only a
 * file, and the writer appears to be dead. `none`: there was no lock file that named its holder, for example
 * because the writer had closed the chain or the file had been removed.
 */
export type Provenance = 'kernel' | 'file' | 'none'

export interface Lock {
	readonly provenance: Provenance
	/** Returns whether this holder's lock file is still at its path. It may have been removed or replaced. */
	isHeld(): boolean
	/**
	 * Releases the lock and removes the lock file. If the chain is unclosed and the lock is a kernel lock, the
	 * file remains, so that the next writer can see that the kernel has released the lock.
	 *
	 * @param unwritten Number of records that a failed close could not write. If the lock file remains, it
	 * records this number.
	 */
	release(chain: 'closed' | 'unclosed', unwritten?: number): void
}

export interface LockOptions {
	/** Time to record in the lock file as the start of the lock. */
	readonly nowMs: number
	/** Maximum time to wait for another writer, in milliseconds. Default: 0. */
	readonly waitMs?: number | undefined
	/** Permissions of the lock file. Default: `0o600`. */
	readonly mode?: number | undefined
}

/**
 * Takes the lock of a chain. Waits up to `waitMs` for another writer to release the lock, and blocks the
 * thread during the wait.
 *
 * @throws {MeshChainError} `CHAIN_LOCKED`. The message names the holder, if it is known.
 */
export function acquireLock(
	system: FileSystem,
	chainPath: string,
	{ nowMs, waitMs = 0, mode = 0o600 }: LockOptions,
): Lock {
	const deadline = performance.now() + waitMs
	for (;;) {
		const lock = tryLock(system, chainPath, nowMs, mode)
		if (lock !== undefined) return lock
		const holder = readHolderText(system, chainPath)
		const isOurs = holder !== undefined && isThisThread(system, holder)
		const leftMs = deadline - performance.now()
		// A thread that waits for itself would wait forever.
		if (isOurs || leftMs <= 0) throw lockedError(chainPath, holder)
		Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Math.min(leftMs, POLL_MS))
	}
}

/** Attempts to take the lock. Returns undefined if another holder has the lock. */
function tryLock(system: FileSystem, chainPath: string, nowMs: number, mode: number): Lock | undefined {
	const path = lockPathOf(chainPath)
	const lasting: Lasting = { provenance: 'none' }
	let ours: Candidate | undefined
	let lock: Lock | undefined
	try {
		for (let attempt = 0; attempt < ATTEMPTS_MAX && lock === undefined; attempt++) {
			const found = inspect(system, path)
			if (found?.isHeld) return undefined
			ours ??= prepare(system, chainPath, nowMs, mode)
			if (found !== undefined) {
				lasting.provenance = found.holder === undefined ? 'none' : found.holder.kernel ? 'kernel' : 'file'
				if (!removeDead(system, { lockPath: path, path, ours: ours.path }, found)) return undefined
			} else if (linkUnlessThere(system, ours.path, path)) lock = holdLock(system, ours, path, lasting)
		}
		return lock
	} catch (error) {
		if (ours?.text.kernel && NO_HARD_LINKS.includes(systemCode(error) ?? '')) {
			return lockInPlace(system, path, ours.text, mode)
		}
		throw error
	} finally {
		if (ours !== undefined) {
			removeQuietly(system, ours.path)
			if (lock === undefined) closeQuietly(system, ours.fd)
		}
	}
}

/** Information about the previous holder that is kept between attempts. */
interface Lasting {
	provenance: Provenance
}

/** A complete lock file with a temporary name. Where kernel locks are available, it is already locked. */
interface Candidate {
	readonly path: string
	readonly fd: number
	readonly text: HolderText
}

function prepare(system: FileSystem, chainPath: string, nowMs: number, mode: number): Candidate {
	const path = temporaryPathOf(chainPath)
	const fd = openOurs(system, path, O_RDWR | O_CREAT | O_EXCL, mode)
	try {
		const text = ourselves(system, nowMs, system.lockSync(fd) === 'taken')
		writeText({ system, fd }, text)
		return { path, fd, text }
	} catch (error) {
		removeQuietly(system, path)
		closeQuietly(system, fd)
		throw error
	}
}

/** A file found at the path of a lock or of a claim. */
interface Found {
	readonly fd: number
	readonly holder: HolderText | undefined
	readonly isHeld: boolean
}

/**
 * Opens a file and examines its lock. Returns undefined if there is no file. Closes the file if the lock is
 * held, and otherwise keeps it open for {@link removeDead}.
 */
function inspect(system: FileSystem, path: string): Found | undefined {
	let fd: number
	try {
		fd = openOurs(system, path, O_RDWR)
	} catch (error) {
		if (systemCode(error) === 'ENOENT') return undefined
		throw error
	}
	let isHeld = true
	try {
		const outcome = system.lockSync(fd)
		const holder = outcome === 'held' ? undefined : readTextIn({ system, fd })
		// A lock file that does not name a holder is free. A kernel lock was free if this process has just
		// acquired it. A lock that is only a file is free if its holder has definitely died.
		const isFree = holder === undefined || (outcome === 'taken' && holder.kernel) || hasLetGo(system, holder)
		isHeld = outcome === 'held' || !isFree
		return { fd, holder, isHeld }
	} finally {
		if (isHeld) closeQuietly(system, fd)
	}
}

interface Removal {
	readonly lockPath: string
	readonly path: string
	/** Path of the caller's own lock file. */
	readonly ours: string
}

/**
 * Removes the file that a dead holder left at a path, and no other file. First claims the removal by linking
 * the caller's lock file to a second name, which only one process can create. Then checks that the dead
 * holder's file is still at the path. A claim left by a dead process is removed in the same way. Returns
 * false if a running process has the claim.
 */
function removeDead(system: FileSystem, { lockPath, path, ours }: Removal, { fd }: Found): boolean {
	try {
		// No other file can have this inode number while this one is open.
		const claim = `${lockPath}.claim-${system.fstatSync(fd).ino}`
		if (linkUnlessThere(system, ours, claim)) {
			try {
				if (isStillNamed({ system, fd }, path)) removeIfThere(system, path)
			} finally {
				removeIfThere(system, claim)
			}
			return true
		}
		const found = inspect(system, claim)
		if (found === undefined) return true
		return !found.isHeld && removeDead(system, { lockPath, path: claim, ours }, found)
	} finally {
		closeQuietly(system, fd)
	}
}

/**
 * Takes the kernel lock on the lock file itself, and creates the file if necessary. For file systems without
 * hard links.
 */
function lockInPlace(system: FileSystem, path: string, text: HolderText, mode: number): Lock | undefined {
	for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
		const fd = openOurs(system, path, O_RDWR | O_CREAT, mode)
		let lock: Lock | undefined
		try {
			if (system.lockSync(fd) !== 'taken') return undefined
			// If the path no longer refers to this file, the previous holder removed the file after this process
			// opened it and before this process locked it.
			if (!isStillNamed({ system, fd }, path)) continue
			const before = readTextIn({ system, fd })
			if (before !== undefined && !before.kernel && !hasLetGo(system, before)) return undefined
			writeText({ system, fd }, text)
			const provenance = before === undefined ? 'none' : before.kernel ? 'kernel' : 'file'
			lock = holdLock(system, { path, fd, text }, path, { provenance })
			return lock
		} finally {
			if (lock === undefined) closeQuietly(system, fd)
		}
	}
	return undefined
}

/**
 * Links a file to another name. Returns false if that name already exists, or if another process has removed
 * the file as a leftover.
 */
function linkUnlessThere(system: FileSystem, from: string, to: string): boolean {
	try {
		system.linkSync(from, to)
		return true
	} catch (error) {
		if (['EEXIST', 'ENOENT'].includes(systemCode(error) ?? '')) return false
		throw error
	}
}

function writeText({ system, fd }: OpenFile, text: HolderText): void {
	try {
		system.ftruncateSync(fd, 0)
		writeFully(system, fd, Buffer.from(`${JSON.stringify(text)}\n`), 0)
	} catch (error) {
		// A kernel lock works even if a full disk leaves the lock file empty. A lock that is only a file needs
		// its content.
		if (systemCode(error) !== 'ENOSPC' || !text.kernel) throw error
	}
}

function holdLock(system: FileSystem, { fd, text }: Candidate, path: string, { provenance }: Lasting): Lock {
	const { kernel } = text
	let held = true
	return {
		provenance,
		isHeld: () => held && isStillNamed({ system, fd }, path),
		release(chain, unwritten) {
			if (!held) return
			held = false
			const staysThere = kernel && chain === 'unclosed'
			try {
				if (staysThere && unwritten !== undefined) leaveNote({ system, fd }, text, unwritten)
				if (!staysThere && isStillNamed({ system, fd }, path)) removeIfThere(system, path)
			} finally {
				closeQuietly(system, fd)
			}
		},
	}
}

/**
 * Overwrites the content of the lock file with a note that contains the number of unwritten records. The note
 * is no longer than the old content, because a full disk has no room for more.
 */
function leaveNote({ system, fd }: OpenFile, text: HolderText, unwritten: number): void {
	const { kernel, pid, host, sinceMs } = text
	const length = JSON.stringify(text).length
	const note = JSON.stringify({ kernel, pid, host, sinceMs, unwritten }).padEnd(length)
	try {
		writeFully(system, fd, Buffer.from(`${note}\n`), 0)
	} catch {
		// Without the note, readers lack only the number of unwritten records.
	}
}

function isStillNamed({ system, fd }: OpenFile, path: string): boolean {
	return isNamed(system, path, system.fstatSync(fd))
}

function removeIfThere(system: FileSystem, path: string): void {
	try {
		system.unlinkSync(path)
	} catch (error) {
		if (systemCode(error) !== 'ENOENT') throw error
	}
}

function lockedError(chainPath: string, holder: HolderText | undefined): MeshChainError {
	const lockPath = lockPathOf(chainPath)
	const by = holder
		? `process ${holder.pid} on ${show(holder.host)} since ${new Date(holder.sinceMs).toISOString()}`
		: 'another process'
	return new MeshChainError(
		'CHAIN_LOCKED',
		`${show(chainPath)} is open for writing by ${by}: ` +
			"use another path for this writer ('{pid}' in a path is replaced by the process id), " +
			`stop the other writer or, if you are sure that no writer is running, remove ${show(lockPath)}`,
		{ path: chainPath },
	)
}
