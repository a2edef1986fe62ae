/**
 * Implements `mesh-chain state`, which computes the state of an application at a position, or the changes
 * between two positions.
 */
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Chain, openChain } from '../chain/index.ts'
import { canonicalState } from '../codec/canonical.ts'
import { toJson } from '../codec/json-dialect.ts'
import { isThenable } from '../guard/promises.ts'
import { show } from '../guard/show.ts'
import { MeshChainError, messageOf } from '../model/errors.ts'
import type { LogRecord } from '../model/record.ts'
import { formatTime } from '../pretty/format-time.ts'
import { diffStates, formatChanges } from '../recorder/diff-states.ts'
import { type StateOptions, type StatePosition, stateAt } from '../recorder/state-at.ts'
import { type Command, type Invocation, usage } from './command.ts'
import { STATUS, statusTexts } from './exit-status.ts'
import { type Printable, printableJson, printableLines, printed } from './printable.ts'
import { checkpointNamed, sessionOf } from './session-range.ts'
import type { Terminal } from './terminal.ts'
import { parseTime } from './times.ts'

/** The exports of the module that `--fold` names. */
interface Reducer {
	readonly fold: (state: unknown, record: LogRecord) => unknown
	readonly initial: unknown
}

export const state: Command = {
	name: 'state',
	summary: 'compute the state of an application from a chain',
	usage: 'FILE --fold MODULE [options]',
	examples: [
		['mesh-chain state node.chain --fold ./cart.mjs', 'prints the state at the end of the chain'],
		[
			'mesh-chain state node.chain --fold ./cart.mjs --at 4117',
			'prints the state after the record with this seq',
		],
		[
			'mesh-chain state node.chain --fold ./cart.mjs --at 14:05 --diff 14:06',
			'prints the changes within one minute',
		],
		[
			'mesh-chain state node.chain --fold ./cart.mjs --at @before --diff @after',
			'prints the changes between two checkpoints',
		],
	],
	options: [
		{
			long: 'fold',
			value: 'MODULE',
			help:
				'path of an ES module; its default export is a function (state, record) => state, ' +
				'and its named export initial is the initial state',
		},
		{
			long: 'at',
			value: 'POSITION',
			defaultText: 'the end of the chain',
			help: 'position of the state: a seq, a time, or @ID for a checkpoint',
		},
		{
			long: 'diff',
			value: 'POSITION',
			help: 'print the changes from --at to this position: + added, - removed, ~ changed',
		},
		{
			long: 'session',
			value: 'ID',
			defaultText: 'the newest session',
			help: 'session that contains the checkpoints',
		},
		{
			long: 'from-start',
			help: 'compute the state from the first record, without using the states in checkpoints',
		},
		{
			long: 'gaps',
			value: 'WHAT',
			choices: ['throw', 'skip'],
			default: 'throw',
			help: 'how to handle absent records',
		},
	],
	statuses: statusTexts({
		ok: 'the state or the changes were printed',
		failed: 'the chain cannot be read, records are absent, or the fold failed',
	}),
	async run(invocation, terminal) {
		const path = invocation.text('fold')
		if (path === undefined) throw usage('--fold is missing: name a module, as in --fold ./cart.mjs')
		const { file } = invocation
		const diff = invocation.text('diff')
		refuseIdleSession(invocation)
		const { fold, initial } = await load(path)
		const options = stateOptionsOf(invocation)
		const chain = await openChain(file)
		try {
			const stateOf = async (text: string | undefined) => {
				const at = await momentOf(chain, text, invocation, terminal)
				if (text !== undefined && text !== 'now') await tellBeyond(chain, at, text, terminal)
				return stateAt(chain, at, { ...options, fold, initial })
			}
			const at = await stateOf(invocation.text('at'))
			const { stdout } = terminal
			if (diff === undefined) await stdout.write(shown(at, terminal))
			else await stdout.write(printableLines(formatChanges(diffStates(at, await stateOf(diff)))))
			return STATUS.ok
		} finally {
			await chain.close()
		}
	},
}

