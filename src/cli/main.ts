#!/usr/bin/env node
/** The program `mesh-chain`. */
import { run } from './run.ts'

process.exitCode = await run(process.argv.slice(2), {
	stdout: process.stdout,
	stderr: process.stderr,
	stdoutIsTerminal: process.stdout.isTTY === true,
	env: process.env,
	now: Date.now,
	interrupted,
})

function interrupted(): AbortSignal {
	const controller = new AbortController()
	const abort = () => {
		process.off('SIGINT', abort).off('SIGTERM', abort)
		controller.abort()
	}
	process.on('SIGINT', abort).on('SIGTERM', abort)
	return controller.signal
}
