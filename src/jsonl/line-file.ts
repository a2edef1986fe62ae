/**
 * A file to which this process and other processes append lines, while other programs may rename, remove or
 * truncate the file.
 *
 * Invariants:
 * - Each line is written with a single write to a file opened with `O_APPEND`, so it never overwrites the
 *   output of another writer.
 * - This class never truncates the file. After a short write, the partial line is overwritten in place or
 *   terminated with a newline.
 * - A line stays in memory until a check finds the complete line in a file that has a name. A line that is
 *   not found is written again if the file was removed, and is counted as lost if the file was truncated or
 *   overwritten.
 */
import { dirname } from 'node:path'
import { CHAIN_LEAD } from '../chain/index.ts'
import { show } from '../guard/show.ts'
import { MeshChainError, messageOf } from '../model/errors.ts'
import {
	closeQuietly,
	type FileStat,
	type FileSystem,
	isSameFile,
	O_APPEND,
	O_CREAT,
	O_NOFOLLOW,
	O_NONBLOCK,
	O_RDWR,
	readFully,
	syncDirectory,
	systemCode,
} from '../platform/file-system.ts'
import { LineSplitter } from './line-splitter.ts'

const NEWLINE = 0x0a
/**
 * Maximum time, and maximum number of bytes written, between two checks that the lines are still in the file.
 */
const LOOK_MS = 100
const UNSEEN_BYTES_MAX = 1024 * 1024
/** Number of trailing bytes of the file to remember, so that the next check can compare them. */
const SEEN_BYTES = 256
const WINDOW_BYTES = 1024 * 1024

/**
 * Reason why lines are not in any file: another program truncated the file or overwrote the lines, or no
 * file accepted them before the close.
 */
export type LineLoss = 'truncated' | 'overwritten' | 'close'

/** Changes that other programs have made to the file since it was opened. */
export interface FileChanges {
	/** Number of times the file was renamed. A renamed file still contains its lines. */
	readonly renamed: number
	/** Number of times the file was removed or replaced by another file. */
	readonly removed: number
	/** Number of times the file was shortened or overwritten in place. */
	readonly truncated: number
}

/** Receives reports of lost lines and of failed timer checks. */
export interface LineFileListener {
	lost(cause: LineLoss, lines: number): void
	/** Called when a timer check fails. The check is retried. */
	failing(error: unknown): void
}

/** Appends lines, and checks repeatedly that they are still in a file that has a name. */
export class LineFile {
	readonly path: string
	/** Whether the file ended with an incomplete line when it was first opened. */
	readonly foundTorn: boolean
	readonly changes = { renamed: 0, removed: 0, truncated: 0 }
	/** Number of lines that were written again because their file was removed. */
	rewritten = 0
	lost = 0
	readonly #system: FileSystem
	readonly #mode: number
	readonly #listener: LineFileListener
	#fd: number | undefined
	/** Size of the file at the last check, and the last bytes of the file at that time. */
	#seenSize = 0
	#seenEnd: Buffer = Buffer.alloc(0)
	/** Whether the file ended with an incomplete line at the last check or write. */
	#endsTorn = false
	/** Whether the last line still needs its newline. */
	#owesNewline = false
	/** Lines written since the last check. */
	#unseen: Buffer[] = []
	#unseenBytes = 0
	/** Lines whose file was removed. They are written to the next file before any other line. */
	#homeless: Buffer[] = []
	#lookedMs = Number.NEGATIVE_INFINITY
	/** Whether a failed timer check has been reported and no check has succeeded since. */
	#isFailing = false
	#timer: NodeJS.Timeout | undefined
	/** Whether the file's directory entry might not be on disk yet. */
	#isNameUnsynced = false
	/**
	 * Settles when no sync of the open file is in flight, and never rejects. The file is closed only after
	 * this promise settles.
	 */
	#syncing: Promise<unknown> = Promise.resolve()
	/** Resolves when all renamed files are on disk and closed, and all removed files are closed. */
	#left: Promise<unknown> = Promise.resolve()

