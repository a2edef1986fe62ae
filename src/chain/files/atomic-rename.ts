/**
 * How a new file of a chain gets its name: whole, and never in the place of a file that belongs there. The
 * name of the live file always leads to a file. The caller holds the lock.
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

/** What a file system without hard links answers. */
export const NO_HARD_LINKS: readonly string[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']

/** A name beside a chain that no other file has, for a file that is not finished. */
export function temporaryPathOf(chainPath: string): string {
	return `${chainPath}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`
}

/** Removes the temporary files of writers that died. They stay where the directory cannot be read. */
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

/**
 * Gives a temporary file its name. A file that has got this name meanwhile stays, where there are hard links.
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
 * The error for a new file that is whole, but whose name may not be on disk. It says that the file is there,
 * so that it is not made a second time.
 */
export function unsyncedName(
	code: 'CHAIN_UNWRITABLE' | 'EXPORT_FAILED',
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
 * Gives the live file the name of a sealed one, and a new file the name of the live one. After a failure in
 * between, both names lead to files that belong there, and a second call finishes the work.
 *
 * @returns also the path of the file that was live.
 */
export function putNextInPlace(
	system: FileSystem,
	temporary: string,
	chainPath: string,
	firstSeq: number,
): Placed & { readonly sealedPath: string } {
	const sealedPath = keepName(system, chainPath, firstSeq)
	// If the new name reached the disk before this one, a power loss would leave the sealed file without a
	// name.
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
				// Without hard links the name of the live file is free for a moment; a crash there is found when it
				// is opened.
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
