/**
 * Measures following a chain from another process: the delay until each published record is seen, once and in
 * order.
 */
import { emptyFolder, runChild } from '../lib/processes.mjs'
import { outcome, rounds } from '../lib/rounds.mjs'

const CONTENDERS = [{ name: 'mesh-chain tail', contender: 'mesh-chain' }]
const CHECKS = [
	{ ours: 'mesh-chain tail', what: 'p99 from published to seen, ms', figure: 'p99Ms', atMost: 20 },
]
const SIZES = {
	full: { rounds: 5, recordsPerSecond: 20_000, records: 200_000 },
	quick: { rounds: 1, recordsPerSecond: 20_000, records: 40_000 },
	smoke: { rounds: 1, recordsPerSecond: 20_000, records: 2_000 },
}

export const follow = {
	name: 'follow',
	contenders: CONTENDERS,
	run({ mode }, folder, progress) {
		const { rounds: count, ...size } = SIZES[mode]
		const measured = rounds(CONTENDERS, count, progress, () =>
			runChild('follow', { ...size, folder: emptyFolder(folder, 'round') }),
		)
		return { records: size.records, rounds: count, ...outcome(measured, CHECKS) }
	},
}
