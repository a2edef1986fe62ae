/**
 * From a command line to an exit status. Everything about usage is checked before any file is opened; errors become one line
 * with a code and a hint.
 */
import { readFileSync } from 'node:fs'
import { MeshChainError, messageOf } from '../model/errors.ts'
import { type Command, Invocation, nearest, usage } from './command.ts'
import { COMMANDS } from './commands.ts'
import { helpOf, overview } from './help.ts'
import { type Printable, printableLines, printed } from './printable.ts'
import { STATUS, type Surroundings, type Terminal, terminalOf } from './terminal.ts'

/** Runs one command line, without the program's name, to its exit status. */
export async function run(argv: readonly string[], surroundings: Surroundings): Promise<number> {
	const terminal = terminalOf(surroundings)
	try {
		return await dispatch(argv, terminal)
	} catch (error) {
		terminal.stderr.write(failureText(error))
		return STATUS.usage
	}
}

/** What is said of whatever was thrown. */
export function failureText(error: unknown): Printable {
	const code = error instanceof MeshChainError ? `${error.code}: ` : ''
	return printed`mesh-chain: ${code}${messageOf(error)}\n${hintFor(error)}`
}

async function dispatch([name, ...rest]: readonly string[], terminal: Terminal): Promise<number> {
	if (name === undefined) {
		terminal.stderr.write(printableLines(overview(COMMANDS)))
		return STATUS.usage
	}
	if (name === '--version' || name === '-V') {
		await terminal.stdout.write(printed`${version()}\n`)
		return STATUS.fine
	}
	const wantsHelp = name === '--help' || name === '-h' || name === 'help'
	if (wantsHelp && rest[0] === undefined) {
		await terminal.stdout.write(printableLines(overview(COMMANDS)))
		return STATUS.fine
	}
	const command = commandNamed((wantsHelp ? rest[0] : name) ?? '')
	if (wantsHelp || rest.includes('--help') || rest.includes('-h')) {
		await terminal.stdout.write(printableLines(helpOf(command)))
		return STATUS.fine
	}
	return command.run(new Invocation(command, rest), terminal)
}

function commandNamed(name: string): Command {
	const command = COMMANDS.find((candidate) => candidate.name === name)
	if (command !== undefined) return command
	const names = COMMANDS.map((candidate) => candidate.name)
	const meant = nearest(name, names)
	throw usage(
		`there is no command ${JSON.stringify(name)}${meant === undefined ? `: the commands are ${names.join(', ')}` : `; did you mean ${meant}?`}`,
	)
}

const HINTS: Readonly<Record<string, string>> = {
	INVALID_USAGE: 'mesh-chain --help shows the commands, mesh-chain COMMAND --help their options',
	CHAIN_NOT_FOUND: 'is the path right? A service names it in new FileChainAppender(path)',
	CHAIN_EMPTY: 'the service that was to write it did not get that far; start it again',
	NOT_A_CHAIN: 'a chain begins with the bytes 99 aa "mesh-chain"',
}

function hintFor(error: unknown): Printable | '' {
	if (!(error instanceof MeshChainError)) return ''
	// A stream has no path.
	const hint = error.code === 'CHAIN_NOT_FOUND' && error.path === undefined ? undefined : HINTS[error.code]
	return hint === undefined ? '' : printed`  ${hint}\n`
}

function version(): string {
	// dist/cli/main.js lies two folders below the manifest, as does this file.
	for (const up of ['../package.json', '../../package.json']) {
		try {
			const manifest: unknown = JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8'))
			const { name, version } = manifest as { name?: string; version?: string }
			if (name === 'mesh-chain' && version !== undefined) return version
		} catch {
			// The bundler decides how deep this file ends up.
		}
	}
	return 'unknown'
}
