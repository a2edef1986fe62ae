/**
 * Creates the pipes for the output of a program. Node connects programs with sockets, and a program cannot
 * open a socket through `/dev/stdout` or `/dev/stderr`. Therefore, the pipes are named pipes whose names are
 * removed at once.
 */
import { spawnSync } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs'
import { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'

/** Both ends of a pipe. */
interface Pipe {
	readonly input: Readable
	/** File descriptor of the end that the program writes to. */
	readonly fd: number
}

/** The pipes for stdout and stderr of a program. */
export interface OutputPipes {
	readonly stdout: Pipe
	readonly stderr: Pipe
}

/**
 * Creates the pipes. Returns undefined if the system has no program `mkfifo`, or if neither the folder for
 * temporary files nor the given folder can contain named pipes.
 */
export function createOutputPipes(folder: string): OutputPipes | undefined {
	for (const parent of [tmpdir(), folder]) {
		try {
			return createIn(mkdtempSync(join(parent, '.mesh-chain-')))
		} catch {
			// The next folder may be writable.
		}
	}
	return undefined
}

/** Closes the ends that a program has inherited. */
export function closeInherited({ stdout, stderr }: OutputPipes): void {
	closeSync(stdout.fd)
	closeSync(stderr.fd)
}

function createIn(folder: string): OutputPipes {
	try {
		const [out, err] = [join(folder, 'stdout'), join(folder, 'stderr')]
		const { status, error } = spawnSync('mkfifo', ['-m', '600', out, err], { stdio: 'ignore' })
		if (status !== 0) throw error ?? new Error('mkfifo failed')
		return { stdout: openPipe(out), stderr: openPipe(err) }
	} finally {
		rmSync(folder, { recursive: true, force: true })
	}
}

function openPipe(path: string): Pipe {
	// A named pipe without a reader cannot be opened for writing, so the end for reading is opened first.
	const input = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
	const fd = openSync(path, constants.O_WRONLY)
	return { input: new Socket({ fd: input, readable: true, writable: false }), fd }
}
