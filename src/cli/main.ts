#!/usr/bin/env node
/** Entry point of the program `mesh-chain`. */
import { isatty } from 'node:tty'
import { Interruption, STATUS } from './exit-status.ts'
import { failureText } from './failure.ts'
import { run } from './run.ts'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

// A failed write to stderr must not end the command, because the exit status still reports the result.
process.stderr.on('error', () => {})

// By default, Node prints the error unescaped.
process.on('uncaughtException', (error) => {
	process.stderr.write(String(failureText(error)))
	process.exit(STATUS.failed)
})

process.exitCode = await run(process.argv.slice(2), {
	// This is a getter, because the first access opens stdin. A command that does not read stdin must not wait
	// for it.
	get stdin() {
		return process.stdin
	},
	get stdinIsTerminal() {
		return isatty(0)
	},
	stdout: process.stdout,
	stderr: process.stderr,
	stdoutIsTerminal: process.stdout.isTTY === true,
	stderrIsTerminal: process.stderr.isTTY === true,
	env: process.env,
	now: Date.now,
	interrupted,
	onSignals,
})

// A command that a signal ended does not wait for a reader of stdout that no longer reads.
if (process.stdout.writableLength > 0) process.exit()

function interrupted(): AbortSignal {
	const controller = new AbortController()
	const restore = onSignals(SIGNALS, (signal) => {
		restore()
		controller.abort(new Interruption(signal))
	})
	return controller.signal
}

function onSignals(
	signals: readonly NodeJS.Signals[],
	receive: (signal: NodeJS.Signals) => void,
): () => void {
	for (const signal of signals) process.on(signal, receive)
	return () => {
		for (const signal of signals) process.off(signal, receive)
	}
}
