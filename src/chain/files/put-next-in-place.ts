/**
 * Replaces the live file of a chain with the next file. On file systems with hard links, the path of the live
 * file always refers to a file. The caller holds the lock.
 */
import { dirname } from 'node:path'
import { NO_HARD_LINKS, type Placed, replaceFile } from '../../platform/atomic-file.ts'
import { exists, type FileSystem, isSameFile, syncDirectory, systemCode } from '../../platform/file-system.ts'
import { segmentPathOf } from './segments.ts'

/**
 * Moves the live file to the path of a sealed file, then moves a new file to the path of the live file. With
 * hard links, a failure between the two steps leaves the old file at both paths, and a second call completes
 * the replacement.
 *
 * @returns The result of the replacement, and the path of the sealed file.
 */
export function putNextInPlace(
	system: FileSystem,
	temporary: string,
	chainPath: string,
	firstSeq: number,
): Placed & { readonly sealedPath: string } {
	const sealedPath = keepName(system, chainPath, firstSeq)
	// If the new live file reached the disk before the sealed file's name, a power loss would leave the sealed
	// file without a name.
	syncDirectory(system, dirname(chainPath))
	return { sealedPath, ...replaceFile(system, temporary, chainPath) }
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
				// Without hard links, there is briefly no file at the path of the live file. The next opening detects
				// a crash at that point.
				system.renameSync(chainPath, sealedPath)
				return sealedPath
			}
		}
	}
}

/** Returns whether two names refer to the same file. A dangling link does not refer to any file. */
function isNameOf(system: FileSystem, name: string, path: string): boolean {
	const file = system.statSync(path)
	try {
		return isSameFile(system.statSync(name), file)
	} catch (error) {
		if (['ENOENT', 'ELOOP'].includes(systemCode(error) ?? '')) return false
		throw error
	}
}
