/** Measures the effects on a service's event loop at 100,000 records and ten syncs per second. */
import { emptyFolder, runChild } from '../lib/processes.mjs'
import { outcome, rounds } from '../lib/rounds.mjs'

const CONTENDERS = [
	{ name: 'with a chain', chain: true },
	{ name: 'without (NoOpAppender)', chain: false },
].map((entry) => ({ ...entry, contender: 'mesh-chain' }))

const CHECKS = [
	{ ours: 'with a chain', what: 'p99.9 of one publish, µs', figure: 'publishP999Us', atMost: 100 },
	{ ours: 'with a chain', what: 'longest call of the chain, ms', figure: 'appendMaxMs', atMost: 5 },
]

const SIZES = {
	full: { rounds: 5, warmUpMs: 2_000, ms: 5_000 },
	quick: { rounds: 1, warmUpMs: 300, ms: 700 },
	smoke: { rounds: 1, warmUpMs: 10, ms: 100 },
}

export const eventLoop = {
	name: 'event-loop',
	contenders: CONTENDERS,
	run({ mode }, folder, progress) {
		const { rounds: count, ...size } = SIZES[mode]
		const measured = rounds(CONTENDERS, count, progress, ({ chain }) =>
			runChild('event-loop', { ...size, chain, folder: emptyFolder(folder, 'round') }),
		)
		return {
			records: measured.get(CONTENDERS[0].name)[0].records,
			rounds: count,
			...outcome(measured, CHECKS),
		}
	},
}
