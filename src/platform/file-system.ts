/**
 * Everything a chain asks of the file system, as one port: the only importer of `node:fs` here. Tests pass one that fails on
 * command. The calls mean what those of `node:fs` with the same names mean.
 */
import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { dirname } from 'node:path'

export interface FileStat {
	readonly size: number
	readonly ino: number
	readonly dev: number
	readonly mode: number
	/** How many names the file has; 0 when it was removed. */
	readonly nlink: number
	isFile(): boolean
	isDirectory(): boolean
}

export interface FileSystem {
	openSync(path: string, flags: number, mode?: number): number
	closeSync(fd: number): void
	/** May return fewer bytes than asked for; 0 at the end. */
	readSync(fd: number, buffer: Uint8Array, offset: number, length: number, position: number): number
	/**
	 * May write fewer bytes than asked for, without an error: always compare. `null` as position is the end of a file that was
	 * opened with `O_APPEND`, wherever that is when it is written.
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
	/** Makes a directory, and those that it is to be in; does nothing where it is there. Without it, directories have to be there. */
	mkdirSync?(path: string): void
	/** The names in a directory, in any order. */
	readdirSync(path: string): string[]
	readFileSync(path: string): Buffer
	/**
	 * Asks the kernel for the exclusive lock on an open file, which stays until its descriptor is closed, however the process ends.
	 * `unavailable` where there is no way to ask.
	 */
	lockSync(fd: number): 'taken' | 'held' | 'unavailable'
	open(path: string, flags: number): Promise<number>
	close(fd: number): Promise<void>
	/** At position -1 a pipe is read on. */
	read(fd: number, buffer: Uint8Array, offset: number, length: number, position: number): Promise<number>
	fstat(fd: number): Promise<FileStat>
	fdatasync(fd: number): Promise<void>
	/**
	 * Calls `hint` when the file may have changed: never sure to, never sure that it has. Returns the undo. Where watching is
	 * not possible it does nothing.
	 */
	watch(path: string, hint: () => void): () => void
}

export const {
	O_APPEND,
	O_CREAT,
	O_EXCL,
	O_RDONLY,
	O_RDWR,
	O_TRUNC,
	O_WRONLY,
	// Windows has no such flag, and no such links either.
	O_NOFOLLOW = 0,
	O_NONBLOCK = 0,
} = fs.constants as Partial<typeof fs.constants> & typeof fs.constants

/** The real one. */
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

/** Level by level: Node's own recursion never ends where a file system takes no new names, as in `/proc`. */
function makeDirectory(path: string): void {
	try {
		fs.mkdirSync(path)
	} catch (error) {
		const code = systemCode(error)
		if (code === 'EEXIST' && fs.statSync(path).isDirectory()) return
		if (code !== 'ENOENT' || dirname(path) === path) throw error
		makeDirectory(dirname(path))
		fs.mkdirSync(path)
	}
}

/** Node has no flock; `flock(1)` locks the open file that it inherits from us, and the lock stays with it when `flock` has ended. */
function lockFile(fd: number): 'taken' | 'held' | 'unavailable' {
	const { status, error } = spawnSync('flock', ['-xn', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] })
	if (error !== undefined) return 'unavailable'
	if (status === 0) return 'taken'
	return status === 1 ? 'held' : 'unavailable'
}

