/** `mesh-chain forward`: ships chains to a stream of JetStream, and goes on as they grow. */
import type { Forwarder, ForwardOptions, StreamSettings } from '../cluster/index.ts'
import { aborted } from '../platform/wait.ts'
import { type Command, type Invocation, usage } from './command.ts'
import { count } from './numbers.ts'
import { ACCESS_HELP, accessFrom, isStreamAddress, loadCluster } from './open-source.ts'
import { type Printable, printablePath, printed } from './printable.ts'
import { StatusLine } from './progress.ts'
import { STATUS, type Terminal } from './terminal.ts'
import { parseDuration } from './times.ts'

const SHOW_MS = 200
/** Only with --create: of a stream that is there nothing is changed. */
const SETTINGS = ['replicas', 'storage', 'max-age', 'max-bytes', 'duplicate-window'] as const

export const forward: Command = {
	name: 'forward',
	summary: 'ship chains to a stream of NATS JetStream',
	usage: 'FILE... --to nats://HOST/STREAM [options]',
	examples: [
		[
			'mesh-chain forward node.chain --to nats://127.0.0.1:4222/mesh',
			'what is there, and what comes, until Ctrl-C',
		],
		[
			'mesh-chain forward node.chain --to nats://127.0.0.1:4222/mesh --create --replicas 3',
			'the stream is made where it is not there',
		],
		['mesh-chain forward node.chain --to nats://127.0.0.1:4222/mesh --once', 'what is there by now'],
	],
	options: [
		{ long: 'to', value: 'ADDRESS', help: `nats://host:4222/stream, without a password; ${ACCESS_HELP}` },
		{
			long: 'subject-prefix',
			value: 'PREFIX',
			help: 'prefix of the subjects PREFIX.NODE.CHAIN. Default: mesh',
		},
		{
			long: 'node',
			value: 'ID',
			help: 'the node that the chain is of; what its first record says unless told',
		},
		{
			long: 'once',
			help: 'end when what is there by now is acknowledged, or the servers refuse it; else one chain that cannot be forwarded ends all',
		},
		{
			long: 'linger',
			value: 'TIME',
			help: 'after a message that was not full wait so long for more; 100ms unless told',
		},
		{ long: 'create', help: 'make the stream where there is none' },
		{ long: 'replicas', value: 'COUNT', help: 'with --create: on so many servers; 1 unless told' },
		{ long: 'storage', value: 'WHERE', choices: ['file', 'memory'], help: 'with --create: file or memory' },
		{
			long: 'max-age',
			value: 'TIME',
			help: 'with --create: what is older is removed, 30d for instance; nothing unless told',
		},
		{ long: 'max-bytes', value: 'COUNT', help: 'with --create: the oldest is removed where there is more' },
		{
			long: 'duplicate-window',
			value: 'TIME',
			help: 'with --create: how long ids are remembered; 2m unless told',
		},
	],
	async run(invocation, terminal) {
		const { files } = invocation
		if (files.length === 0) throw usage('which chains? Name one or more, such as node.chain')
		if (files.some(isStreamAddress)) throw usage('forward takes files; the stream is named with --to')
		const node = invocation.text('node')
		if (node !== undefined && files.length > 1) throw usage('--node is of one chain: forward them one by one')
		const once = invocation.flag('once')
		const options = { ...(await optionsOf(invocation)), endWhenRefused: once }
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
				printed`mesh-chain: interrupted before everything was acknowledged; the next forward goes on there\n`,
			)
			return STATUS.usage
		}
		return forwarders.some(isIncomplete) ? STATUS.damage : STATUS.fine
	},
}

async function optionsOf(invocation: Invocation): Promise<ForwardOptions> {
	const to = invocation.text('to')
	if (to === undefined) throw usage('which stream? --to nats://127.0.0.1:4222/mesh names it')
	if (/^[^/]*\/\/[^/]*@/.test(to))
		throw usage(
			`--to has a name or password in it, which the list of processes shows to everyone: ${ACCESS_HELP}`,
		)
	const { parseAddress } = await loadCluster()
	const { servers, stream, nodes, chainIds } = parseAddress(to)
	if (nodes.length + chainIds.length > 0) throw usage('--to names a stream, and no node or chain in it')
	const create = settingsOf(invocation)
	const subjectPrefix = invocation.text('subject-prefix')
	const node = invocation.text('node')
	const linger = invocation.text('linger')
	return {
		...accessFrom(process.env),
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
		const given = SETTINGS.find((name) => invocation.text(name) !== undefined)
		if (given !== undefined) throw usage(`--${given} is for a stream that is made: add --create`)
		return undefined
	}
	const [replicas, maxBytes] = [invocation.count('replicas'), invocation.count('max-bytes')]
	const storage = invocation.text('storage') as StreamSettings['storage']
	const [maxAgeMs, duplicateWindowMs] = ['max-age', 'duplicate-window'].map((name) => {
		const text = invocation.text(name)
		return text === undefined ? undefined : parseDuration(`--${name}`, text)
	})
	return {
		...(replicas === undefined ? {} : { replicas }),
		...(storage === undefined ? {} : { storage }),
		...(maxAgeMs === undefined ? {} : { maxAgeMs }),
		...(maxBytes === undefined ? {} : { maxBytes }),
		...(duplicateWindowMs === undefined ? {} : { duplicateWindowMs }),
	}
}

/** Each to its end, whatever becomes of the others. */
async function allFlushed(forwarders: readonly Forwarder[]): Promise<void> {
	const ends = await Promise.allSettled(forwarders.map((forwarder) => forwarder.flushed()))
	for (const end of ends) if (end.status === 'rejected') throw end.reason
}

/** The stream lacks what no message can hold, the file what the stream has. */
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
	return printed`${count(records)} records forwarded, ${what}`
}

function tell(forwarders: readonly Forwarder[], terminal: Terminal): void {
	for (const forwarder of forwarders) {
		const { records, messages, acknowledged, tooLarge, ahead, lastError } = forwarder.stats()
		const lost = tooLarge === 0 ? '' : `, ${count(tooLarge)} of them only as a gap: too large for a message`
		const behind = ahead === 0 ? '' : `, the stream was ${count(ahead)} seqs ahead of the file`
		const failing = lastError === undefined ? '' : `; it was failing: ${lastError}`
		terminal.stderr.write(
			printed`mesh-chain: ${printablePath(forwarder.path)}: ${count(records)} records forwarded in ${count(messages)} ${messages === 1 ? 'message' : 'messages'}, acknowledged up to seq ${acknowledged.seq}${lost}${behind}${failing}\n`,
		)
	}
}
