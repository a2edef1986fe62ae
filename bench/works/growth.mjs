/** Checks that ten million records cost as much per record as a hundred thousand, and use no more memory. */
import { emptyFolder, runChild } from '../lib/processes.mjs'
import { outcome, rounds } from '../lib/rounds.mjs'

const CONTENDERS = [{ name: 'mesh-chain', contender: 'mesh-chain' }]

const CHECKS = [
	['appending: records per second, large to small', 'growthRatio', { atLeast: 0.9 }],
	['appending: additional resident memory, MiB', 'appendRssMiB', { atMost: 32 }],
	['reading: records per second, large to small', 'readGrowthRatio', { atLeast: 0.9 }],
	['reading: additional resident memory, MiB', 'readRssMiB', { atMost: 32 }],
].map(([what, figure, target]) => ({ ours: 'mesh-chain', what, figure, ...target }))

const SIZES = {
	full: { rounds: 5, small: 100_000, large: 10_000_000 },
	quick: { rounds: 1, small: 50_000, large: 500_000 },
	smoke: { rounds: 1, small: 1_000, large: 5_000 },
}

export const growth = {
	name: 'growth',
	contenders: CONTENDERS,
	run({ mode }, folder, progress) {
		const { rounds: count, ...size } = SIZES[mode]
		const measured = rounds(CONTENDERS, count, progress, () =>
			runChild('growth', { ...size, folder: emptyFolder(folder, 'round') }),
		)
		return { records: size.large, rounds: count, ...outcome(measured, CHECKS) }
	},
}
