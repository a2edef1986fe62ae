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
})

function interrupted({ sigintsPassed } = { sigintsPassed: 0 }): AbortSignal {
	const controller = new AbortController()
	let left = sigintsPassed
	const abort = (signal: NodeJS.Signals) => {
		if (signal === 'SIGINT' && left-- > 0) return
		for (const name of SIGNALS) process.off(name, abort)
		controller.abort(new Interruption(signal))
	}
	for (const name of SIGNALS) process.on(name, abort)
	return controller.signal
}
