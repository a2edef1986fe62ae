/** Parses `--to` into a function that creates the target when the replay starts. */
import { realpathSync } from 'node:fs'
import { FileChainAppender } from '../chain/index.ts'
import { JsonlAppender } from '../jsonl/jsonl-appender.ts'
import type { ReplayTarget } from '../replay/target.ts'
import { AppenderTarget } from '../replay/targets/appender-target.ts'
import { ProcessTarget } from '../replay/targets/process-target.ts'
import { type Invocation, type OptionSpec, usage } from './command.ts'
import { textFormat } from './printing.ts'
import type { Terminal } from './terminal.ts'

/** The option that names the target of a replay. */
export const TO_OPTION: OptionSpec = {
	long: 'to',
	value: 'TARGET',
	defaultText: '- (stdout)',
	help: 'target: exec:COMMAND, FILE.chain, FILE.jsonl or -',
}

/**
 * Parses `--to`.
 *
 * @returns A function that creates the target.
 */
export function targetOf(invocation: Invocation, terminal: Terminal): () => ReplayTarget {
	const to = invocation.text('to') ?? '-'
	if (to === '-') return () => terminal.stdout.replayTarget(textFormat(invocation, terminal))
	if (to.startsWith('exec:')) {
		const command = to.slice('exec:'.length).trim()
		if (command === '') throw usage("--to exec: requires a command, as in --to 'exec:node check.js'")
		return () => new ProcessTarget(command)
	}
	if (isSameFile(to, invocation.file))
		throw usage('--to names the file that is being replayed: name a different file')
	if (/\.(?:jsonl|ndjson)$/.test(to)) return () => new AppenderTarget(new JsonlAppender(to))
	if (to.endsWith('.chain')) return () => new AppenderTarget(new FileChainAppender(to))
	throw usage(`--to must be exec:COMMAND, FILE.chain, FILE.jsonl or -, not ${JSON.stringify(to)}`)
}

function isSameFile(a: string, b: string): boolean {
	try {
		return realpathSync(a) === realpathSync(b)
	} catch {
		return false
	}
}
