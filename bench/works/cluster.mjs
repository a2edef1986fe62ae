/**
 * Measures sending chains to JetStream and reading them back, compared with the bare client and the same
 * messages. Also measures a service whose cluster is down the whole time.
 */
import { emptyFolder, runChild } from '../lib/processes.mjs'
import { outcome, rounds } from '../lib/rounds.mjs'

const work = (name, ways, sizes, checks) => ({
	name,
	contenders: ways,
	run({ mode }, folder, progress) {
		const { rounds: count, ...size } = sizes[mode]
		const measured = rounds(ways, count, progress, ({ job }) =>
			runChild('cluster', { ...size, ...job, folder: emptyFolder(folder, 'round') }),
		)
		return {
			records: size.records ?? size.messages ?? (size.recordsPerSecond * size.ms) / 1000,
			rounds: count,
			...outcome(measured, checks),
		}
	},
})

const way = (name, job) => ({ name, job, contender: 'mesh-chain' })

const SIZES = {
	full: { rounds: 5, records: 1_000_000 },
	quick: { rounds: 1, records: 200_000 },
	smoke: { rounds: 1, records: 800 },
}

const SERVICE_SIZES = {
	full: { rounds: 5, recordsPerSecond: 10_000, warmUpMs: 3_000, ms: 10_000 },
	quick: { rounds: 1, recordsPerSecond: 10_000, warmUpMs: 500, ms: 2_000 },
	smoke: { rounds: 1, recordsPerSecond: 1_000, warmUpMs: 500, ms: 300 },
}

const SMALL_SIZES = {
	full: { rounds: 5, messages: 100_000, nodes: 1_000 },
	quick: { rounds: 1, messages: 20_000, nodes: 1_000 },
	smoke: { rounds: 1, messages: 100, nodes: 10 },
}

const MANY_SIZES = {
	full: { rounds: 3, chains: 1_000, records: 100_000 },
	quick: { rounds: 1, chains: 100, records: 10_000 },
	smoke: { rounds: 1, chains: 8, records: 80 },
}

/** The bare client: one message at a time in order, as a chain requires, or many without waiting. */
const ONE = 'the client alone, one at a time'
const MANY = 'the client alone, 64 in flight'
const READ = 'the client alone'
const UNPACKED = 'the client and msgpackr'
const ALONE = 'without a forwarder'

const target = (ours, peer) => ({
	ours,
	what: 'records per second',
	figure: 'recordsPerSecond',
	peers: [peer],
	atLeast: 0.7,
})

const publishing = (name, job, sizes) =>
	work(
		name,
		[
			way('forwardChain', { ...job, kind: 'forward' }),
			way('forwardChain, 8 chains', { ...job, kind: 'forward', chains: 8 }),
			way(ONE, { ...job, kind: 'publishBare', inFlight: 1 }),
			way(MANY, { ...job, kind: 'publishBare', inFlight: 64 }),
		],
		sizes,
		[target('forwardChain', ONE), target('forwardChain', MANY), target('forwardChain, 8 chains', MANY)],
	)

const serving = (name, isUp, atMost) =>
	work(
		name,
		[
			way('with a forwarder', { kind: 'service', isUp, forwarder: true }),
			way(ALONE, { kind: 'service', isUp, forwarder: false }),
		],
		SERVICE_SIZES,
		[{ ours: 'with a forwarder', what: 'processor time', figure: 'cpuPercent', peers: [ALONE], atMost }],
	)

export const clusters = [
	publishing('cluster/publish', { servers: 1 }, SIZES),
	publishing('cluster/publish/replicas=3', { servers: 3 }, SIZES),
	work(
		'cluster/catch-up',
		[
			way('openStream', { kind: 'openStream' }),
			way('pullStream', { kind: 'pull' }),
			way(READ, { kind: 'consumeBare' }),
			way(UNPACKED, { kind: 'consumeBare', unpacks: true }),
		],
		SIZES,
		[target('openStream', READ), target('openStream', UNPACKED), target('pullStream', READ)],
	),
	work(
		'cluster/small-messages',
		[way('one server', { kind: 'small', servers: 1 }), way('three replicas', { kind: 'small', servers: 3 })],
		SMALL_SIZES,
		[],
	),
	work(
		'cluster/many-chains',
		[way('openStream', { kind: 'many' }), way('pullStream', { kind: 'many', pulls: true })],
		MANY_SIZES,
		[],
	),
	serving('cluster/up', true, 2),
	serving('cluster/down', false, 1.05),
]
