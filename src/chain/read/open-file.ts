/** Opens the files of chains for reading, says whose they are, refuses what is no chain. */
import { resolve } from 'node:path'
import { MeshChainError, messageOf } from '../../errors.ts'
import { show } from '../../record.ts'
import { type FileSystem, O_NONBLOCK, O_RDONLY, systemCode } from '../file-system.ts'
import { identifyFile, listSegments } from '../files/segments.ts'
import type { OpenFile } from '../scan/walk.ts'

/**
 * The live file of a chain, or the last sealed one where that is all there is; the caller closes it.
 *
 * @throws {MeshChainError} what `openChain` throws.
 */
export async function openForReading(path: string, system: FileSystem): Promise<OpenFile> {
	if (typeof path !== 'string' || path === '' || path.includes('\0')) {
		throw new MeshChainError(
			'INVALID_PATH',
			`the path of a chain must be a non-empty text, not ${show(path)}`,
		)
	}
	const chainPath = resolve(path)
	try {
		return await openFile(path, chainPath, system)
	} catch (error) {
		const last =
			error instanceof MeshChainError && error.code === 'CHAIN_NOT_FOUND'
				? lastSealed(system, chainPath)
				: undefined
		if (last === undefined) throw error
		return openFile(last.path, chainPath, system)
	}
}

function lastSealed(system: FileSystem, chainPath: string) {
	try {
		return listSegments(system, chainPath, undefined).at(-1)
	} catch {
		// There is no such directory either.
		return undefined
	}
}

/** One file of a chain. */
export async function openFile(path: string, chainPath: string, system: FileSystem): Promise<OpenFile> {
	const fd = await openDescriptor(path, system)
	try {
		const stat = await system.fstat(fd)
		if (!stat.isFile())
			throw unreadable(path, stat.isDirectory() ? 'it is a directory' : 'it is no regular file')
		return { system, fd, path: resolve(path), chainPath, identity: identifyFile(system, fd, path) }
	} catch (error) {
		await system.close(fd)
		throw error instanceof MeshChainError ? error : unreadable(path, messageOf(error), error)
	}
}

async function openDescriptor(path: string, system: FileSystem): Promise<number> {
	try {
		// Without O_NONBLOCK, opening a named pipe would wait for somebody to write into it.
		return await system.open(path, O_RDONLY | O_NONBLOCK)
	} catch (error) {
		if (systemCode(error) === 'ENOENT') {
			throw new MeshChainError('CHAIN_NOT_FOUND', `there is no file ${show(path)}`, { path, cause: error })
		}
		const reason =
			systemCode(error) === 'EACCES' ? 'permission denied: this user may not read it' : messageOf(error)
		throw unreadable(path, reason, error)
	}
}

function unreadable(path: string, reason: string, cause?: unknown): MeshChainError {
	return new MeshChainError('CHAIN_UNREADABLE', `cannot read ${show(path)}: ${reason}`, { path, cause })
}