	/** @throws {MeshChainError} `FILE_UNWRITABLE` */
	constructor(system: FileSystem, path: string, mode: number, listener: LineFileListener) {
		this.#system = system
		this.path = path
		this.#mode = mode
		this.#listener = listener
		this.#openFile()
		this.foundTorn = this.#endsTorn
	}

	/**
	 * Reads the contents that the file had when it was opened.
	 *
	 * @throws {MeshChainError} `FILE_UNWRITABLE`, after closing the file.
	 */
	read<T>(reading: (fd: number, size: number) => T): T {
		const fd = this.#openFile()
		try {
			return reading(fd, this.#seenSize)
		} catch (error) {
			closeQuietly(this.#system, fd)
			throw unwritable(this.path, error)
		}
	}

	/**
	 * Writes one line with one system call. If this method throws, the complete line is not in the file, and
	 * the call can be retried.
	 */
	append(text: string): void {
		if (performance.now() - this.#lookedMs >= LOOK_MS || this.#unseenBytes >= UNSEEN_BYTES_MAX) this.look()
		this.#write(Buffer.from(`${this.#endsTorn ? '\n' : ''}${text}\n`))
	}

	/**
	 * Ensures that every line written so far is in the file at `path` or in a renamed file, or is counted as
	 * lost. Throws if the file cannot be checked, or if the next file cannot be written. In either case, the
	 * call can be retried.
	 */
	look(): void {
		this.#lookedMs = Number.NEGATIVE_INFINITY
		const fd = this.#fd
		if (fd !== undefined) {
			if (this.#owesNewline) this.#writeNewline(fd)
			const stat = this.#system.fstatSync(fd)
			if (this.#isNamed(fd, stat)) this.#confirm(fd, stat.size)
			else this.#leave(fd)
		}
		this.#openFile()
		while (this.#homeless[0] !== undefined) {
			const line = this.#homeless[0]
			this.#write(this.#endsTorn ? Buffer.concat([Buffer.of(NEWLINE), line]) : line)
			this.#homeless.shift()
			this.rewritten++
		}
		this.#lookedMs = performance.now()
		this.#isFailing = false
	}

	/** Resolves when every line written before this call is on disk, except lines counted as lost. */
	async sync(): Promise<void> {
		this.look()
		const synced = this.#system.fdatasync(this.#openFile())
		const left = this.#left
		this.#syncing = Promise.allSettled([this.#syncing, synced])
		const results = await Promise.allSettled([synced, left])
		if (this.#left === left) this.#left = Promise.resolve()
		for (const result of results) if (result.status === 'rejected') throw result.reason
		if (!this.#isNameUnsynced) return
		syncDirectory(this.#system, dirname(this.path))
		this.#isNameUnsynced = false
	}

	/** Closes the file. Lines that no file accepted are lost. */
	async close(): Promise<void> {
		clearTimeout(this.#timer)
		if (this.#homeless.length > 0) this.#lose('close', this.#homeless.length)
		this.#homeless = []
		await Promise.allSettled([this.#syncing, this.#left])
		if (this.#fd !== undefined) closeQuietly(this.#system, this.#fd)
	}

	readonly #onTimer = (): void => {
		this.#timer = undefined
		try {
			this.look()
		} catch (error) {
			// A timer callback has no caller to receive the error.
			if (!this.#isFailing) this.#listener.failing(error)
			this.#isFailing = true
			this.#lookLater()
		}
	}

	#lookLater(): void {
		this.#timer ??= setTimeout(this.#onTimer, LOOK_MS).unref()
	}

	/** Opens the file for reading as well as writing, because checks compare the contents. */
	#openFile(): number {
		if (this.#fd !== undefined) return this.#fd
		const system = this.#system
		let fd: number | undefined
		try {
			fd = system.openSync(this.path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, this.#mode)
			const stat = system.fstatSync(fd)
			if (!stat.isFile()) throw new Error('it is not a regular file: name a different file')
			if (readFully(system, fd, CHAIN_LEAD.length, 0).equals(CHAIN_LEAD))
				throw new Error('it is a chain, not JSON Lines: name a different file')
			this.#see(fd, stat.size)
			this.#isNameUnsynced ||= stat.size === 0
		} catch (error) {
			if (fd !== undefined) closeQuietly(system, fd)
			throw unwritable(this.path, error)
		}
		this.#fd = fd
		return fd
	}

	#write(bytes: Buffer): void {
		const fd = this.#openFile()
		const count = this.#system.writeSync(fd, bytes, 0, bytes.length, null)
		if (count === 0) throw shortWrite(count, bytes.length)
		const isWhole = count === bytes.length
		// If only the newline is missing, readers already accept the line, so it must not be written again.
		this.#owesNewline = count === bytes.length - 1
		if (!isWhole && !this.#owesNewline) {
			// If the rest were written separately, it could follow a line from another writer.
			this.#blankOut(fd, bytes.subarray(0, count))
			throw shortWrite(count, bytes.length)
		}
		this.#endsTorn = !isWhole
		this.#unseen.push(bytes)
		this.#unseenBytes += count
		this.#lookLater()
	}

	#writeNewline(fd: number): void {
		if (this.#system.writeSync(fd, Buffer.of(NEWLINE), 0, 1, null) < 1) throw shortWrite(0, 1)
		this.#owesNewline = false
		this.#endsTorn = false
		this.#unseenBytes++
	}

	/**
	 * Replaces a partial line at the end of the file with a blank line. If a line from another writer already
	 * follows, the partial line remains.
	 */
	#blankOut(fd: number, part: Buffer): void {
		const system = this.#system
		this.#endsTorn = true
		let inPlace: number | undefined
		try {
			// A second descriptor is needed, because Linux ignores the offset of a write with O_APPEND.
			inPlace = system.openSync(this.path, O_RDWR | O_NOFOLLOW | O_NONBLOCK)
			const stat = system.fstatSync(inPlace)
			const start = stat.size - part.length
			if (start < 0 || !isSameFile(stat, system.fstatSync(fd))) return
			if (!readFully(system, inPlace, part.length, start).equals(part)) return
			const blank = Buffer.alloc(part.length, ' ')
			blank[part.length - 1] = NEWLINE
			this.#endsTorn = system.writeSync(inPlace, blank, 0, blank.length, start) < blank.length
		} catch {
			// The next line starts with a newline, which terminates the partial line.
		} finally {
			if (inPlace !== undefined) closeQuietly(system, inPlace)
		}
	}

	/**
	 * Returns whether the path refers to the open file. If an error other than a missing path prevents this
	 * check, returns whether the file still has a name.
	 */
	#isNamed(fd: number, ours: FileStat): boolean {
		try {
			return isSameFile(this.#system.statSync(this.path), ours)
		} catch (error) {
			const isGone = ['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')
			return !isGone && this.#system.fstatSync(fd).nlink > 0
		}
	}

	/** Stops using the open file, because the path no longer refers to it. */
	#leave(fd: number): void {
		const { nlink, size } = this.#system.fstatSync(fd)
		const isKept = nlink > 0
		if (isKept) {
			this.#confirm(fd, size)
			this.changes.renamed++
		} else {
			this.#homeless.push(...this.#unseen)
			this.#forgetUnseen()
			this.changes.removed++
		}
		this.#fd = undefined
		const left = this.#syncing
			.then(() => (isKept ? this.#system.fdatasync(fd) : undefined))
			.finally(() => closeQuietly(this.#system, fd))
		this.#left = Promise.all([this.#left, left])
		this.#left.catch(() => {})
	}

	/** Searches the file for the unseen lines, and counts the missing lines. */
	#confirm(fd: number, size: number): void {
		if (size === this.#seenSize && this.#unseen.length === 0) return
		const isOnlyOurs = this.#isOnlyOurs(fd, size)
		const isSeenThere = isOnlyOurs || (size >= this.#seenSize && this.#isSeenEndThere(fd))
		const isCut = !isSeenThere || size < this.#seenSize + this.#unseenBytes
		const missing = isOnlyOurs ? 0 : this.#missing(fd, isSeenThere ? this.#seenSize : 0)
		this.#see(fd, size)
		this.#forgetUnseen()
		if (isCut) this.changes.truncated++
		if (missing > 0) this.#lose(isCut ? 'truncated' : 'overwritten', missing)
	}

	/**
	 * Returns whether the file has grown by exactly the unseen lines since the last check. This common case
	 * is cheap to check.
	 */
	#isOnlyOurs(fd: number, size: number): boolean {
		if (size !== this.#seenSize + this.#unseenBytes) return false
		const found = readFully(this.#system, fd, this.#unseenBytes, this.#seenSize)
		return found.equals(Buffer.concat(this.#unseen, this.#unseenBytes))
	}

	#isSeenEndThere(fd: number): boolean {
		const { length } = this.#seenEnd
		return readFully(this.#system, fd, length, this.#seenSize - length).equals(this.#seenEnd)
	}

	/**
	 * Returns the number of unseen lines that are missing from the file after `position`. Reads the file in
	 * windows to limit memory use.
	 */
	#missing(fd: number, position: number): number {
		const wanted = new Map<string, number>()
		const longest = Math.max(...this.#unseen.map(({ length }) => length), 8)
		let missing = 0
		for (const line of wholeLines(this.#unseen, longest)) {
			wanted.set(line, (wanted.get(line) ?? 0) + 1)
			missing++
		}
		const isWithinLine = position > 0 && this.#seenEnd.at(-1) !== NEWLINE
		let isFirst = true
		for (const line of wholeLines(windows(this.#system, fd, position), longest)) {
			const count = isFirst && isWithinLine ? 0 : (wanted.get(line) ?? 0)
			isFirst = false
			if (count === 0) continue
			wanted.set(line, count - 1)
			if (--missing === 0) break
		}
		return missing
	}

	#see(fd: number, size: number): void {
		const length = Math.min(size, SEEN_BYTES)
		this.#seenEnd = readFully(this.#system, fd, length, size - length)
		this.#seenSize = size
		this.#endsTorn = size > 0 && this.#seenEnd.at(-1) !== NEWLINE
	}

	#forgetUnseen(): void {
		this.#unseen = []
		this.#unseenBytes = 0
	}

	#lose(cause: LineLoss, lines: number): void {
		this.lost += lines
		this.#listener.lost(cause, lines)
	}
}

/**
 * Yields each complete line as a string with one character per byte. Omits empty lines and lines longer than
 * `bytesMax`.
 */
function* wholeLines(pieces: Iterable<Buffer>, bytesMax: number): Generator<string> {
	const splitter = new LineSplitter(bytesMax)
	for (const piece of pieces) {
		for (const { bytes, part, end } of splitter.push(piece)) {
			if (bytes.length > 0 && part === 0 && end !== '') yield bytes.toString('latin1')
		}
	}
}

function* windows(system: FileSystem, fd: number, position: number): Generator<Buffer> {
	for (let at = position; ; ) {
		const bytes = readFully(system, fd, WINDOW_BYTES, at)
		if (bytes.length === 0) return
		yield bytes
		at += bytes.length
	}
}

function shortWrite(count: number, wanted: number): Error {
	const text = `${count} of ${wanted} bytes were written: the disk is full, or a limit was reached`
	return Object.assign(new Error(text), { code: 'ENOSPC' })
}

function unwritable(path: string, error: unknown): MeshChainError {
	const advice =
		systemCode(error) === 'ELOOP' ? 'it is a symbolic link: name its target instead' : messageOf(error)
	return new MeshChainError('FILE_UNWRITABLE', `cannot open ${show(path)} for writing: ${advice}`, {
		path,
		cause: error,
	})
}
