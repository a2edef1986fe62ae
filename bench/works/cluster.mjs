/** Shipping a chain to JetStream and reading it back, beside the bare client with the same messages; and a cluster that is down for the whole life of a service. */
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
			records: size.records ?? (size.recordsPerSecond * size.ms) / 1000,
			rounds: count,
			...outcome(measured, checks),
		}
	},
})

const way = (name, job) => ({ name, job, contender: 'mesh-chain' })

const SIZES = {
	full: { rounds: 5, records: 1_000_000 },
	quick: { rounds: 1, records: 200_000 },
	smoke: { rounds: 1, records: 500 },
}

const SERVICE_SIZES = {
	full: { rounds: 5, recordsPerSecond: 10_000, warmUpMs: 3_000, ms: 10_000 },
	quick: { rounds: 1, recordsPerSecond: 10_000, warmUpMs: 500, ms: 2_000 },
	smoke: { rounds: 1, recordsPerSecond: 1_000, warmUpMs: 500, ms: 300 },
}

const BARE = 'the client alone'
const ALONE = 'without a forwarder'

export const clusters = [
	work(
		'cluster/publish',
		[way('forwardChain', { kind: 'forward' }), way(BARE, { kind: 'publishBare' })],
		SIZES,
		[
			{
				ours: 'forwardChain',
				what: 'records per second',
				figure: 'recordsPerSecond',
				peers: [BARE],
				atLeast: 0.7,
			},
		],
	),
	work(
		'cluster/catch-up',
		[way('openStream', { kind: 'openStream' }), way(BARE, { kind: 'consumeBare' })],
		SIZES,
		[
			{
				ours: 'openStream',
				what: 'records per second',
				figure: 'recordsPerSecond',
				peers: [BARE],
				atLeast: 0.7,
			},
		],
	),
	work(
		'cluster/down',
		[
			way('with a forwarder', { kind: 'service', forwarder: true }),
			way(ALONE, { kind: 'service', forwarder: false }),
		],
		SERVICE_SIZES,
		[
			{
				ours: 'with a forwarder',
				what: 'processor time',
				figure: 'cpuPercent',
				peers: [ALONE],
				atMost: 1.05,
			},
		],
	),
]