function refuseIdleSession(invocation: Invocation): void {
	const moments = [invocation.text('at'), invocation.text('diff')]
	if (invocation.text('session') === undefined || moments.some((text) => text?.startsWith('@'))) return
	throw usage('--session applies only to positions that are checkpoints, such as --at @ID')
}

function stateOptionsOf(invocation: Invocation): Pick<StateOptions<unknown>, 'checkpoint' | 'gaps'> {
	return {
		gaps: invocation.text('gaps') === 'skip' ? 'skip' : 'throw',
		...(invocation.flag('from-start') ? { checkpoint: () => false } : {}),
	}
}

/** Reports on stderr if a position is after the end of the chain. */
async function tellBeyond(
	chain: Chain,
	at: StatePosition,
	text: string,
	{ stderr }: Terminal,
): Promise<void> {
	for await (const last of chain.records({ reverse: true, limit: 1, gaps: 'skip' })) {
		const isBeyond = 'seq' in at ? at.seq > last.seq : 'tsMs' in at && at.tsMs > last.tsMs
		if (!isBeyond) return
		const end = `seq ${last.seq} (${formatTime(last.tsMs)})`
		stderr.write(printed`mesh-chain: ${text} is after the end of the chain: this is the state at ${end}\n`)
	}
}

async function momentOf(
	chain: Chain,
	text: string | undefined,
	invocation: Invocation,
	terminal: Terminal,
): Promise<StatePosition> {
	if (text === undefined) return { seq: Number.MAX_SAFE_INTEGER }
	if (/^\d{1,15}$/.test(text)) return { seq: Number(text) }
	if (!text.startsWith('@')) return { tsMs: timeOf(text, terminal.now()) }
	const session = await sessionOf(chain, invocation.text('session'))
	return { seq: (await checkpointNamed(session, text.slice(1), chain)).seq }
}

function timeOf(text: string, nowMs: number): number {
	try {
		return parseTime(text, nowMs)
	} catch (error) {
		const others = `a seq is a number such as 4117, and a checkpoint is @ plus its ID, such as @${text}`
		throw new MeshChainError('INVALID_TIME', `${messageOf(error)}; ${others}`, { cause: error })
	}
}

async function load(path: string): Promise<Reducer> {
	let module: { default?: unknown; initial?: unknown }
	try {
		module = (await import(pathToFileURL(resolve(path)).href)) as typeof module
	} catch (error) {
		throw usage(`--fold ${path} cannot be loaded: ${messageOf(error)}`)
	}
	if (typeof module.default !== 'function') {
		throw usage(`the default export of --fold ${path} must be a function (state, record) => state`)
	}
	if (module.initial === undefined) {
		throw usage(`--fold ${path} must export the initial state, as in export const initial = {}`)
	}
	return { fold: checked(module.default as Reducer['fold']), initial: module.initial }
}

/** Wraps the fold so that its errors name the record. */
function checked(fold: Reducer['fold']): Reducer['fold'] {
	return (state, record) => {
		const failed = (error: unknown) => foldFailed(record, `threw: ${messageOf(error)}`, error)
		let next: unknown
		try {
			next = fold(state, record)
		} catch (error) {
			throw failed(error)
		}
		if (!isThenable(next)) return defined(next, record)
		return next.then(
			(value) => defined(value, record),
			(error) => {
				throw failed(error)
			},
		)
	}
}

function defined(state: unknown, record: LogRecord): unknown {
	if (state !== undefined) return state
	throw foldFailed(record, 'returned undefined: it must return the state even if nothing has changed')
}

function foldFailed({ seq, kind }: LogRecord, what: string, cause?: unknown): MeshChainError {
	return new MeshChainError('FOLD_FAILED', `at seq ${seq} (kind ${show(kind)}), the fold ${what}`, {
		seq,
		cause,
	})
}

/** Formats the state in canonical form, in which class instances, maps and sets are plain data. */
function shown(value: unknown, { stdoutIsTerminal }: Terminal): Printable {
	const line = toJson(canonicalState(value))
	return printableJson(`${stdoutIsTerminal ? JSON.stringify(JSON.parse(line), undefined, 2) : line}\n`)
}
