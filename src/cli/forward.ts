/**
 * Implements `mesh-chain forward`, which sends chains to a JetStream stream, and then new records as they are
 * written.
 */
import type { Forwarder, ForwardOptions, StreamSettings } from '../cluster/index.ts'
import { isStreamAddress } from '../cluster/is-stream-address.ts'
import { aborted } from '../platform/wait.ts'
import { count, counted } from '../text/numbers.ts'
import { parseDuration, parseRetention } from './amounts.ts'
import { type Command, type Invocation, type OptionSpec, usage } from './command.ts'
import { interruptedStatus, STATUS, statusTexts } from './exit-status.ts'
import { NATS_VARIABLE_NAMES, NATS_VARIABLES, natsAccess } from './nats-credentials.ts'
import { loadCluster } from './open-source.ts'
import { joined, type Printable, printablePath, printed } from './printable.ts'
import { StatusLine } from './progress.ts'
import type { Terminal } from './terminal.ts'

const SHOW_MS = 200
/** Settings for the stream that `--create` creates. An existing stream is never changed. */
const CREATE_OPTIONS = [
	{
		long: 'replicas',
		value: 'COUNT',
		defaultText: '1',
		help: 'with --create: number of servers that store the stream',
	},
	{
		long: 'storage',
		value: 'STORAGE',
		choices: ['file', 'memory'],
		defaultText: 'file',
		help: 'with --create: storage of the stream',
	},
	{
		long: 'retain',
		value: 'LIMIT',
		multiple: true,
		defaultText: 'everything',
		help: 'with --create: retention limit of the stream, an age (30d) or a size (10GiB); repeatable',
	},
	{
		long: 'duplicate-window',
		value: 'DURATION',
		defaultText: '2m',
		help: 'with --create: time for which the stream detects duplicate message IDs',
	},
] as const satisfies readonly OptionSpec[]

export const forward: Command = {
	name: 'forward',
	summary: 'send chains to a NATS JetStream stream',
	usage: 'FILE... --to nats://HOST/STREAM [options]',
	examples: [
		[
			'mesh-chain forward node.chain --to nats://127.0.0.1:4222/mesh',
			'sends all records, and then new ones until Ctrl-C',
		],
		[
			'mesh-chain forward node.chain --to nats://127.0.0.1:4222/mesh --create --replicas 3 --retain 30d',
			'creates the stream first if it does not exist',
		],
		[
			'mesh-chain forward node.chain --to nats://127.0.0.1:4222/mesh --once',
			'sends all records written so far, and exits',
		],
	],
	options: [
		{ long: 'to', value: 'ADDRESS', help: 'address of the stream, nats://HOST:4222/STREAM' },
		{
			long: 'subject-prefix',
			value: 'PREFIX',
			defaultText: 'mesh',
			help: 'prefix of the subjects, which have the form PREFIX.NODE.CHAIN',
		},
		{
			long: 'node',
			value: 'ID',
			defaultText: 'the node ID in the first record that has one, otherwise node',
			help: 'ID of the node that wrote the chain',
		},
		{
			long: 'once',
			help: 'exit when every record written so far is acknowledged or refused',
		},
		{
			long: 'linger',
			value: 'DURATION',
			defaultText: '100ms',
			help: 'time to wait for more records after sending a message that is not full',
		},
		{ long: 'create', help: 'create the stream if it does not exist' },
		...CREATE_OPTIONS,
	],
	environment: NATS_VARIABLES,
	statuses: statusTexts({
		ok: 'every record was acknowledged, or the command was interrupted (without --once)',
		notOk: 'a record was too large for a message, or the stream was ahead of the file',
		failed: 'a file cannot be read, or the stream cannot be written',
		interrupted: 'interrupted before every record was acknowledged (with --once)',
	}),
	async run(invocation, terminal) {
		const { files } = invocation
		if (files.length === 0) throw usage('forward requires at least one chain, such as node.chain')
		if (files.some(isStreamAddress))
			throw usage('forward sends files, not streams: name the stream to send to with --to')
		if (invocation.isGiven('node') && files.length > 1)
			throw usage('--node applies to a single chain: forward the chains one at a time')
		const once = invocation.flag('once')
		const options = { ...(await optionsOf(invocation, terminal)), endWhenRefused: once }
		const { forwardChain } = await loadCluster()
		const interrupted = terminal.interrupted()
		const forwarders = files.map((file) => forwardChain(file, options))
		const line = new StatusLine(terminal)
		const shown = setInterval(() => line.show(progressOf(forwarders)), SHOW_MS)
		let isInterrupted = false
		try {
			const ended = once ? allFlushed(forwarders) : Promise.all(forwarders.map(({ done }) => done))
			await Promise.race([ended, aborted(interrupted)])
			isInterrupted = interrupted.aborted
		} finally {
			clearInterval(shown)
			await Promise.allSettled(forwarders.map((forwarder) => forwarder.close()))
			line.end()
			tell(forwarders, terminal)
		}
		if (once && isInterrupted) {
			const text = 'interrupted before every record was acknowledged; the next forward sends the rest'
			terminal.stderr.write(printed`mesh-chain: ${text}\n`)
			return interruptedStatus(interrupted)
		}
		return forwarders.some(isIncomplete) ? STATUS.notOk : STATUS.ok
	},
}

