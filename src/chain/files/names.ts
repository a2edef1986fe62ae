/**
 * The names of a chain's files: how new ones appear whole, how a sealed one gets its name, how bytes are kept aside. The name of the
 * live file never leads nowhere. The caller holds the lock.
 */
import { randomBytes } from 'node:crypto'
import { basename, dirname, join, resolve } from 'node:path'
import { show } from '../../guard/show.ts'
import { checkPath } from '../../model/check.ts'
import { MeshChainError, messageOf } from '../../model/errors.ts'
import {
	closeQuietly,
	exists,
	type FileSystem,
	isSameFile,
	O_CREAT,
	O_EXCL,
	O_RDONLY,
	O_WRONLY,
	openOurs,
	readFully,
	syncDirectory,
	systemCode,
	writeFully,
} from '../../platform/file-system.ts'
import { segmentPathOf } from './segments.ts'

const COPY_BYTES = 1024 * 1024
export const NO_HARD_LINKS: readonly string[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']

/** A name beside a chain that no other file has, for one that is not finished. */
export function temporaryPathOf(chainPath: string): string {
	return `${chainPath}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`
}

/** Removes what writers left that died while they made a file; where a directory cannot be read it stays. */
export function removeTemporaries(system: FileSystem, chainPath: string): void {
	const stem = basename(chainPath)
	for (const name of namesIn(system, dirname(chainPath))) {
		const isOurs = name.startsWith(`${stem}.`) && /^\d+-[0-9a-f]{8}\.tmp$/.test(name.slice(stem.length + 1))
		if (isOurs) removeQuietly(system, join(dirname(chainPath), name))
	}
}

function namesIn(system: FileSystem, directory: string): string[] {
	try {
		return system.readdirSync(directory)
	} catch {
		return []
	}
}

/** A file has its name. */
export interface Placed {
	/** Why its name may not be on disk; undefined when it is. */
	readonly unsynced: unknown
}

/** Gives a file a name that none has; never takes the place of a file that came meanwhile. */
export function putFirstInPlace(system: FileSystem, temporary: string, path: string): Placed {
	try {
		system.linkSync(temporary, path)
		removeQuietly(system, temporary)
	} catch (error) {
		if (!NO_HARD_LINKS.includes(systemCode(error) ?? '')) throw error
		system.renameSync(temporary, path)
	}
	return syncedNames(system, path)
}

/** All of a new file is there, and that its name is on disk is not known: whoever hears only of the failure would make it again. */
export function unsyncedName(
	code: 'CHAIN_UNREADABLE' | 'EXPORT_FAILED',
	path: string,
	unsynced: unknown,
): MeshChainError {
	const text = `${show(path)} is there and whole, but its folder could not be synced (${messageOf(unsynced)}): until the system has done so, a power loss may take its name away`
	return new MeshChainError(code, text, { path, cause: unsynced })
}

function syncedNames(system: FileSystem, path: string): Placed {
	try {
		syncDirectory(system, dirname(path))
		return { unsynced: undefined }
	} catch (unsynced) {
		return { unsynced }
	}
}

/**
 * Gives the live file the name of a sealed one, and a new file the name of the live one. Whatever stops it in between, both names
 * lead to files that belong there; doing it again finishes it.
 *
 * @returns also where the file before is now.
 */
export function putNextInPlace(
	system: FileSystem,
	temporary: string,
	chainPath: string,
	firstSeq: number,
): Placed & { readonly sealedPath: string } {
	const sealedPath = keepName(system, chainPath, firstSeq)
	// Should the new name reach the disk without this one, the file before would have none.
	syncDirectory(system, dirname(chainPath))
	system.renameSync(temporary, chainPath)
	return { sealedPath, ...syncedNames(system, chainPath) }
}

function keepName(system: FileSystem, chainPath: string, firstSeq: number): string {
	for (let copy = 0; ; copy++) {
		const sealedPath = segmentPathOf(chainPath, firstSeq, copy)
		try {
			system.linkSync(chainPath, sealedPath)
			return sealedPath
		} catch (error) {
			if (systemCode(error) === 'EEXIST') {
				if (isNameOf(system, sealedPath, chainPath)) return sealedPath
			} else if (!NO_HARD_LINKS.includes(systemCode(error) ?? '')) throw error
			else if (!exists(system, sealedPath)) {
				// Without hard links the name of the live file is free for a moment; a crash there is found when it is opened.
				system.renameSync(chainPath, sealedPath)
				return sealedPath
			}
		}
	}
}

/** Whether two names lead to one file; a link to nowhere leads to none. */
function isNameOf(system: FileSystem, name: string, path: string): boolean {
	const file = system.statSync(path)
	try {
		return isSameFile(system.statSync(name), file)
	} catch (error) {
		if (['ENOENT', 'ELOOP'].includes(systemCode(error) ?? '')) return false
		throw error
	}
}

export function removeQuietly(system: FileSystem, path: string): void {
	try {
		system.unlinkSync(path)
	} catch {
		// A left-over temporary file is untidy, not wrong.
	}
}

/** Copies bytes of a file beside the chain; returns where they are once they are on disk. */
export function keepAside(
	system: FileSystem,
	chainPath: string,
	fd: number,
	offset: number,
	bytes: number,
): string {
	const keptAt = `${chainPath}.cut-${offset}-${randomBytes(4).toString('hex')}`
	copyTo(system, keptAt, fd, offset, bytes)
	syncDirectory(system, dirname(chainPath))
	return keptAt
}

/**
 * Gives a file that has no name any more, or that was cut, the name of a sealed one, by copy; returns which. The header may be gone with
 * what was cut, and is known.
 */
export function restoreAsSealed(
	system: FileSystem,
	chainPath: string,
	fd: number,
	bytes: number,
	{ firstSeq, headerBytes }: { readonly firstSeq: number; readonly headerBytes: Uint8Array },
): string {
	const temporary = temporaryPathOf(chainPath)
	copyTo(system, temporary, fd, 0, bytes, system.fstatSync(fd).mode & 0o777, headerBytes)
	for (let copy = 0; ; copy++) {
		const sealedPath = segmentPathOf(chainPath, firstSeq, copy)
		if (exists(system, sealedPath)) {
			// An attempt before this one came so far: only names were not on disk.
			if (!isCopyOf(system, sealedPath, temporary, bytes)) continue
			removeQuietly(system, temporary)
			syncDirectory(system, dirname(chainPath))
			return sealedPath
		}
		const { unsynced } = putFirstInPlace(system, temporary, sealedPath)
		if (unsynced !== undefined) throw unsynced
		return sealedPath
	}
}

function isCopyOf(system: FileSystem, path: string, other: string, bytes: number): boolean {
	if (system.statSync(path).size !== bytes) return false
	const [fd, otherFd] = [path, other].map((each) => openOurs(system, each, O_RDONLY))
	try {
		for (let done = 0; done < bytes; done += COPY_BYTES) {
			const length = Math.min(COPY_BYTES, bytes - done)
			if (!readFully(system, fd!, length, done).equals(readFully(system, otherFd!, length, done)))
				return false
		}
		return true
	} finally {
		closeQuietly(system, fd!)
		closeQuietly(system, otherFd!)
	}
}

/** Takes a file that somebody put in the place of the live one out of the way. */
export function moveAside(system: FileSystem, chainPath: string): void {
	try {
		system.renameSync(chainPath, `${chainPath}.replaced-${randomBytes(4).toString('hex')}`)
	} catch (error) {
		if (systemCode(error) !== 'ENOENT') throw error
	}
}

function copyTo(
	system: FileSystem,
	path: string,
	fd: number,
	offset: number,
	bytes: number,
	mode = 0o600,
	head: Uint8Array = new Uint8Array(0),
): void {
	const copy = openOurs(system, path, O_WRONLY | O_CREAT | O_EXCL, mode)
	try {
		for (let done = 0; done < bytes; ) {
			const piece = readFully(system, fd, Math.min(COPY_BYTES, bytes - done), offset + done)
			if (piece.length === 0) break
			writeFully(system, copy, piece, done)
			done += piece.length
		}
		writeFully(system, copy, head, 0)
		system.fsyncSync(copy)
	} catch (error) {
		removeQuietly(system, path)
		throw error
	} finally {
		closeQuietly(system, copy)
	}
}

const ADVICE: Readonly<Record<string, string>> = {
	ENOENT: 'the directory does not exist: create it first',
	ENOTDIR: 'a part of the path is not a directory',
	EACCES: 'permission denied: this user may not write there',
	EPERM: 'permission denied: this user may not write there',
	EISDIR: 'it is a directory: name a file in it',
	ELOOP: 'it is a symbolic link: name the file itself',
	EFTYPE: 'it is no regular file: move away what stands there',
	ENXIO: 'it is no regular file: move away what stands there',
	EROFS: 'the file system is read-only',
	ENOSPC: 'the disk is full',
	EMFILE: 'this process has too many files open',
}

/** Any failure to open a chain for writing, with what to do about it. */
export function unreadable(path: string, error: unknown): MeshChainError {
	if (error instanceof MeshChainError) return error
	const advice = ADVICE[systemCode(error) ?? '']
	const reason = advice === undefined ? messageOf(error) : `${advice} (${systemCode(error)})`
	return new MeshChainError('CHAIN_UNREADABLE', `cannot open ${show(path)} for writing: ${reason}`, {
		path,
		cause: error,
	})
}

/**
 * The one name of a chain that is to be written, since the lock must be the same whichever way leads there: absolute, links in its directory followed; `{pid}` becomes the process id.
 *
 * @throws {MeshChainError} `INVALID_PATH`; `CHAIN_UNREADABLE` where the directory cannot be reached.
 */
export function writablePath(path: unknown, system: FileSystem): string {
	const absolute = resolve(checkPath('a chain', path).replaceAll('{pid}', String(process.pid)))
	try {
		return join(system.realpathSync(dirname(absolute)), basename(absolute))
	} catch (error) {
		const reason = systemCode(error) === 'ENOENT' ? 'it does not exist: create it first' : messageOf(error)
		throw new MeshChainError('CHAIN_UNREADABLE', `cannot open the directory of ${show(path)}: ${reason}`, {
			path: absolute,
			cause: error,
		})
	}
}
