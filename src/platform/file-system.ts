/**
 * The interface to the file system, and the only module outside the CLI that imports `node:fs`. Tests inject
 * a file system that fails on command. A method without a description works like the one in `node:fs` with
 * the same name.
 */
import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { dirname } from 'node:path'

/** The fields of a file's status that mesh-chain uses. */
export interface FileStat {
	readonly size: number
	readonly ino: number
	readonly dev: number
	readonly mode: number
	/** Number of hard links to the file; 0 after the file is removed. */
	readonly nlink: number
	isFile(): boolean
	isDirectory(): boolean
}

/** The file system calls that mesh-chain uses. */
export interface FileSystem {
	openSync(path: string, flags: number, mode?: number): number
	closeSync(fd: number): void
	/**
	 * Reads bytes and returns the number read. May read fewer bytes than requested. Returns 0 at the end of the
	 * file.
	 */
	readSync(fd: number, buffer: Uint8Array, offset: number, length: number, position: number): number
	/**
	 * Writes bytes and returns the number written. May write fewer bytes than requested without an error, so
	 * callers must check the returned number. A position of `null` means the end of the file at the time of the
	 * write, and requires `O_APPEND`.
	 */
	writeSync(fd: number, buffer: Uint8Array, offset: number, length: number, position: number | null): number
	fstatSync(fd: number): FileStat
	statSync(path: string): FileStat
	ftruncateSync(fd: number, length: number): void
	fsyncSync(fd: number): void
	fdatasyncSync(fd: number): void
	linkSync(existingPath: string, newPath: string): void
	renameSync(oldPath: string, newPath: string): void
	unlinkSync(path: string): void
	realpathSync(path: string): string
	/**
	 * Creates a directory and its parents. Does nothing if the directory exists. Without this method,
	 * directories must already exist.
	 */
	mkdirSync?(path: string): void
	/** Returns the names in a directory, in any order. */
	readdirSync(path: string): string[]
	readFileSync(path: string): Buffer
	/**
	 * Tries to acquire the exclusive kernel lock on an open file, without waiting. The kernel releases the lock
	 * when the descriptor is closed, or when the process ends for any reason. Returns `unavailable` if the
	 * system has no such lock.
	 */
	lockSync(fd: number): 'taken' | 'held' | 'unavailable'
	open(path: string, flags: number): Promise<number>
	close(fd: number): Promise<void>
	/** Reads bytes and returns the number read. For a pipe, the position is -1. */
	read(fd: number, buffer: Uint8Array, offset: number, length: number, position: number): Promise<number>
	fstat(fd: number): Promise<FileStat>
	fdatasync(fd: number): Promise<void>
	/**
	 * Calls `hint` when the file may have changed. A change may go unreported, and a call does not imply a
	 * change. Returns a function that stops watching. Does nothing if watching is not possible.
	 */
	watch(path: string, hint: () => void): () => void
}

/** Flags for `open`. */
export const {
	O_APPEND,
	O_CREAT,
	O_EXCL,
	O_RDONLY,
	O_RDWR,
	O_TRUNC,
	O_WRONLY,
	// Windows does not define these flags.
	O_NOFOLLOW = 0,
	O_NOCTTY = 0,
	O_NONBLOCK = 0,
} = fs.constants as Partial<typeof fs.constants> & typeof fs.constants

/** Node's file system. */
export const nodeFileSystem: FileSystem = {
	openSync: fs.openSync,
	closeSync: fs.closeSync,
	readSync: fs.readSync,
	writeSync: fs.writeSync,
	fstatSync: (fd) => fs.fstatSync(fd),
	statSync: (path) => fs.statSync(path),
	ftruncateSync: fs.ftruncateSync,
	fsyncSync: fs.fsyncSync,
	fdatasyncSync: fs.fdatasyncSync,
	linkSync: fs.linkSync,
	renameSync: fs.renameSync,
	unlinkSync: fs.unlinkSync,
	realpathSync: (path) => fs.realpathSync(path),
	mkdirSync: makeDirectory,
	readdirSync: (path) => fs.readdirSync(path),
	readFileSync: (path) => fs.readFileSync(path),
	lockSync: lockFile,
	open: (path, flags) => callback((done) => fs.open(path, flags, done)),
	close: (fd) => callback((done) => fs.close(fd, done)),
	read: (fd, buffer, offset, length, position) =>
		callback((done) => fs.read(fd, buffer, offset, length, position, done)),
	fstat: (fd) => callback<FileStat>((done) => fs.fstat(fd, done)),
	fdatasync: (fd) => callback((done) => fs.fdatasync(fd, done)),
	watch: watchFile,
}

