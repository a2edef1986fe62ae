#!/usr/bin/env node
/** The program `mesh-chain`. */
import { isatty } from 'node:tty'
import { failureText, run } from './run.ts'
import { STATUS } from './terminal.ts'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

// Where nobody can be told, the exit status says it.
process.stderr.on('error', () => {})

// What Node would print of it by itself is not escaped.
process.on('uncaughtException', (error) => {
	process.stderr.write(String(failureText(error)))
	process.exit(STATUS.usage)
})

process.exitCode = await run(process.argv.slice(2), {
	// Opened by whoever reads it: a command that does not must not wait for it.
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
		controller.abort()
	}
	for (const name of SIGNALS) process.on(name, abort)
	return controller.signal
}
