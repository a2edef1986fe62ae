/** Where a command line sends a replay: what `--to` says, made when it is known that something will be sent. */
import { realpathSync } from 'node:fs'
import { FileChainAppender } from '../chain/index.ts'
import { JsonlAppender } from '../jsonl/jsonl-appender.ts'
import type { ReplayTarget } from '../replay/target.ts'
import { AppenderTarget } from '../replay/targets/appender-target.ts'
import { ProcessTarget } from '../replay/targets/process-target.ts'
import { shellWord } from '../text/shell-word.ts'
import { type Invocation, type OptionSpec, usage } from './command.ts'
import { textFormat } from './printing.ts'
import type { Terminal } from './terminal.ts'

export const TO_OPTION: OptionSpec = {
	long: 'to',
	value: 'TARGET',
	help: 'exec:COMMAND, FILE.chain, FILE.jsonl, or - for stdout, which it is unless told',
}

/** @returns a function that makes the target. */
export function targetOf(invocation: Invocation, terminal: Terminal): () => ReplayTarget {
	const to = invocation.text('to') ?? '-'
	if (to === '-') return () => terminal.stdout.replayTarget(textFormat(invocation, terminal))
	if (to.startsWith('exec:')) {
		const command = to.slice('exec:'.length).trim()
		if (command === '') throw usage("--to exec: takes a command, as in --to 'exec:node check.js'")
		return () => new ProcessTarget(command)
	}
	if (isSameFile(to, invocation.file)) throw usage('--to names the file that is replayed: name another one')
	if (/\.(?:jsonl|ndjson)$/.test(to)) return () => new AppenderTarget(new JsonlAppender(to))
	if (to.endsWith('.chain')) return () => new AppenderTarget(new FileChainAppender(to))
	throw usage(`--to is exec:COMMAND, FILE.chain, FILE.jsonl or -, not ${JSON.stringify(to)}`)
}

/**
 * The name of a chain that a command makes.
 *
 * @throws {MeshChainError} `INVALID_USAGE` for a name that says JSON: whoever reads it later would take it for that.
 */
export function chainNamed(path: string): string {
	const [, stem] = /^(.*)\.(?:jsonl|ndjson|json)$/i.exec(path) ?? []
	if (stem === undefined) return path
	const [chain, lines] = [`${stem}.chain`, path].map(shellWord)
	throw usage(
		`this makes a chain, which is not JSON: name it ${chain}, and then mesh-chain export ${chain} -o ${lines} for JSON Lines`,
	)
}

function isSameFile(a: string, b: string): boolean {
	try {
		return realpathSync(a) === realpathSync(b)
	} catch {
		return false
	}
}
