/**
 * Writes to a standard stream of the process without waiting for its reader.
 *
 * Other processes may share the stream, for example the shell and the children of this process. They share
 * its flags too. Invariants:
 * - The flags of a shared descriptor are never changed. In particular, `O_NONBLOCK` is never set, and
 *   `process.stdout` is never opened, because Node sets the flag when it opens a pipe.
 * - The thread of the event loop never waits for a reader.
 */
import { spawnSync } from 'node:child_process'
import { isatty } from 'node:tty'
import {
	closeQuietly,
	type FileSystem,
	isMomentary,
	nodeFileSystem,
	O_NOCTTY,
	O_NONBLOCK,
	O_WRONLY,
	writeInThread,
} from './file-system.ts'

const TYPE_BITS = 0o170000
const REGULAR = 0o100000
/** Interval at which a write that waits for its reader is looked at. */
const LOOK_MS = 500
/** Time limit for the helper process that ends a blocked write. */
const HELPER_MS_MAX = 2_000
/** Pause between two attempts while the process exits. */
const PAUSE_MS = 5
/** Numbers of the system call `write` on x64, arm64 and 32-bit systems. */
const WRITE_CALLS: readonly string[] = ['1', '64', '4']

/** Limits of the waits while the process exits. */
export interface ExitLimits {
	/** Maximum time during which the reader accepts nothing. */
	readonly stallMs: number
	/** End of all waits, as a reading of `performance.now()`. */
	readonly untilMs: number
}

/** A destination for text, with one write in flight. */
export interface Output {
	readonly isTerminal: boolean
	/** Whether {@link write} returns a number, and therefore also works while the process exits. */
	readonly isImmediate: boolean
	/**
	 * Writes the bytes from `offset` on. Returns or resolves with the number of bytes that were accepted, which
	 * may be lower. Throws or rejects with the system error, for example `EAGAIN` if a pipe is full.
	 */
	write(bytes: Uint8Array, offset: number): number | PromiseLike<unknown>
	/**
	 * Writes the bytes while the process exits, when nothing asynchronous runs any more. Waits for the reader
	 * within the limits. Returns the number of bytes that were accepted. Never throws.
	 */
	writeOnExit(bytes: Uint8Array, limits: ExitLimits): number
	/** Releases the destination, which must have no write in flight. The stream itself stays open. */
	close(): void
}

/** Opens a standard stream of the process by its descriptor. Never throws. */
export function openOutput(fd: 1 | 2, system: FileSystem = nodeFileSystem): Output {
	const isTerminal = isatty(fd)
	if (isRegularFile(system, fd)) return new DirectOutput(system, fd, fd, isTerminal)
	const own = reopened(system, fd)
	return own === undefined
		? new ThreadOutput(system, fd, isTerminal)
		: new DirectOutput(system, fd, own, isTerminal)
}

function isRegularFile(system: FileSystem, fd: number): boolean {
	try {
		return (system.fstatSync(fd).mode & TYPE_BITS) === REGULAR
	} catch {
		return false
	}
}

/**
 * Opens a pipe or a terminal a second time. The flags of the new descriptor belong to this process alone.
 * Returns undefined for a socket, which cannot be opened, for a pipe without a reader, and if the stream
 * belongs to another user.
 */
function reopened(system: FileSystem, fd: number): number | undefined {
	try {
		return system.openSync(`/proc/self/fd/${fd}`, O_WRONLY | O_NONBLOCK | O_NOCTTY)
	} catch {
		return undefined
	}
}

/** A regular file, or a pipe or terminal with its own non-blocking descriptor. */
class DirectOutput implements Output {
	readonly isTerminal: boolean
	readonly isImmediate = true
	readonly #system: FileSystem
	readonly #shared: number
	readonly #own: number

	constructor(system: FileSystem, shared: number, own: number, isTerminal: boolean) {
		this.#system = system
		this.#shared = shared
		this.#own = own
		this.isTerminal = isTerminal
	}

	write(bytes: Uint8Array, offset: number): number {
		return this.#system.writeSync(this.#own, bytes, offset, bytes.length - offset, null)
	}

