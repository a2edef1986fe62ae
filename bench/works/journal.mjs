/**
 * Measures what it costs a service to record its database traffic: the same queries through node-postgres,
 * with and without a journal.
 */
import { emptyFolder, runChild } from '../lib/processes.mjs'
import { outcome, rounds } from '../lib/rounds.mjs'

const JOURNAL = 'journalPg'
const BARE = 'node-postgres alone'

const WAYS = [
	{ name: JOURNAL, journal: true },
	{ name: BARE, journal: false },
].map((entry) => ({ ...entry, contender: 'mesh-chain' }))

const SIZES = {
	full: { rounds: 5, warmUpQueries: 5_000, queries: 30_000 },
	quick: { rounds: 1, warmUpQueries: 1_000, queries: 5_000 },
	smoke: { rounds: 1, warmUpQueries: 10, queries: 50 },
}

const CHECKS = [
	{ ours: JOURNAL, what: 'queries per second', figure: 'queriesPerSecond', peers: [BARE], atLeast: 0.9 },
	{
		ours: JOURNAL,
		what: 'processor time of the service per query',
		figure: 'cpuUsPerQuery',
		peers: [BARE],
		atMost: 1.5,
	},
]

export const journals = [1, 8].map((clients) => ({
	name: `journal/clients=${clients}`,
	contenders: WAYS,
	run({ mode }, folder, progress) {
		const { rounds: count, ...size } = SIZES[mode]
		const measured = rounds(WAYS, count, progress, ({ journal }) =>
			runChild('journal', { ...size, clients, journal, folder: emptyFolder(folder, 'round') }),
		)
		return { records: size.queries, rounds: count, ...outcome(measured, CHECKS) }
	},
}))
