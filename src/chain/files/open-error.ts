/** Resolves the path at which a chain is opened for writing, and builds the error for a failed opening. */
import { basename, dirname, join, resolve } from 'node:path'
import { show } from '../../guard/show.ts'
import { checkPath } from '../../model/check.ts'
import { MeshChainError, messageOf } from '../../model/errors.ts'
import { type FileSystem, systemCode } from '../../platform/file-system.ts'

const ADVICE: Readonly<Record<string, string>> = {
	ENOENT: 'the directory does not exist: create it first',
	ENOTDIR: 'part of the path is not a directory',
	EACCES: 'permission denied: this user may not write there',
	EPERM: 'permission denied: this user may not write there',
	EISDIR: 'it is a directory: specify the path of a file in it',
	ELOOP: 'it is a symbolic link: specify the path of the file itself',
	EFTYPE: 'it is not a regular file: move or rename it',
	ENXIO: 'it is not a regular file: move or rename it',
	EROFS: 'the file system is read-only',
	ENOSPC: 'the disk is full',
	EMFILE: 'this process has too many files open',
}

/**
 * Converts an error from opening a chain for writing to `CHAIN_UNWRITABLE`, with advice for common causes.
 * Returns a {@link MeshChainError} unchanged.
 */
export function openError(path: string, error: unknown): MeshChainError {
	if (error instanceof MeshChainError) return error
	const advice = ADVICE[systemCode(error) ?? '']
	const reason = advice === undefined ? messageOf(error) : `${advice} (${systemCode(error)})`
	return new MeshChainError('CHAIN_UNWRITABLE', `cannot open ${show(path)} for writing: ${reason}`, {
		path,
		cause: error,
	})
}

/**
 * Returns the canonical path at which to open a chain for writing. The path is absolute, and symbolic links
 * in its directory are resolved, so all paths to a chain lead to the same lock. `{pid}` is replaced by the
 * process id.
 *
 * @throws {MeshChainError} `INVALID_PATH`, or `CHAIN_UNWRITABLE` if the directory cannot be accessed.
 */
export function writablePath(path: unknown, system: FileSystem): string {
	const absolute = resolve(checkPath('a chain', path).replaceAll('{pid}', String(process.pid)))
	try {
		return join(system.realpathSync(dirname(absolute)), basename(absolute))
	} catch (error) {
		const reason = systemCode(error) === 'ENOENT' ? 'it does not exist; create it first' : messageOf(error)
		throw new MeshChainError('CHAIN_UNWRITABLE', `cannot open the directory of ${show(path)}: ${reason}`, {
			path: absolute,
			cause: error,
		})
	}
}
