/**
 * One writer a chain. The lock is the kernel's where `flock(1)` can give it to us: it holds while its owner
 * is stopped and is freed when the owner dies. Elsewhere it is a file that names its owner, and what cannot
 * be decided is refused. Either way the file's text says who holds it.
 *
 * Invariants: a lock file gets its name when its text and the kernel's lock are on it, and only where no file
 * has that name; a name is taken from a file only by its holder, or by the one claimant who has found that
 * holder dead. So there are never two holders.
 */

import { show } from '../../guard/show.ts'
import { MeshChainError } from '../../model/errors.ts'
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
import { NO_HARD_LINKS, temporaryPathOf } from './atomic-rename.ts'
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
/** How often to ask again for a lock that another writer has: each time costs about 3 ms. */
const POLL_MS = 50

/**
 * How the previous writer let go. `kernel`: the kernel has freed its lock. `file`: its lock was only a file,
 * and it seems to be dead. `none`: there was no lock file, so it closed the chain, or the file was removed.
 */
export type Provenance = 'kernel' | 'file' | 'none'

export interface Lock {
	readonly provenance: Provenance
	/** Whether the lock file is still this holder's: it was not removed or taken over. */
	isHeld(): boolean
	/**
	 * Releases the lock and removes the lock file. After an unclosed chain the file stays, where the kernel had
	 * the lock: it tells the next writer that the kernel has freed the lock.
	 *
	 * @param unwritten number of records that a failed close has given up; the file that stays says so.
	 */
	release(isUnclosed: boolean, unwritten?: number): void
}

export interface LockOptions {
	/** The time that the lock file gives for the beginning. */
	readonly nowMs: number
	/** How long to wait for another writer. Default: 0. */
	readonly waitMs?: number | undefined
	/** Permissions of the lock file. Default: `0o600`. */
	readonly mode?: number | undefined
}

/**
 * Takes the lock of a chain, waiting up to `waitMs` for another writer to let it go. The thread is blocked
 * meanwhile.
 *
 * @throws {MeshChainError} `CHAIN_LOCKED`, naming the holder.
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
		// A thread that waits for itself waits for ever.
		if (isOurs || leftMs <= 0) throw lockedError(chainPath, holder)
		Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Math.min(leftMs, POLL_MS))
	}
}

/** The lock; undefined while another holder has it. */
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

/** What is known of the previous holder so far. */
interface Lasting {
	provenance: Provenance
}

/**
 * A lock file under a temporary name: its text is in it, and the kernel's lock is on it where there is one.
 */
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

/** A file under a name that only holders and claimants give. */
interface Found {
	readonly fd: number
	readonly holder: HolderText | undefined
	readonly isHeld: boolean
}

/**
 * The file under a name; undefined where there is none. Its descriptor stays open for {@link removeDead},
 * unless the file is held.
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
		// A lock that the kernel has freed is free; a lock that is only a file is free when its holder is
		// certainly dead.
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
	/** The lock file of the remover. */
	readonly ours: string
}

/**
 * Removes the file that a dead holder has left under a name, and no other file. The right to do so is a
 * claim: a second name of the remover's own lock file, which only one process can have. Under the claim it is
 * checked that the file still has the name. A claim of a dead process is removed in the same way. Returns
 * false while a live process has the claim.
 */
function removeDead(system: FileSystem, { lockPath, path, ours }: Removal, { fd }: Found): boolean {
	try {
		// No other file has this number while this one is open.
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

/** Where no file can have two names: the kernel's lock on the one that is there, or is made. */
function lockInPlace(system: FileSystem, path: string, text: HolderText, mode: number): Lock | undefined {
	for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
		const fd = openOurs(system, path, O_RDWR | O_CREAT, mode)
		let lock: Lock | undefined
		try {
			if (system.lockSync(fd) !== 'taken') return undefined
			// Otherwise the previous holder removed the file between our open and our lock, and the locked file has
			// no name.
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

/** Whether the name is given; not where another file has it, or ours was swept away as a leftover. */
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
		// On a full disk the kernel's lock still holds; only its text is missing. A lock that is a file is
		// nothing without it.
		if (systemCode(error) !== 'ENOSPC' || !text.kernel) throw error
	}
}

function holdLock(system: FileSystem, { fd, text }: Candidate, path: string, { provenance }: Lasting): Lock {
	const { kernel } = text
	let held = true
	return {
		provenance,
		isHeld: () => held && isStillNamed({ system, fd }, path),
		release(isUnclosed, unwritten) {
			if (!held) return
			held = false
			try {
				if (kernel && isUnclosed && unwritten !== undefined) leaveNote({ system, fd }, text, unwritten)
				if (!(kernel && isUnclosed) && isStillNamed({ system, fd }, path)) removeIfThere(system, path)
			} finally {
				closeQuietly(system, fd)
			}
		},
	}
}

/** Writes the note over the text, no longer than the text: a full disk has no room for more. */
function leaveNote({ system, fd }: OpenFile, text: HolderText, unwritten: number): void {
	const { kernel, pid, host, sinceMs } = text
	const length = JSON.stringify(text).length
	const note = JSON.stringify({ kernel, pid, host, sinceMs, unwritten }).padEnd(length)
	try {
		writeFully(system, fd, Buffer.from(`${note}\n`), 0)
	} catch {
		// Without the note, readers are told less.
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
		`${show(chainPath)} is open for writing by ${by}: give this writer another path ('{pid}' in a path becomes the process id), stop the other one, or, if it is certain that none runs, remove ${show(lockPath)}`,
		{ path: chainPath },
	)
}
