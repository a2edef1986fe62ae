/**
 * Measures seeking, `info` and reopening in a chain of 1 GiB whose writer was killed, compared with a full
 * scan.
 */
import { join } from 'node:path'
import { runChild, runUntilKilled } from '../lib/processes.mjs'
import { outcome, rounds } from '../lib/rounds.mjs'

const MIB = 1024 * 1024

const CONTENDERS = [
	{ name: 'seek by seq', kind: 'seq' },
	{ name: 'seek by time', kind: 'time' },
	{ name: 'info', kind: 'info' },
	{ name: 'info --full', kind: 'fullInfo' },
	{ name: 'reopen after a crash', kind: 'reopen' },
	{ name: 'full scan', kind: 'scan' },
].map((entry) => ({ ...entry, contender: 'mesh-chain' }))

const CHECKS = [
	...['seek by seq', 'seek by time'].flatMap((ours) => [
		{ ours, what: 'reads', figure: 'reads', atMost: 64 },
		{ ours, what: 'MiB read', figure: 'mebibytesRead', atMost: 2 },
		{ ours, peers: ['full scan'], what: 'time', figure: 'ms', atLeast: 500 },
	]),
	{ ours: 'info', what: 'time, ms', figure: 'ms', atMost: 500 },
	{ ours: 'reopen after a crash', peers: ['full scan'], what: 'time', figure: 'ms', atLeast: 200 },
]

const SIZES = {
	full: { rounds: 5, bytes: 1024 * MIB },
	quick: { rounds: 1, bytes: 64 * MIB },
	smoke: { rounds: 1, bytes: MIB / 2, isSmall: true },
}

export const large = {
	name: 'large/1GiB',
	contenders: CONTENDERS,
	run({ mode }, folder, progress) {
		const size = SIZES[mode]
		const path = join(folder, 'node.chain')
		progress('writing')
		const { records } = runUntilKilled('large', { kind: 'write', path, bytes: size.bytes })
		const measured = rounds(CONTENDERS, size.rounds, progress, ({ kind }) =>
			(kind === 'reopen' ? runUntilKilled : runChild)('large', {
				kind,
				path,
				records,
				isSmall: size.isSmall === true,
			}),
		)
		return { records, rounds: size.rounds, ...outcome(measured, CHECKS) }
	},
}
