/** Opens files of a chain for reading, identifies them, and rejects files that are not chains. */
import { resolve } from 'node:path'
import { show } from '../../guard/show.ts'
import { checkPath } from '../../model/check.ts'
import { type ErrorCode, MeshChainError, messageOf } from '../../model/errors.ts'
import { type FileSystem, O_NONBLOCK, O_RDONLY, systemCode } from '../../platform/file-system.ts'
import { identifyFile, listSegments, type Segment } from '../files/segments.ts'
import { readWatermark } from '../files/watermark-file.ts'
import type { OpenSegment } from '../scan/walk.ts'

/**
 * Opens the live file of a chain, or the newest sealed file if there is no live file. The caller must close
 * the file.
 *
 * @throws {MeshChainError} The same codes as `openChain`.
 */
export async function openForReading(path: string, system: FileSystem): Promise<OpenSegment> {
	const chainPath = resolve(checkPath('a chain', path))
	try {
		return await openFile(path, chainPath, system)
	} catch (error) {
		const isGone = error instanceof MeshChainError && NO_LIVE_FILE.includes(error.code)
		if (!isGone) throw error
		const last = lastSealed(system, chainPath)
		if (last === undefined) throw withWhatWasThere(error, system, chainPath)
		return openFile(last.path, chainPath, system)
	}
}

const NO_LIVE_FILE: readonly ErrorCode[] = ['CHAIN_NOT_FOUND', 'CHAIN_EMPTY']

/** Returns the error for a missing or empty file, including the last seq that the watermark records. */
function withWhatWasThere(error: MeshChainError, system: FileSystem, chainPath: string): MeshChainError {
	const watermark = readWatermark(system, chainPath, undefined)
	if (watermark === undefined || watermark.seq === 0) return error
	const what = error.code === 'CHAIN_EMPTY' ? 'was emptied' : 'was removed'
	const text =
		`${show(chainPath)} ${what}: ${show(`${chainPath}.durable`)} shows that records up to seq ` +
		`${watermark.seq} were on disk; restore the file from a copy`
	return new MeshChainError(error.code, text, { path: chainPath, seq: 1, cause: error })
}

function lastSealed(system: FileSystem, chainPath: string): Segment | undefined {
	try {
		return listSegments(system, chainPath, undefined).at(-1)
	} catch (error) {
		// The directory is also missing.
		if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return undefined
		throw asReadError(chainPath, error)
	}
}

/** Opens one file of a chain. The caller must close the file. */
export async function openFile(path: string, chainPath: string, system: FileSystem): Promise<OpenSegment> {
	const fd = await openDescriptor(path, system)
	try {
		const stat = await system.fstat(fd)
		if (!stat.isFile())
			throw unreadable(path, stat.isDirectory() ? 'it is a directory' : 'it is not a regular file')
		return { system, fd, path: resolve(path), chainPath, identity: identifyFile({ system, fd }, path) }
	} catch (error) {
		await system.close(fd)
		throw error instanceof MeshChainError ? error : unreadable(path, messageOf(error), error)
	}
}

async function openDescriptor(path: string, system: FileSystem): Promise<number> {
	try {
		// Without O_NONBLOCK, opening a named pipe would wait for a writer.
		return await system.open(path, O_RDONLY | O_NONBLOCK)
	} catch (error) {
		if (systemCode(error) === 'ENOENT') {
			throw new MeshChainError('CHAIN_NOT_FOUND', `${show(path)} does not exist`, { path, cause: error })
		}
		const reason =
			systemCode(error) === 'EACCES' ? 'permission denied: this user may not read it' : messageOf(error)
		throw unreadable(path, reason, error)
	}
}

/** Wraps a system error from a read in a `MeshChainError`. Returns any other error unchanged. */
export function asReadError(path: string, error: unknown): unknown {
	if (error instanceof MeshChainError || systemCode(error) === undefined) return error
	return unreadable(path, messageOf(error), error)
}

function unreadable(path: string, reason: string, cause?: unknown): MeshChainError {
	return new MeshChainError('CHAIN_UNREADABLE', `cannot read ${show(path)}: ${reason}`, { path, cause })
}