/**
 * Creates a directory level by level. Node's own recursive call never returns on a file system that refuses
 * new names, such as `/proc`.
 */
function makeDirectory(path: string): void {
	if (makeLevel(path)) return
	makeDirectory(dirname(path))
	// The second failure, for example because the parent has just been removed, is thrown.
	if (!makeLevel(path)) fs.mkdirSync(path)
}

/** Creates one directory, unless it exists. Returns false if its parent does not exist. */
function makeLevel(path: string): boolean {
	try {
		fs.mkdirSync(path)
	} catch (error) {
		const code = systemCode(error)
		if (code === 'ENOENT' && dirname(path) !== path) return false
		if (code !== 'EEXIST' || !fs.statSync(path).isDirectory()) throw error
	}
	return true
}

/**
 * Tries to acquire the kernel lock. Node has no flock call, but `flock(1)` locks the open file that it
 * inherits, and the file stays locked after `flock` exits.
 */
function lockFile(fd: number): 'taken' | 'held' | 'unavailable' {
	const { status, error } = spawnSync('flock', ['-xn', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] })
	if (error !== undefined) return 'unavailable'
	if (status === 0) return 'taken'
	return status === 1 ? 'held' : 'unavailable'
}

function watchFile(path: string, hint: () => void): () => void {
	try {
		const watcher = fs.watch(path, { persistent: false }, hint)
		// The system has run out of watches or does not support watching. Polling still detects every change, but
		// later.
		watcher.on('error', () => watcher.close())
		return () => watcher.close()
	} catch {
		return () => {}
	}
}

function callback<T>(start: (done: (error: Error | null, value?: T) => void) => void): Promise<T> {
	return new Promise((resolve, reject) => {
		start((error, value) => (error ? reject(error) : resolve(value as T)))
	})
}

/**
 * Writes bytes to a descriptor at its current position, in a thread of Node's pool. Resolves with the
 * number of bytes written. A blocking descriptor blocks that thread until its reader reads.
 */
export function writeInThread(fd: number, bytes: Uint8Array, offset: number): Promise<number> {
	return callback((done) => fs.write(fd, bytes, offset, bytes.length - offset, null, done))
}

/** Closes a descriptor. Errors are ignored, because they do not affect earlier syncs. */
export function closeQuietly(system: FileSystem, fd: number): void {
	try {
		system.closeSync(fd)
	} catch {
		// The kernel closes the descriptor despite the error.
	}
}

/**
 * Opens a file of a chain. Every file of a chain is opened with this function. Invariant: the call never
 * blocks, even if the name refers to a pipe, a folder, a socket, a device or a link.
 *
 * @throws The system error, or an error with the code `EFTYPE` if the name does not refer to a regular file.
 */
export function openOurs(system: FileSystem, path: string, flags: number, mode?: number): number {
	// Without O_NONBLOCK, opening a named pipe blocks until its other end is opened.
	const fd = system.openSync(path, flags | O_NOFOLLOW | O_NONBLOCK, mode)
	// With O_EXCL, this call has created the file, so it is a regular file.
	if ((flags & O_EXCL) !== 0) return fd
	try {
		if (system.fstatSync(fd).isFile()) return fd
		throw Object.assign(new Error('not a regular file'), { code: 'EFTYPE' })
	} catch (error) {
		closeQuietly(system, fd)
		throw error
	}
}

/** An open file and its file system. */
export interface OpenFile {
	readonly system: FileSystem
	readonly fd: number
}

/**
 * Opens a file like {@link openOurs}, runs `work`, and closes the file.
 *
 * @throws Any error from `openOurs` or `work`.
 */
