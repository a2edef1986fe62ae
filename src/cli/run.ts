/**
 * Runs a command line and returns its exit status. The arguments are checked before any file is opened. Each
 * error is printed on one line with its code. A hint follows for some codes.
 */
import { readFileSync } from 'node:fs'
import { type Command, Invocation, nearest, usage } from './command.ts'
import { COMMANDS } from './commands.ts'
import { STATUS, statusOf } from './exit-status.ts'
import { failureText } from './failure.ts'
import { helpOf, overview } from './help.ts'
import { printableLines, printed } from './printable.ts'
import { type Surroundings, type Terminal, terminalOf } from './terminal.ts'

/** Runs one command line, given without the program name. Resolves to the exit status. */
export async function run(argv: readonly string[], surroundings: Surroundings): Promise<number> {
	const terminal = terminalOf(surroundings)
	try {
		return await dispatch(argv, terminal)
	} catch (error) {
		terminal.stderr.write(failureText(error))
		return statusOf(error)
	}
}

async function dispatch([name, ...rest]: readonly string[], terminal: Terminal): Promise<number> {
	if (name === undefined) {
		terminal.stderr.write(printableLines(overview(COMMANDS)))
		return STATUS.failed
	}
	if (name === '--version' || name === '-V') {
		await terminal.stdout.write(printed`${version()}\n`)
		return STATUS.ok
	}
	const wantsHelp = name === '--help' || name === '-h' || name === 'help'
	if (wantsHelp && rest[0] === undefined) {
		await terminal.stdout.write(printableLines(overview(COMMANDS)))
		return STATUS.ok
	}
	const command = commandNamed((wantsHelp ? rest[0] : name) ?? '')
	// The arguments after -- can belong to another program.
	const own = rest.includes('--') ? rest.slice(0, rest.indexOf('--')) : rest
	if (wantsHelp || own.includes('--help') || own.includes('-h')) {
		await terminal.stdout.write(printableLines(helpOf(command)))
		return STATUS.ok
	}
	return command.run(new Invocation(command, rest), terminal)
}

function commandNamed(name: string): Command {
	const command = COMMANDS.find((candidate) => candidate.name === name)
	if (command !== undefined) return command
	const names = COMMANDS.map((candidate) => candidate.name)
	const meant = nearest(name, names)
	const hint = meant === undefined ? `: the commands are ${names.join(', ')}` : `; did you mean ${meant}?`
	throw usage(`unknown command ${JSON.stringify(name)}${hint}`)
}

function version(): string {
	// The depth of this file below package.json depends on the bundler.
	for (const up of ['../package.json', '../../package.json']) {
		try {
			const manifest: unknown = JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8'))
			const { name, version } = manifest as { name?: string; version?: string }
			if (name === 'mesh-chain' && version !== undefined) return version
		} catch {
			// There is no package.json at this depth.
		}
	}
	return 'unknown'
}
