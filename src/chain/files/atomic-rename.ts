/**
 * Gives new files of a chain their names. A file receives its name only after it is complete. On file systems
 * with hard links, a new file never replaces a file that must stay, and the name of the live file always
 * refers to a file. The caller holds the lock.
 */
import { randomBytes } from 'node:crypto'
import { basename, dirname, join } from 'node:path'
import { show } from '../../guard/show.ts'
import { MeshChainError, messageOf } from '../../model/errors.ts'
import {
	exists,
	type FileSystem,
	isSameFile,
	removeQuietly,
	syncDirectory,
	systemCode,
} from '../../platform/file-system.ts'
import { segmentPathOf } from './segments.ts'

/** Error codes that mean that the file system cannot create a hard link. */
export const NO_HARD_LINKS: readonly string[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']

/** Returns an unused path beside a chain for an unfinished file. */
export function temporaryPathOf(chainPath: string): string {
	return `${chainPath}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`
}

/** Removes temporary files that dead writers left. Does nothing if the directory cannot be read. */
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

/** The result of giving a file its name. */
export interface Placed {
	/** Reason why the name may not be on disk; undefined if the name is on disk. */
	readonly unsynced: unknown
}

/**
 * Gives a temporary file its name. On file systems with hard links, it does not replace a file that received
 * this name in the meantime.
 */
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

/**
 * Creates the error for a new file that is complete, but whose name may not be on disk. The message states
 * that the file exists, so that the user does not create it again.
 */
export function unsyncedName(
	code: 'CHAIN_UNWRITABLE' | 'EXPORT_FAILED',
	path: string,
	unsynced: unknown,
): MeshChainError {
	const text =
		`${show(path)} exists and is complete, but its folder could not be synced ` +
		`(${messageOf(unsynced)}): until the folder is synced, a power loss may remove the file's name`
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
 * Gives the live file the name of a sealed file, and then gives a new file the name of the live file. With
 * hard links, both names refer to the old file after a failure between the two steps, and a second call
 * finishes the work.
 *
 * @returns the result, and the path of the sealed file.
 */
export function putNextInPlace(
	system: FileSystem,
	temporary: string,
	chainPath: string,
	firstSeq: number,
): Placed & { readonly sealedPath: string } {
	const sealedPath = keepName(system, chainPath, firstSeq)
	// If the new name of the live file reached the disk first, a power loss would leave the sealed file
	// without a name.
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
				// Without hard links, there is a moment at which no file has the name of the live file. The
				// next opening detects a crash at that point.
				system.renameSync(chainPath, sealedPath)
				return sealedPath
			}
		}
	}
}

/** Returns whether two names refer to the same file. A dangling link refers to no file. */
function isNameOf(system: FileSystem, name: string, path: string): boolean {
	const file = system.statSync(path)
	try {
		return isSameFile(system.statSync(name), file)
	} catch (error) {
		if (['ENOENT', 'ELOOP'].includes(systemCode(error) ?? '')) return false
		throw error
	}
}