export function withFile<T>(system: FileSystem, path: string, flags: number, work: (file: OpenFile) => T): T {
	const fd = openOurs(system, path, flags)
	try {
		return work({ system, fd })
	} finally {
		closeQuietly(system, fd)
	}
}

/** Removes a temporary file. Errors are ignored. */
export function removeQuietly(system: FileSystem, path: string): void {
	try {
		system.unlinkSync(path)
	} catch {
		// A leftover file is harmless, because no other file uses this name.
	}
}

/** Returns whether two file statuses belong to the same file, even under different names. */
export function isSameFile(a: Pick<FileStat, 'ino' | 'dev'>, b: Pick<FileStat, 'ino' | 'dev'>): boolean {
	return a.ino === b.ino && a.dev === b.dev
}

/** Returns whether a name still refers to the given file. */
export function isNamed(system: FileSystem, path: string, file: Pick<FileStat, 'ino' | 'dev'>): boolean {
	try {
		return isSameFile(system.statSync(path), file)
	} catch (error) {
		if (systemCode(error) === 'ENOENT') return false
		throw error
	}
}

/** Returns the error code of a failed system call, such as `ENOSPC`; undefined if there is none. */
export function systemCode(error: unknown): string | undefined {
	return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
		? error.code
		: undefined
}

/** Error codes that indicate a temporary condition, such as a lack of descriptors, memory or buffers. */
const MOMENTARY = ['EMFILE', 'ENFILE', 'EAGAIN', 'EINTR', 'ENOMEM', 'ENOBUFS']

/** Returns whether a retry may succeed soon. The error's `cause` is also checked. */
export function isMomentary(error: unknown): boolean {
	const cause = error instanceof Error ? error.cause : undefined
	return [error, cause].some((each) => MOMENTARY.includes(systemCode(each) ?? ''))
}

/**
 * Error codes for a name that does not refer to a regular file: a missing file, a link, a folder, a socket, a
 * pipe, or a path with a component that is not a folder.
 */
export const NOT_THERE: readonly string[] = ['ENOENT', 'ENOTDIR', 'ELOOP', 'EISDIR', 'ENXIO', 'EFTYPE']

/** Returns whether a name exists. */
export function exists(system: FileSystem, path: string): boolean {
	try {
		system.statSync(path)
		return true
	} catch (error) {
		if (systemCode(error) === 'ENOENT') return false
		throw error
	}
}

/** Reads `length` bytes, or fewer if the file ends earlier. */
export function readFully(system: FileSystem, fd: number, length: number, position: number): Buffer {
	const bytes = Buffer.allocUnsafeSlow(length)
	let done = 0
	while (done < length) {
		const count = system.readSync(fd, bytes, done, length - done, position + done)
		if (count === 0) break
		done += count
	}
	return bytes.subarray(0, done)
}

/**
 * Writes all of `bytes[start, end)` or throws. If an error cuts a write short, the next write throws that
 * error.
 */
export function writeFully(
	system: FileSystem,
	fd: number,
	bytes: Uint8Array,
	position: number,
	start = 0,
	end = bytes.length,
): void {
	let done = start
	while (done < end) {
		const count = system.writeSync(fd, bytes, done, end - done, position + done - start)
		if (count === 0) throw Object.assign(new Error('the write accepted no bytes'), { code: 'EIO' })
		done += count
	}
}

/**
 * Error codes from systems that cannot sync a directory, such as Windows and some network file systems. Any
 * other code is treated as an error.
 */
const NO_DIRECTORY_SYNC = ['EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EISDIR', 'EBADF', 'EPERM', 'EACCES']

/**
 * Syncs a directory, so that a new or renamed name survives a power loss. Does nothing on systems that cannot
 * sync directories.
 */
export function syncDirectory(system: FileSystem, directory: string): void {
	let fd: number | undefined
	try {
		fd = system.openSync(directory, O_RDONLY)
		system.fsyncSync(fd)
	} catch (error) {
		if (!NO_DIRECTORY_SYNC.includes(systemCode(error) ?? '')) throw error
	} finally {
		if (fd !== undefined) system.closeSync(fd)
	}
}
