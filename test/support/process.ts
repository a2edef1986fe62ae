/** Real child processes: run to the end, or killed in the middle. */
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

/** The command line of mesh-chain, as a user runs it. */
export function meshChain(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
	return run(process.execPath, [CLI, ...args], options)
}

/** A program given as text, which imports `mesh-chain` as a user's does. */
export function runModule(
	source: string,
	args: readonly string[] = [],
	options: RunOptions = {},
): Promise<Ended> {
	return run(process.execPath, ['--input-type=module', '-e', source, '--', ...args], options)
}

/** The same, left running. It is killed when the test ends. */
export function startModule(source: string, args: readonly string[] = []): ChildProcess {
	const child = spawn(process.execPath, ['--input-type=module', '-e', source, '--', ...args], {
		cwd: ROOT,
		stdio: ['ignore', 'pipe', 'pipe'],
	})
	onTestFinished(() => void child.kill('SIGKILL'))
	return child
}

export interface RunOptions {
	readonly cwd?: string
	readonly env?: Readonly<Record<string, string>>
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
