/** Starts the program whose output `mesh-chain record` records. */
import { type ChildProcess, spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import { messageOf } from '../../model/errors.ts'
import { systemCode } from '../../platform/file-system.ts'
import { STATUS, statusOfSignal } from '../exit-status.ts'
import { closeInherited, createOutputPipes, type OutputPipes } from './output-pipes.ts'

/** How a program ended, or why it could not be started. */
export interface ProgramEnd {
	/** Status as a shell reports it: 128 plus the signal number if a signal terminated the program. */
	readonly status: number
	readonly signal: NodeJS.Signals | null
	/** Time since the start in milliseconds. */
	readonly durationMs: number
	/** Reason why the program could not be started. */
	readonly error?: string
}

/** A program that was started, or that could not be started and has therefore ended. */
export interface Program {
	/** Undefined if the program could not be started. */
	readonly pid: number | undefined
	/** Undefined if the program could not be started. */
	readonly streams: { readonly stdout: Readable; readonly stderr: Readable } | undefined
	/** Resolves when the program has ended, even if another process still has its streams open. */
	readonly ended: Promise<ProgramEnd>
	/** Sends a signal. Returns false if the program has ended, or belongs to a user who refuses it. */
	kill(signal: NodeJS.Signals): boolean
}

const REASONS: Readonly<Record<string, string>> = {
	ENOENT: 'the program, or the interpreter that its first line names, does not exist',
	EACCES: 'it is a folder, or its permissions do not allow it to be executed',
	ENOEXEC: 'it is not a program',
	E2BIG: 'its arguments are too long',
}

/**
 * Starts a program. It inherits stdin, the environment, the folder and the process group.
 *
 * @param folder Folder for the pipes if the folder for temporary files cannot contain them.
 */
export function startProgram(
	[name, ...args]: readonly [string, ...string[]],
	folder: string,
): Promise<Program> {
	const startedMs = performance.now()
	const pipes = createOutputPipes(folder)
	const since = () => Math.round(performance.now() - startedMs)
	return new Promise((resolve) => {
		const failed = (error: unknown) => {
			pipes?.stdout.input.destroy()
			pipes?.stderr.input.destroy()
			resolve(notStarted(error))
		}
		try {
			const child = spawn(name, args, { stdio: ['inherit', ...stdioOf(pipes)] })
			child.once('error', failed)
			child.once('spawn', () => {
				// From now on, only signals that the system refuses to send cause an error.
				child.off('error', failed).on('error', () => {})
				resolve(started(child, pipes, since))
			})
		} catch (error) {
			failed(error)
		} finally {
			if (pipes !== undefined) closeInherited(pipes)
		}
	})
}

function stdioOf(pipes: OutputPipes | undefined): ['pipe' | number, 'pipe' | number] {
	return pipes === undefined ? ['pipe', 'pipe'] : [pipes.stdout.fd, pipes.stderr.fd]
}

function started(child: ChildProcess, pipes: OutputPipes | undefined, since: () => number): Program {
	return {
		pid: child.pid,
		streams: {
			stdout: pipes?.stdout.input ?? child.stdout!,
			stderr: pipes?.stderr.input ?? child.stderr!,
		},
		ended: new Promise((resolve) => {
			child.once('exit', (status, signal) =>
				resolve({
					status: status ?? statusOfSignal(signal ?? 'SIGKILL'),
					signal,
					durationMs: since(),
				}),
			)
		}),
		kill: (signal) => child.kill(signal),
	}
}

function notStarted(thrown: unknown): Program {
	const code = systemCode(thrown) ?? messageOf(thrown)
	const reason = REASONS[code]
	const error = reason === undefined ? code : `${reason} (${code})`
	const status = code === 'ENOENT' ? STATUS.notFound : STATUS.notExecutable
	return {
		pid: undefined,
		streams: undefined,
		ended: Promise.resolve({ status, signal: null, durationMs: 0, error }),
		kill: () => false,
	}
}
