/**
 * Opens a chain file for writing, or creates it. A header appears whole: written under another name, synced, and
 * then linked to its own, so that no reader and no crash ever meets half of one. The caller holds the lock.
 */
import { randomBytes } from 'node:crypto'
import { dirname } from 'node:path'
import { MeshChainError, messageOf } from '../errors.ts'
import { show } from '../record.ts'
import {
	type FileSystem,
	O_CREAT,
	O_EXCL,
	O_NOFOLLOW,
	O_RDWR,
	O_WRONLY,
	readFully,
	syncDirectory,
	systemCode,
	writeFully,
} from './file-system.ts'
import { ANCHOR_BYTES } from './format/anchor.ts'
import { CHAIN_ID_BYTES, encodeHeader, HEADER_BYTES } from './format/header.ts'
import { type ChainEnd, type ChainIdentity, identify, readChainEnd } from './recovery.ts'

/** What became of the end of a chain that was opened. */
export interface TailCut {
	/** `torn`: an entry was being written when the writer died. `damaged`: bytes that no killed process leaves. */
	readonly verdict: 'torn' | 'damaged'
	readonly offset: number
	readonly bytes: number
	/** Where the cut bytes are kept; remove the file when nobody needs it. */
	readonly keptAt: string
}

export interface OpenedChain {
	readonly fd: number
	readonly identity: ChainIdentity
	readonly end: ChainEnd
	readonly cut: TailCut | undefined
}

/**
 * @throws {MeshChainError} `NOT_A_CHAIN`, `HEADER_DAMAGED`, `NEWER_VERSION`, `CHAIN_UNREADABLE`; none of them leaves a trace in
 * the file.
 */
export function openForWriting(system: FileSystem, path: string, mode: number, nowMs: number): OpenedChain {
	const fd = openExisting(system, path) ?? createChain(system, path, mode, nowMs)
	try {
		const { size } = system.fstatSync(fd)
		const identity = identify(readFully(system, fd, HEADER_BYTES + ANCHOR_BYTES, 0), path)
		const end = readChainEnd(system, fd, size, identity)
		const cut = end.suffix && cutSuffix(system, path, fd, end.suffix)
		return { fd, identity, end, cut }
	} catch (error) {
		system.closeSync(fd)
		throw error instanceof MeshChainError ? error : unreadable(path, error)
	}
}

/** The file, unless there is none or none worth keeping: what is empty or begins a header is copied aside. */
function openExisting(system: FileSystem, path: string): number | undefined {
	let fd: number
	try {
		fd = system.openSync(path, O_RDWR | O_NOFOLLOW)
	} catch (error) {
		if (systemCode(error) === 'ENOENT') return undefined
		throw unreadable(path, error)
	}
	try {
		const stat = system.fstatSync(fd)
		if (!stat.isFile()) throw unreadable(path, new Error('not a regular file'))
		if (stat.size >= HEADER_BYTES || !isUnfinished(readFully(system, fd, stat.size, 0), path)) return fd
		if (stat.size > 0) keepAside(system, path, fd, 0, stat.size)
		system.closeSync(fd)
		system.unlinkSync(path)
		return undefined
	} catch (error) {
		system.closeSync(fd)
		throw error
	}
}

function isUnfinished(bytes: Buffer, path: string): boolean {
	try {
		identify(bytes, path)
		return false
	} catch (error) {
		if (error instanceof MeshChainError && error.code === 'CHAIN_EMPTY') return true
		throw error
	}
}

function createChain(system: FileSystem, path: string, mode: number, nowMs: number): number {
	const temporary = `${path}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`
	let fd: number | undefined
	try {
		fd = system.openSync(temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode)
		writeFully(system, fd, encodeHeader(randomBytes(CHAIN_ID_BYTES), nowMs), 0)
		system.fsyncSync(fd)
		linkInPlace(system, temporary, path)
		syncDirectory(system, dirname(path))
		return fd
	} catch (error) {
		if (fd !== undefined) system.closeSync(fd)
		removeQuietly(system, temporary)
		throw unreadable(path, error)
	}
}

/** Never takes the place of a file that came meanwhile, where the file system knows hard links. */
function linkInPlace(system: FileSystem, temporary: string, path: string): void {
	try {
		system.linkSync(temporary, path)
	} catch (error) {
		const code = systemCode(error)
		if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EOPNOTSUPP' && code !== 'ENOSYS') throw error
		system.renameSync(temporary, path)
		return
	}
	removeQuietly(system, temporary)
}

function removeQuietly(system: FileSystem, path: string): void {
	try {
		system.unlinkSync(path)
	} catch {
		// A left-over temporary file is untidy, not wrong.
	}
}

/** Keeps the suffix aside, and only when that is on disk cuts it. */
function cutSuffix(
	system: FileSystem,
	path: string,
	fd: number,
	suffix: NonNullable<ChainEnd['suffix']>,
): TailCut {
	const keptAt = keepAside(system, path, fd, suffix.offset, suffix.bytes)
	system.ftruncateSync(fd, suffix.offset)
	system.fsyncSync(fd)
	return { verdict: suffix.torn ? 'torn' : 'damaged', offset: suffix.offset, bytes: suffix.bytes, keptAt }
}

const COPY_BYTES = 1024 * 1024

function keepAside(system: FileSystem, path: string, fd: number, offset: number, bytes: number): string {
	const keptAt = `${path}.cut-${offset}-${randomBytes(4).toString('hex')}`
	const copy = system.openSync(keptAt, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
	try {
		for (let done = 0; done < bytes; ) {
			const piece = readFully(system, fd, Math.min(COPY_BYTES, bytes - done), offset + done)
			if (piece.length === 0) break
			writeFully(system, copy, piece, done)
			done += piece.length
		}
		system.fsyncSync(copy)
	} finally {
		system.closeSync(copy)
	}
	syncDirectory(system, dirname(path))
	return keptAt
}

const ADVICE: Readonly<Record<string, string>> = {
	ENOENT: 'the directory does not exist: create it first',
	ENOTDIR: 'a part of the path is not a directory',
	EACCES: 'permission denied: this user may not write there',
	EPERM: 'permission denied: this user may not write there',
	EISDIR: 'it is a directory: name a file in it',
	ELOOP: 'it is a symbolic link: name the file itself',
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
