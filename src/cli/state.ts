/** `mesh-chain state`: what an application knew at a moment, and what changed up to another. */
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Chain } from '../chain/chain.ts'
import { openChain } from '../chain/read/open-chain.ts'
import { canonicalState } from '../codec/canonical.ts'
import { escapeUnsafe, toJson } from '../codec/json-dialect.ts'
import { messageOf } from '../errors.ts'
import type { LogRecord } from '../record.ts'
import { diffStates, formatChanges } from '../recorder/diff-states.ts'
import { type Moment, stateAt } from '../recorder/state-at.ts'
import { type Command, type Invocation, usage } from './command.ts'
import { checkpointNamed, sessionOf } from './session-range.ts'
import { Output, STATUS, type Terminal } from './terminal.ts'
import { parseTime } from './times.ts'

/** What a module that `--fold` names exports. */
interface Reducer {
	readonly fold: (state: unknown, record: LogRecord) => unknown
	readonly initial: unknown
}

export const state: Command = {
	name: 'state',
	summary: 'fold a chain into the state at a moment',
	usage: 'FILE --fold MODULE [options]',
	examples: [
		['mesh-chain state node.chain --fold ./cart.mjs', 'the state at the end'],
		['mesh-chain state node.chain --fold ./cart.mjs --at 4117', 'behind the record with this seq'],
		['mesh-chain state node.chain --fold ./cart.mjs --at 14:05 --diff 14:06', 'what changed in that minute'],
		['mesh-chain state node.chain --fold ./cart.mjs --at @before --diff @after', 'between two checkpoints'],
	],
	options: [
		{
			long: 'fold',
			value: 'MODULE',
			help: 'exports (state, record) => state as default, and the state before the first record as initial',
		},
		{ long: 'at', value: 'MOMENT', help: 'a seq, a time, or @ID of a checkpoint; the end unless told' },
		{
			long: 'diff',
			value: 'MOMENT',
			help: 'print what changed from --at up to here, + added - removed ~ changed',
		},
		{ long: 'session', value: 'ID', help: 'whose checkpoints are meant; the newest session unless told' },
		{
			long: 'gaps',
			value: 'WHAT',
			choices: ['throw', 'skip'],
			help: 'where records are absent: throw, or skip',
		},
	],
	async run(invocation, terminal) {
		const path = invocation.text('fold')
		if (path === undefined) throw usage('--fold names the module that folds, as in --fold ./cart.mjs')
		const { file } = invocation
		const diff = invocation.text('diff')
		const { fold, initial } = await load(path)
		const gaps = invocation.text('gaps') === 'skip' ? 'skip' : 'throw'
		const chain = await openChain(file)
		try {
			const stateOf = async (text: string | undefined) => {
				const at = await momentOf(chain, text, invocation, terminal)
				return stateAt(chain, at, fold, initial, { gaps })
			}
			const at = await stateOf(invocation.text('at'))
			const output = new Output(terminal.stdout)
			if (diff === undefined) await output.write(shown(at, terminal))
			else await output.write(formatChanges(diffStates(at, await stateOf(diff))))
			return STATUS.fine
		} finally {
			await chain.close()
		}
	},
}

async function momentOf(
	chain: Chain,
	text: string | undefined,
	invocation: Invocation,
	terminal: Terminal,
): Promise<Moment> {
	if (text === undefined) return { seq: Number.MAX_SAFE_INTEGER }
	if (/^\d{1,15}$/.test(text)) return { seq: Number(text) }
	if (!text.startsWith('@')) return { tsMs: parseTime(text, terminal.now()) }
	const session = await sessionOf(chain, invocation.text('session'))
	return { seq: checkpointNamed(await session.checkpoints(), text.slice(1), chain).seq }
}

async function load(path: string): Promise<Reducer> {
	let module: { default?: unknown; initial?: unknown }
	try {
		module = (await import(pathToFileURL(resolve(path)).href)) as typeof module
	} catch (error) {
		throw usage(`--fold ${path} cannot be loaded: ${messageOf(error)}`)
	}
	if (typeof module.default !== 'function') {
		throw usage(`--fold ${path} must export a function (state, record) => state as default`)
	}
	return { fold: module.default as Reducer['fold'], initial: module.initial }
}

/** As it would be in a chain: what a reducer keeps in classes, maps and sets shows as plain data. */
function shown(value: unknown, { stdoutIsTerminal }: Terminal): string {
	const line = toJson(canonicalState(value))
	return stdoutIsTerminal ? `${escapeUnsafe(JSON.stringify(JSON.parse(line), undefined, 2))}\n` : `${line}\n`
}
