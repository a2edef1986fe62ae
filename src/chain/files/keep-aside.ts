/**
 * Saves bytes of a chain that are about to be cut, replaced or lost, by copying them to another file beside
 * the chain. The caller holds the lock.
 */
import { randomBytes } from 'node:crypto'
import { dirname } from 'node:path'
import { putFirstInPlace, temporaryPathOf } from '../../platform/atomic-file.ts'
import {
	closeQuietly,
	exists,
	type FileSystem,
	O_CREAT,
	O_EXCL,
	O_RDONLY,
	O_WRONLY,
	type OpenFile,
	openOurs,
	readFully,
	removeQuietly,
	syncDirectory,
	systemCode,
	withFile,
	writeFully,
} from '../../platform/file-system.ts'
import { segmentPathOf } from './segments.ts'

const COPY_BYTES = 1024 * 1024

/**
 * Copies `bytes` bytes, starting at `offset`, to a new file beside the chain, and syncs the copy. Returns the
 * path of the copy.
 */
export function keepAside(chainPath: string, file: OpenFile, offset: number, bytes: number): string {
	const keptAt = `${chainPath}.cut-${offset}-${randomBytes(4).toString('hex')}`
	copyToNewFile(file, { offset, bytes }, { path: keptAt, mode: 0o600 })
	syncDirectory(file.system, dirname(chainPath))
	return keptAt
}

/**
 * Copies bytes as {@link keepAside} does, then truncates the original file at `offset` and syncs it. Returns
 * the path of the copy.
 */
export function cutAndKeepAside(chainPath: string, file: OpenFile, offset: number, bytes: number): string {
	const keptAt = keepAside(chainPath, file, offset, bytes)
	cutOff(file, offset)
	return keptAt
}

/** Truncates a file at `offset` and syncs it. */
export function cutOff({ system, fd }: OpenFile, offset: number): void {
	system.ftruncateSync(fd, offset)
	system.fsyncSync(fd)
}

/**
 * Copies the first `bytes` bytes of a lost live file to a new sealed file. Returns the path of the sealed
 * file. The header is written again, because it may have been cut off.
 */
export function restoreAsSealed(
	chainPath: string,
	file: OpenFile,
	bytes: number,
	{ firstSeq, headerBytes }: { readonly firstSeq: number; readonly headerBytes: Uint8Array },
): string {
	const { system, fd } = file
	const temporary = temporaryPathOf(chainPath)
	const target = { path: temporary, mode: system.fstatSync(fd).mode & 0o777, header: headerBytes }
	copyToNewFile(file, { offset: 0, bytes }, target)
	for (let copy = 0; ; copy++) {
		const sealedPath = segmentPathOf(chainPath, firstSeq, copy)
		if (exists(system, sealedPath)) {
			// If an earlier attempt created this copy, its directory entry may not have been synced.
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
	return withFile(system, path, O_RDONLY, ({ fd }) =>
		withFile(system, other, O_RDONLY, ({ fd: otherFd }) => {
			for (let done = 0; done < bytes; done += COPY_BYTES) {
				const length = Math.min(COPY_BYTES, bytes - done)
				if (!readFully(system, fd, length, done).equals(readFully(system, otherFd, length, done)))
					return false
			}
			return true
		}),
	)
}

/** Moves the file at the live file's path to an unused name. Does nothing if there is no file. */
export function moveAside(system: FileSystem, chainPath: string): void {
	try {
		system.renameSync(chainPath, `${chainPath}.replaced-${randomBytes(4).toString('hex')}`)
	} catch (error) {
		if (systemCode(error) !== 'ENOENT') throw error
	}
}

interface Bytes {
	readonly offset: number
	readonly bytes: number
}

interface NewFile {
	readonly path: string
	readonly mode: number
	/** Header that replaces the first bytes of the copy. */
	readonly header?: Uint8Array
}

function copyToNewFile({ system, fd }: OpenFile, from: Bytes, { path, mode, header }: NewFile): void {
	const copy = openOurs(system, path, O_WRONLY | O_CREAT | O_EXCL, mode)
	try {
		copyBytes({ system, fd }, from, copy)
		if (header !== undefined) writeFully(system, copy, header, 0)
		system.fsyncSync(copy)
	} catch (error) {
		removeQuietly(system, path)
		throw error
	} finally {
		closeQuietly(system, copy)
	}
}

/** Copies bytes from a file to the beginning of another file. Stops at the end of the source. */
export function copyBytes({ system, fd }: OpenFile, { offset, bytes }: Bytes, targetFd: number): void {
	for (let done = 0; done < bytes; ) {
		const piece = readFully(system, fd, Math.min(COPY_BYTES, bytes - done), offset + done)
		if (piece.length === 0) return
		writeFully(system, targetFd, piece, done)
		done += piece.length
	}
}