async function optionsOf(invocation: Invocation, { env }: Terminal): Promise<ForwardOptions> {
	const to = invocation.text('to')
	if (to === undefined) throw usage('--to is missing: name the stream, as in --to nats://127.0.0.1:4222/mesh')
	if (/^[^/]*\/\/[^/]*@/.test(to))
		throw usage(
			'--to contains a user name or password, which every user of this machine can see: ' +
				`use ${NATS_VARIABLE_NAMES}`,
		)
	const { parseAddress } = await loadCluster()
	const { servers, stream, nodes, chainIds } = parseAddress(to)
	if (nodes.length + chainIds.length > 0)
		throw usage('--to must be the address of a stream, without a node or a chain')
	const create = settingsOf(invocation)
	const subjectPrefix = invocation.text('subject-prefix')
	const node = invocation.text('node')
	const linger = invocation.text('linger')
	return {
		...natsAccess(env),
		servers,
		stream,
		...(subjectPrefix === undefined ? {} : { subjectPrefix }),
		...(node === undefined ? {} : { node }),
		...(linger === undefined ? {} : { lingerMs: parseDuration('--linger', linger) }),
		...(create === undefined ? {} : { create }),
	}
}

function settingsOf(invocation: Invocation): StreamSettings | undefined {
	if (!invocation.flag('create')) {
		const given = CREATE_OPTIONS.find(({ long }) => invocation.isGiven(long))
		if (given !== undefined) throw usage(`--${given.long} applies only to a new stream: add --create`)
		return undefined
	}
	const replicas = invocation.count('replicas')
	const storage = invocation.text('storage') as StreamSettings['storage']
	const { ageMs, bytes } = parseRetention('--retain', invocation.texts('retain'))
	const duplicateWindow = invocation.text('duplicate-window')
	return {
		...(replicas === undefined ? {} : { replicas }),
		...(storage === undefined ? {} : { storage }),
		...(ageMs === undefined ? {} : { maxAgeMs: ageMs }),
		...(bytes === undefined ? {} : { maxBytes: bytes }),
		...(duplicateWindow === undefined
			? {}
			: { duplicateWindowMs: parseDuration('--duplicate-window', duplicateWindow) }),
	}
}

/** Waits until every forwarder has been flushed or has failed, then throws the first failure, if any. */
async function allFlushed(forwarders: readonly Forwarder[]): Promise<void> {
	const ends = await Promise.allSettled(forwarders.map((forwarder) => forwarder.flushed()))
	for (const end of ends) if (end.status === 'rejected') throw end.reason
}

/**
 * Returns whether the stream lacks records that are too large for a message, or the file lacks records that
 * are in the stream.
 */
function isIncomplete(forwarder: Forwarder): boolean {
	const { tooLarge, ahead } = forwarder.stats()
	return tooLarge > 0 || ahead > 0
}

function progressOf(forwarders: readonly Forwarder[]): Printable {
	const all = forwarders.map((forwarder) => forwarder.stats())
	const records = all.reduce((sum, stats) => sum + stats.records, 0)
	const failing = all.find(({ lastError }) => lastError !== undefined)
	const states = new Set(all.map(({ state }) => state))
	const what = failing === undefined ? [...states].join(', ') : failing.lastError
	return printed`${counted(records, 'record')} forwarded, ${what}`
}

function tell(forwarders: readonly Forwarder[], terminal: Terminal): void {
	for (const forwarder of forwarders) {
		const { records, messages, acknowledged, tooLarge, ahead, lastError } = forwarder.stats()
		const notes = [
			`${counted(records, 'record')} forwarded in ${counted(messages, 'message')}`,
			`acknowledged up to seq ${acknowledged.seq}`,
			tooLarge === 0
				? ''
				: `${count(tooLarge)} of them replaced by a gap because they are too large for a message`,
			ahead === 0 ? '' : `the stream was ${counted(ahead, 'seq')} ahead of the file`,
		]
		const failing = lastError === undefined ? '' : `; last error: ${lastError}`
		const text = joined(notes, printed`, `)
		terminal.stderr.write(printed`mesh-chain: ${printablePath(forwarder.path)}: ${text}${failing}\n`)
	}
}
