/**
 * Gives new files of a chain their names. A file gets its name only when it is complete, and never replaces a
 * file that belongs there. The name of the live file always leads to a file. The caller holds the lock.
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

/** Error codes of file systems without hard links. */
export const NO_HARD_LINKS: readonly string[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']

/** Returns an unused path next to a chain, for an unfinished file. */
export function temporaryPathOf(chainPath: string): string {
	return `${chainPath}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`
}

/** Removes the temporary files of dead writers. The files stay if the directory cannot be read. */
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
	/** Reason why the name may not be on disk; undefined if it is. */
	readonly unsynced: unknown
}

/**
 * Gives a temporary file its name. On file systems with hard links, a file that got this name meanwhile is
 * not replaced.
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
 * that the file exists, so that nobody creates it again.
 */
export function unsyncedName(
	code: 'CHAIN_UNWRITABLE' | 'EXPORT_FAILED',
	path: string,
	unsynced: unknown,
): MeshChainError {
	const text =
		`${show(path)} exists and is complete, but its folder could not be synced ` +
		`(${messageOf(unsynced)}): until it is, a power loss may remove the name`
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
 * Renames the live file to a sealed file, and a new file to the live file. After a failure in between, both
 * names still lead to the right files, and a second call finishes the work.
 *
 * @returns Also the path of the file that was live.
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
				// Without hard links, the name of the live file is free for a moment. The next opening
				// detects a crash at that point.
				system.renameSync(chainPath, sealedPath)
				return sealedPath
			}
		}
	}
}

/** Returns whether two names lead to the same file. A dangling link leads to no file. */
function isNameOf(system: FileSystem, name: string, path: string): boolean {
	const file = system.statSync(path)
	try {
		return isSameFile(system.statSync(name), file)
	} catch (error) {
		if (['ENOENT', 'ELOOP'].includes(systemCode(error) ?? '')) return false
		throw error
	}
}
