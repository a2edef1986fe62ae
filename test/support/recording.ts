/** Runs `mesh-chain record` with real pipes, and reads what it recorded. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import type { LogRecord } from '../../src/model/record.ts'
import { ROOT } from './process.ts'
import { collect } from './records.ts'
import { temporaryFolder } from './temporary.ts'

export const CLI = join(ROOT, 'dist', 'cli', 'main.js')

/** Returns the path of a chain that does not exist yet, in a folder of its own. */
export function chainPath(): string {
	return join(temporaryFolder(), 'node.chain')
}

export interface Recording {
	readonly child: ChildProcessWithoutNullStreams
	readonly ended: Promise<{
		readonly status: number | null
		readonly signal: NodeJS.Signals | null
		readonly stdout: Buffer
		readonly stderr: string
	}>
	/** Returns the bytes on stdout until now. */
	readonly passedOn: () => Buffer
	/** Returns the text on stderr until now. */
	readonly said: () => string
}

interface RecordingOptions {
	readonly nodeArgs?: readonly string[]
	readonly env?: Readonly<Record<string, string>>
	/** Whether the program is in a process group of its own. */
	readonly detached?: boolean
}

/** Starts the command. It is killed when the test ends. */
export function startRecord(args: readonly string[], options: RecordingOptions = {}): Recording {
	const { nodeArgs = [], env = {}, detached = false } = options
	const child = spawn(process.execPath, [...nodeArgs, CLI, 'record', ...args], {
		stdio: ['pipe', 'pipe', 'pipe'],
		env: { ...process.env, ...env },
		detached,
	})
	onTestFinished(() => void child.kill('SIGKILL'))
	const out: Buffer[] = []
	const err: Buffer[] = []
	child.stdout.on('data', (piece: Buffer) => out.push(piece))
	child.stderr.on('data', (piece: Buffer) => err.push(piece))
	const ended = once(child, 'close').then(([status, signal]) => ({
		status,
		signal,
		stdout: Buffer.concat(out),
		stderr: Buffer.concat(err).toString(),
	}))
	return { child, ended, passedOn: () => Buffer.concat(out), said: () => Buffer.concat(err).toString() }
}

/** Reads all records of a chain. */
export async function readRecords(path: string): Promise<LogRecord[]> {
	const chain = await openChain(path)
	onTestFinished(() => chain.close())
	return collect(chain.records())
}

/** Resolves when the condition holds. */
export async function until(condition: () => boolean): Promise<void> {
	while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10))
}
