/**
 * Creates and replaces files atomically, so that a name never refers to an incomplete file. The caller writes
 * and syncs a file under a temporary name. These functions then move the file to its final name and sync the
 * directory.
 */
import { randomBytes } from 'node:crypto'
import { basename, dirname, join } from 'node:path'
import { type FileSystem, removeQuietly, syncDirectory, systemCode } from './file-system.ts'

/** Error codes from file systems that do not support or permit a hard link. */
export const NO_HARD_LINKS: readonly string[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']

/** Returns a unique path for a temporary file, in the directory of the final file. */
export function temporaryPathOf(path: string): string {
	return `${path}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`
}

/**
 * Removes the temporary files for a path, which remain if a process is killed. The caller must hold the lock
 * on the chain. Does nothing if the directory cannot be read.
 */
export function removeTemporaries(system: FileSystem, path: string): void {
	const stem = basename(path)
	for (const name of namesIn(system, dirname(path))) {
		const isOurs = name.startsWith(`${stem}.`) && /^\d+-[0-9a-f]{8}\.tmp$/.test(name.slice(stem.length + 1))
		if (isOurs) removeQuietly(system, join(dirname(path), name))
	}
}

function namesIn(system: FileSystem, directory: string): string[] {
	try {
		return system.readdirSync(directory)
	} catch {
		return []
	}
}

/** The result of moving a file to its final name. */
export interface Placed {
	/** Error from the sync of the directory; undefined if the sync succeeded. */
	readonly unsynced: unknown
}

/**
 * Moves a temporary file to an unused name. On file systems with hard links, throws instead of replacing a
 * file that another process has created under that name.
 */
export function putFirstInPlace(system: FileSystem, temporary: string, path: string): Placed {
	try {
		system.linkSync(temporary, path)
		removeQuietly(system, temporary)
	} catch (error) {
		if (!NO_HARD_LINKS.includes(systemCode(error) ?? '')) throw error
		system.renameSync(temporary, path)
	}
	return syncedName(system, path)
}

/**
 * Replaces a file with a temporary file. The name always refers to either the old file or the new file, even
 * after a power loss.
 */
export function replaceFile(system: FileSystem, temporary: string, path: string): Placed {
	system.renameSync(temporary, path)
	return syncedName(system, path)
}

function syncedName(system: FileSystem, path: string): Placed {
	try {
		syncDirectory(system, dirname(path))
		return { unsynced: undefined }
	} catch (unsynced) {
		return { unsynced }
	}
}

/**
 * Returns the result of a move if the directory was synced.
 *
 * @throws The error from the failed sync.
 */
export function requireSynced<P extends Placed>(placed: P): P {
	if (placed.unsynced !== undefined) throw placed.unsynced
	return placed
}
