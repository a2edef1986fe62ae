/**
 * Measures many sources: the cost of a SourceManager's pipeline compared with publishing, the number of lost
 * samples, and the time to restore all sources.
 */
import { emptyFolder, runChild } from '../lib/processes.mjs'
import { outcome, rounds } from '../lib/rounds.mjs'

const MANAGER = 'SourceManager'
const PUBLISH = 'loop.publish'

const WAYS = [
	{ name: MANAGER, way: 'manager' },
	{ name: PUBLISH, way: 'publish' },
].map((entry) => ({ ...entry, contender: 'mesh-chain' }))

const NOWHERE = { name: 'emitters alone', way: 'nowhere', contender: 'mesh-chain' }

const PACED = {
	full: { rounds: 3, sources: 1_000, samplesPerSecond: 50_000, warmUpMs: 4_000, ms: 30_000 },
	quick: { rounds: 1, sources: 1_000, samplesPerSecond: 50_000, warmUpMs: 1_000, ms: 2_000 },
	smoke: { rounds: 1, sources: 20, samplesPerSecond: 2_000, warmUpMs: 10, ms: 100 },
}

const PACED_CHECKS = [
	{ what: 'samples per second', figure: 'recordsPerSecond', atLeast: 49_500 },
	{ what: 'samples dropped', figure: 'dropped', atMost: 0 },
	{ what: 'additional resident memory, MiB', figure: 'appendRssMiB', atMost: 64 },
	{ what: 'p99 of the event loop, ms', figure: 'p99Ms', atMost: 20 },
	{ what: 'processor time', figure: 'cpuPercent', peers: [PUBLISH], atMost: 1.5 },
].map((check) => ({ ours: MANAGER, ...check }))

const FAST = {
	full: { rounds: 7, sources: 1_000, warmUpSamples: 200_000, samples: 1_000_000 },
	quick: { rounds: 1, sources: 1_000, warmUpSamples: 50_000, samples: 100_000 },
	smoke: { rounds: 1, sources: 20, warmUpSamples: 100, samples: 1_000 },
}

const FAST_CHECKS = [
	{ what: 'samples dropped', figure: 'dropped', atMost: 0 },
	{ what: 'samples per second', figure: 'recordsPerSecond', peers: [PUBLISH], atLeast: 0.5 },
].map((check) => ({ ours: MANAGER, ...check }))

const RESTORE = {
	full: { rounds: 5, sources: 10_000, closings: 8 },
	quick: { rounds: 1, sources: 10_000, closings: 2 },
	smoke: { rounds: 1, sources: 50, closings: 2 },
}

const RESTORED = { name: 'SourceManager#restore', contender: 'mesh-chain' }

export const sources = [
	{
		name: 'sources/paced',
		contenders: [...WAYS, NOWHERE],
		run({ mode }, folder, progress) {
			const { rounds: count, ...size } = PACED[mode]
			const measured = rounds([...WAYS, NOWHERE], count, progress, ({ way }) =>
				runChild('sources', { kind: 'paced', way, ...size, folder: emptyFolder(folder, 'round') }),
			)
			return {
				records: (size.samplesPerSecond * size.ms) / 1000,
				rounds: count,
				...outcome(measured, PACED_CHECKS),
			}
		},
	},
	{
		name: 'sources/fast',
		contenders: WAYS,
		run({ mode }, folder, progress) {
			const { rounds: count, ...size } = FAST[mode]
			const measured = rounds(WAYS, count, progress, ({ way }) =>
				runChild('sources', { kind: 'fast', way, ...size, folder: emptyFolder(folder, 'round') }),
			)
			return { records: size.samples, rounds: count, ...outcome(measured, FAST_CHECKS) }
		},
	},
	{
		name: 'sources/restore',
		contenders: [RESTORED],
		run({ mode }, folder, progress) {
			const { rounds: count, ...size } = RESTORE[mode]
			const measured = rounds([RESTORED], count, progress, () => {
				const job = { ...size, folder: emptyFolder(folder, 'round') }
				runChild('sources', { ...job, kind: 'prepare' })
				return runChild('sources', { ...job, kind: 'restore' })
			})
			const checks = [
				{ ours: RESTORED.name, what: 'time until all sources run, ms', figure: 'ms', atMost: 2_000 },
			]
			return { records: size.sources, rounds: count, ...outcome(measured, checks) }
		},
	},
]
