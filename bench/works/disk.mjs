/**
 * Measures writing to disk when each writer waits for its record: group commit compared with one sync per
 * record.
 */
import { emptyFolder, runChild } from '../lib/processes.mjs'
import { outcome, rounds } from '../lib/rounds.mjs'

const TASKS = 1_000

const CONTENDERS = [
	{ name: 'mesh-chain', contender: 'mesh-chain', tasks: TASKS },
	{ name: 'fdatasync per record', contender: 'fsync', part: 400 },
	{ name: 'better-sqlite3 FULL', contender: 'better-sqlite3', part: 400 },
]

const CHECKS = [
	['fdatasync per record', 100],
	['better-sqlite3 FULL', 5],
].map(([peer, atLeast]) => ({
	ours: 'mesh-chain',
	peers: [peer],
	what: 'records per second on disk',
	figure: 'recordsPerSecond',
	atLeast,
}))

const SIZES = {
	full: { rounds: 5, records: 200_000 },
	quick: { rounds: 1, records: 50_000 },
	smoke: { rounds: 1, records: 2_000 },
}

export const disk = {
	name: `append/tasks=${TASKS}/durability=disk`,
	contenders: CONTENDERS,
	run({ mode, takesPart }, folder, progress) {
		const size = SIZES[mode]
		const chosen = CONTENDERS.filter(({ contender }) => takesPart(contender))
		const measured = rounds(chosen, size.rounds, progress, (entry) =>
			runChild('contender', {
				...entry,
				kind: 'acknowledged',
				records: Math.ceil(size.records / (entry.part ?? 1)),
				folder: emptyFolder(folder, 'round'),
			}),
		)
		return { records: size.records, rounds: size.rounds, ...outcome(measured, CHECKS) }
	},
}