	writeOnExit(bytes: Uint8Array, limits: ExitLimits): number {
		return writeWithin(this.#system, this.#own, bytes, limits)
	}

	close(): void {
		if (this.#own !== this.#shared) closeQuietly(this.#system, this.#own)
	}
}

/**
 * A descriptor that may block, such as a socket. A thread of Node's pool waits for the reader. A process
 * with a blocked thread cannot exit, so a blocked write to a socket is ended when nothing else is left to
 * run.
 */
class ThreadOutput implements Output {
	readonly isTerminal: boolean
	readonly isImmediate = false
	readonly #system: FileSystem
	readonly #fd: number
	#isWriting = false

	constructor(system: FileSystem, fd: number, isTerminal: boolean) {
		this.#system = system
		this.#fd = fd
		this.isTerminal = isTerminal
	}

	async write(bytes: Uint8Array, offset: number): Promise<number> {
		let looks = 0
		const look = setInterval(() => {
			looks = isAlone() ? looks + 1 : 0
			if (looks === 2) this.#shutDown()
		}, LOOK_MS)
		look.unref()
		this.#isWriting = true
		try {
			return await writeInThread(this.#fd, bytes, offset)
		} finally {
			this.#isWriting = false
			clearInterval(look)
		}
	}

	writeOnExit(bytes: Uint8Array, limits: ExitLimits): number {
		const { stallMs, untilMs } = limits
		for (let waitedMs = 0; this.#isWriting && this.#isBlocked(); waitedMs += PAUSE_MS) {
			if (waitedMs >= stallMs) {
				this.#shutDown()
				return 0
			}
			pause()
		}
		if (bytes.length === 0) return 0
		if (isNonBlocking(this.#system, this.#fd)) return writeWithin(this.#system, this.#fd, bytes, limits)
		// A blocking write could wait forever, but a process that writes for this one can be killed.
		const stdio = ['pipe', this.#fd, 'ignore'] as const
		const timeout = Math.max(1, Math.min(stallMs, Math.ceil(untilMs - performance.now())))
		const { status } = spawnSync('cat', [], {
			stdio: [...stdio],
			input: bytes,
			timeout,
			killSignal: 'SIGKILL',
		})
		return status === 0 ? bytes.length : 0
	}

	close(): void {}

	/** Returns whether a thread of this process is writing to the descriptor. */
	#isBlocked(): boolean {
		try {
			const tasks = this.#system.readdirSync('/proc/self/task')
			return tasks.some((task) => {
				const [call, fd] = String(this.#system.readFileSync(`/proc/self/task/${task}/syscall`)).split(' ')
				return WRITE_CALLS.includes(call ?? '') && Number(fd) === this.#fd
			})
		} catch {
			return true
		}
	}

	/**
	 * Shuts the socket down for writing, which ends the blocked write with `EPIPE`. Node offers no call for
	 * this, so a helper process makes it.
	 */
	#shutDown(): void {
		const code = "new (require('node:net').Socket)({ fd: 1, readable: false, writable: true }).end()"
		const stdio = ['ignore', this.#fd, 'ignore'] as const
		spawnSync(process.execPath, ['-e', code], { stdio: [...stdio], env: {}, timeout: HELPER_MS_MAX })
	}
}

/** Writes to a descriptor that does not block until everything is written or a limit is reached. */
function writeWithin(system: FileSystem, fd: number, bytes: Uint8Array, limits: ExitLimits): number {
	const { stallMs, untilMs } = limits
	let done = 0
	let waitedMs = 0
	while (done < bytes.length && waitedMs < stallMs && (waitedMs === 0 || performance.now() < untilMs)) {
		try {
			const count = system.writeSync(fd, bytes, done, bytes.length - done, null)
			done += count
			waitedMs = count > 0 ? 0 : waitedMs + pause()
		} catch (error) {
			if (!isMomentary(error)) return done
			waitedMs += pause()
		}
	}
	return done
}

/** Blocks the thread briefly. Returns the length of the pause in milliseconds. */
function pause(): number {
	Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS)
	return PAUSE_MS
}

function isNonBlocking(system: FileSystem, fd: number): boolean {
	try {
		const [, flags] =
			/^flags:\s*([0-7]+)$/m.exec(String(system.readFileSync(`/proc/self/fdinfo/${fd}`))) ?? []
		return (Number.parseInt(flags ?? '0', 8) & O_NONBLOCK) !== 0
	} catch {
		return false
	}
}

/** Returns whether a single call in the thread pool is all that keeps the process alive. */
function isAlone(): boolean {
	const [only, ...others] = process.getActiveResourcesInfo()
	return only === 'FSReqCallback' && others.length === 0
}
