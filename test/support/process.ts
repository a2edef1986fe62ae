/** Runs real child processes to their end, or kills them in the middle. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

export const ROOT = join(import.meta.dirname, '..', '..')
const CLI = join(ROOT, 'dist', 'cli', 'main.js')

export interface Ended {
	readonly status: number | null
	readonly signal: NodeJS.Signals | null
	readonly stdout: string
	readonly stderr: string
}

/** Runs the command line of mesh-chain, as a user does. */
export function meshChain(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
	return run(process.execPath, [CLI, ...args], options)
}

/** Arguments for programs in TypeScript: Node 20 does not run it on its own, and Node 22 warns about it. */
export const TYPESCRIPT = [
	'--disable-warning=ExperimentalWarning',
	'--import',
	join(ROOT, 'examples/typescript.mjs'),
]

/** Runs a program of examples/, given by its path in that folder. */
export function runExample(
	path: string,
	args: readonly string[] = [],
	options: RunOptions = {},
): Promise<Ended> {
	return run(process.execPath, [...TYPESCRIPT, join(ROOT, 'examples', path), ...args], options)
}

/** Runs a program given as text, which imports `mesh-chain` as a user's program does. */
export function runModule(
	source: string,
	args: readonly string[] = [],
	options: RunOptions = {},
): Promise<Ended> {
	const [command, ...rest] = moduleCommand(source, args, options.within)
	return run(command, rest, options)
}

/** Starts a program given as text. It is killed when the test ends. */
export function startModule(
	source: string,
	args: readonly string[] = [],
	options: RunOptions = {},
): ChildProcess {
	const [command, ...rest] = moduleCommand(source, args, options.within)
	return start(command, rest, options)
}

/** Starts a program. It is killed when the test ends. */
export function start(command: string, args: readonly string[], options: RunOptions = {}): ChildProcess {
	const child = spawn(command, args, {
		cwd: options.cwd ?? ROOT,
		env: { ...process.env, ...options.env },
		stdio: ['ignore', 'pipe', 'pipe'],
	})
	onTestFinished(() => void child.kill('SIGKILL'))
	return child
}

/** Resolves once a process has printed a text the given number of times. */
export function says(child: ChildProcess, text: string, times = 1): Promise<void> {
	let said = ''
	return new Promise((resolve, reject) => {
		child.stdout!.on('data', (piece: Buffer) => {
			said += piece.toString()
			if (said.split(text).length > times) resolve()
		})
		child.once('close', () => reject(new Error(`the process ended without saying ${text}`)))
	})
}

function moduleCommand(
	source: string,
	args: readonly string[],
	within: readonly string[] = [],
): [string, ...string[]] {
	const command = [...within, process.execPath, '--input-type=module', '-e', source, '--', ...args]
	return command as [string, ...string[]]
}

export interface RunOptions {
	readonly cwd?: string
	readonly env?: Readonly<Record<string, string>>
	/** Command that runs the program in a special environment. */
	readonly within?: readonly string[]
}

export async function run(
	command: string,
	args: readonly string[],
	options: RunOptions = {},
): Promise<Ended> {
	const child = spawn(command, args, {
		cwd: options.cwd ?? ROOT,
		env: { ...process.env, ...options.env },
		stdio: ['ignore', 'pipe', 'pipe'],
	})
	const stdout: Buffer[] = []
	const stderr: Buffer[] = []
	child.stdout.on('data', (piece: Buffer) => stdout.push(piece))
	child.stderr.on('data', (piece: Buffer) => stderr.push(piece))
	const [status, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
	return {
		status,
		signal,
		stdout: Buffer.concat(stdout).toString(),
		stderr: Buffer.concat(stderr).toString(),
	}
}
