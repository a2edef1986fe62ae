/**
 * Implements `mesh-chain forward`: sends chains to a JetStream stream, and new records as they are written.
 */
import type { Forwarder, ForwardOptions, StreamSettings } from '../cluster/index.ts'
import { isStreamAddress } from '../cluster/is-stream-address.ts'
import { aborted } from '../platform/wait.ts'
import { count, counted } from '../text/numbers.ts'
import { parseDuration, parseRetention } from './amounts.ts'
import { type Command, type Invocation, type OptionSpec, usage } from './command.ts'
import { interruptedStatus, STATUS, statusTexts } from './exit-status.ts'
import { NATS_VARIABLE_NAMES, NATS_VARIABLES, natsAccess } from './nats-env.ts'
import { loadCluster } from './open-source.ts'
import { joined, type Printable, printablePath, printed } from './printable.ts'
import { StatusLine } from './progress.ts'
import type { Terminal } from './terminal.ts'

const SHOW_MS = 200
/** The options of a stream that `--create` creates. An existing stream is never changed. */
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
		help: 'with --create: how much the stream keeps, by age (30d) or size (10GiB); repeatable',
	},
	{
		long: 'duplicate-window',
		value: 'DURATION',
		defaultText: '2m',
		help: 'with --create: how long the stream remembers message IDs',
	},
] as const satisfies readonly OptionSpec[]

export const forward: Command = {
	name: 'forward',
	summary: 'send chains to a NATS JetStream stream',
	usage: 'FILE... --to nats://HOST/STREAM [options]',
	examples: [
		[
			'mesh-chain forward node.chain --to nats://127.0.0.1:4222/mesh',
			'sends the whole chain, and new records until Ctrl-C',
		],
		[
			'mesh-chain forward node.chain --to nats://127.0.0.1:4222/mesh --create --replicas 3 --retain 30d',
			'also creates the stream if it is missing',
		],
		[
			'mesh-chain forward node.chain --to nats://127.0.0.1:4222/mesh --once',
			'sends everything written so far, and exits',
		],
	],
	options: [
		{ long: 'to', value: 'ADDRESS', help: 'address of the stream, nats://HOST:4222/STREAM' },
		{
			long: 'subject-prefix',
			value: 'PREFIX',
			defaultText: 'mesh',
			help: 'first part of the subjects, PREFIX.NODE.CHAIN',
		},
		{
			long: 'node',
			value: 'ID',
			defaultText: 'the node of its first record',
			help: 'ID of the node that wrote the chain',
		},
		{
			long: 'once',
			help: 'exit once everything written so far is acknowledged or refused',
		},
		{
			long: 'linger',
			value: 'DURATION',
			defaultText: '100ms',
			help: 'wait for more records after a message that was not full',
		},
		{ long: 'create', help: 'create the stream if it is missing' },
		...CREATE_OPTIONS,
	],
	environment: NATS_VARIABLES,
	statuses: statusTexts({
		ok: 'everything was acknowledged; or interrupted, without --once',
		notOk: 'a record was too large for a message, or the stream is ahead of the file',
		failed: 'a file cannot be read, or the stream cannot be written',
		interrupted: 'interrupted before everything was acknowledged (--once)',
	}),
	async run(invocation, terminal) {
		const { files } = invocation
		if (files.length === 0) throw usage('which chains? Name one or more, such as node.chain')
		if (files.some(isStreamAddress)) throw usage('forward takes files: name the stream with --to')
		if (invocation.isGiven('node') && files.length > 1)
			throw usage('--node names the node of one chain: forward the chains one by one')
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
			terminal.stderr.write(
				printed`mesh-chain: interrupted before everything was acknowledged; the next forward continues from there\n`,
			)
			return interruptedStatus(interrupted)
		}
		return forwarders.some(isIncomplete) ? STATUS.notOk : STATUS.ok
	},
}

async function optionsOf(invocation: Invocation, { env }: Terminal): Promise<ForwardOptions> {
	const to = invocation.text('to')
	if (to === undefined) throw usage('which stream? Name one with --to, such as nats://127.0.0.1:4222/mesh')
	if (/^[^/]*\/\/[^/]*@/.test(to))
		throw usage(
			'--to contains a user name or a password, which every user of this machine can see: ' +
				`use ${NATS_VARIABLE_NAMES}`,
		)
	const { parseAddress } = await loadCluster()
	const { servers, stream, nodes, chainIds } = parseAddress(to)
	if (nodes.length + chainIds.length > 0) throw usage('--to names a stream, without a node or a chain')
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
		if (given !== undefined) throw usage(`--${given.long} applies to a new stream only: add --create`)
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

/** Waits for all of them, then throws the first failure. */
async function allFlushed(forwarders: readonly Forwarder[]): Promise<void> {
	const ends = await Promise.allSettled(forwarders.map((forwarder) => forwarder.flushed()))
	for (const end of ends) if (end.status === 'rejected') throw end.reason
}

/**
 * Whether the stream lacks records that no message can hold, or the file lacks records that are in the
 * stream.
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
			tooLarge === 0 ? '' : `${count(tooLarge)} of them only as a gap: too large for a message`,
			ahead === 0 ? '' : `the stream was ${counted(ahead, 'seq')} ahead of the file`,
		]
		const failing = lastError === undefined ? '' : `; it was failing: ${lastError}`
		const text = joined(notes, printed`, `)
		terminal.stderr.write(printed`mesh-chain: ${printablePath(forwarder.path)}: ${text}${failing}\n`)
	}
}