function watchFile(path: string, hint: () => void): () => void {
	try {
		const watcher = fs.watch(path, { persistent: false }, hint)
		// Out of watches, or a file system without them: polling sees everything too, only later.
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

/** Lets go of a descriptor; an error of that says nothing of what was synced before, and there is nothing to do about it. */
export function closeQuietly(system: FileSystem, fd: number): void {
	try {
		system.closeSync(fd)
	} catch {
		// The kernel has let go of it all the same.
	}
}

/**
 * Opens a file under one of our names. Invariant: whatever stands there instead, a pipe, a folder, a socket, a device or a link, is
 * answered at once. Every name of ours is opened here.
 *
 * @throws what the system says, and an error with the code `EFTYPE` for what is no regular file.
 */
export function openOurs(system: FileSystem, path: string, flags: number, mode?: number): number {
	// Without O_NONBLOCK, opening a named pipe waits for somebody at its other end.
	const fd = system.openSync(path, flags | O_NOFOLLOW | O_NONBLOCK, mode)
	// It was made by this call.
	if ((flags & O_EXCL) !== 0) return fd
	try {
		if (system.fstatSync(fd).isFile()) return fd
		throw Object.assign(new Error('not a regular file'), { code: 'EFTYPE' })
	} catch (error) {
		closeQuietly(system, fd)
		throw error
	}
}

/** An open file, and the file system that it is open in. */
export interface OpenFile {
	readonly system: FileSystem
	readonly fd: number
}

/** Opens a file as {@link openOurs} does, for as long as `work` takes. @throws what either of them throws. */
export function withFile<T>(system: FileSystem, path: string, flags: number, work: (file: OpenFile) => T): T {
	const fd = openOurs(system, path, flags)
	try {
		return work({ system, fd })
	} finally {
		closeQuietly(system, fd)
	}
}

/** Removes a temporary file; one that cannot be removed is untidy, not wrong. */
export function removeQuietly(system: FileSystem, path: string): void {
	try {
		system.unlinkSync(path)
	} catch {
		// Its name is no other file's.
	}
}

/** Whether two looks were at one and the same file, whatever its name. */
export function isSameFile(a: Pick<FileStat, 'ino' | 'dev'>, b: Pick<FileStat, 'ino' | 'dev'>): boolean {
	return a.ino === b.ino && a.dev === b.dev
}

/** Whether a name still leads to a file that was found there before. */
export function isNamed(system: FileSystem, path: string, file: Pick<FileStat, 'ino' | 'dev'>): boolean {
	try {
		return isSameFile(system.statSync(path), file)
	} catch (error) {
		if (systemCode(error) === 'ENOENT') return false
		throw error
	}
}

/** The error code of a failed system call, such as `ENOSPC`. */
export function systemCode(error: unknown): string | undefined {
	return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
		? error.code
		: undefined
}

/** Of a system that is out of something which others give back: descriptors, memory, buffers. */
const MOMENTARY = ['EMFILE', 'ENFILE', 'EAGAIN', 'EINTR', 'ENOMEM', 'ENOBUFS']

/** Whether the same may work in a moment; also of an error that such a failure is the cause of. */
export function isMomentary(error: unknown): boolean {
	const cause = error instanceof Error ? error.cause : undefined
	return [error, cause].some((each) => MOMENTARY.includes(systemCode(each) ?? ''))
}

/** What says that no regular file has a name: nothing, a link, a folder, a socket, a pipe, or no folder that it could be in. */
export const NOT_THERE: readonly string[] = ['ENOENT', 'ENOTDIR', 'ELOOP', 'EISDIR', 'ENXIO', 'EFTYPE']

/** Whether a name leads to anything. */
export function exists(system: FileSystem, path: string): boolean {
	try {
		system.statSync(path)
		return true
	} catch (error) {
		if (systemCode(error) === 'ENOENT') return false
		throw error
	}
}

/** Reads until `length` bytes are there or the file ends; returns what there was. */
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

/** Writes `bytes[start, end)`, or throws: a count that comes back short is followed by the error that explains it. */
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
		if (count === 0) throw Object.assign(new Error('the write took no bytes'), { code: 'EIO' })
		done += count
	}
}

/** Of Windows and some network file systems, which cannot sync a directory. Anything else is a real error. */
const NO_DIRECTORY_SYNC = ['EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EISDIR', 'EBADF', 'EPERM', 'EACCES']

/** Makes a new or renamed name in a directory survive a power loss; where directories cannot be synced, nothing. */
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
