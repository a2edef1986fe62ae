/**
 * Measures the cost of a record, stage by stage, and the limits of the machine. These are the figures in
 * docs/explanation/performance.md.
 */
import { emptyFolder, runChild } from '../lib/processes.mjs'
import { outcome, rounds } from '../lib/rounds.mjs'

const STAGES = [
	'belowLevel',
	'loop',
	'listener',
	'data',
	'request',
	'chainNowhere',
	'chain',
	'chainData',
	'chainSingly',
	'emptyTurn',
	'clock',
	'freeze',
	'crc32',
	'sha256',
	'write',
	'writeSingly',
	'batches',
	'records',
	'errors',
].map((name) => ({ name, contender: 'mesh-chain' }))

/**
 * The rows of the table. Each function derives its row from the stages of one round, in nanoseconds per
 * record unless the name states another unit.
 */
const ROWS = {
	'a line below the level': ({ belowLevel }) => belowLevel.ns,
	clock: ({ clock }) => clock.ns,
	freeze: ({ freeze }) => freeze.ns,
	'check, build, ring, deliver': ({ loop, clock, freeze }) => loop.ns - clock.ns - freeze.ns,
	'sum: a loop with NoOpAppender': ({ loop }) => loop.ns,
	'hand over and encode': (s) => s.chainNowhere.ns - s.loop.ns - checksumOf(s) - hashOf(s),
	'checksum (CRC-32)': checksumOf,
	'hash (SHA-256)': hashOf,
	write: ({ chain, chainNowhere }) => chain.ns - chainNowhere.ns,
	'sum: a loop with a chain, 1,000 per turn': ({ chain }) => chain.ns,
	'one more listener': ({ listener, loop }) => listener.ns - loop.ns,
	'sum: a loop with NoOpAppender, request record': ({ request }) => request.ns,
	'canonical copy of { user, ms, ok }': ({ data, loop }) => data.ns - loop.ns,
	'the same, including its bytes in the chain': ({ chainData, chain }) => chainData.ns - chain.ns,
	'a loop with a chain, 1 per turn': ({ chainSingly }) => chainSingly.ns,
	'of that, an empty turn of the event loop': ({ emptyTurn }) => emptyTurn.ns,
	'reading by batches()': ({ batches }) => batches.ns,
	'reading by records()': ({ records }) => records.ns,
	'skipping records below the requested level': ({ errors }) => errors.ns,
	'limit: writeSync of 64 B': ({ writeSingly }) => writeSingly.ns,
}

const LIMITS = {
	'limit: write, 64 KiB at a time': 'write',
	'limit: CRC-32': 'crc32',
	'limit: SHA-256': 'sha256',
}

const CHECKS = [
	{
		ours: 'sum: a loop with NoOpAppender, request record',
		what: 'ns per record',
		figure: 'ns',
		atMost: 350,
	},
]

function checksumOf({ crc32, chain }) {
	return crc32.nsPerByte * chain.bytesPerRecord
}

function hashOf({ sha256, chain }) {
	return sha256.nsPerByte * chain.bytesPerRecord
}

const SIZES = {
	full: { rounds: 5, records: 150_000 },
	quick: { rounds: 1, records: 10_000 },
	smoke: { rounds: 1, records: 500 },
}

export const stages = {
	name: 'stages',
	contenders: STAGES,
	run({ mode }, folder, progress) {
		const size = SIZES[mode]
		const measured = rounds(STAGES, size.rounds, progress, ({ name }) =>
			runChild('stage', { name, stage: name, records: size.records, folder: emptyFolder(folder, 'round') }),
		)
		return { records: size.records, rounds: size.rounds, ...outcome(rowsOf(measured, size.rounds), CHECKS) }
	},
}

function rowsOf(measured, count) {
	const byRound = Array.from({ length: count }, (_unused, round) =>
		Object.fromEntries([...measured].map(([name, runs]) => [name, runs[round]])),
	)
	return new Map([
		...Object.entries(ROWS).map(([name, nsOf]) => [name, byRound.map((stage) => ({ ns: nsOf(stage) }))]),
		...Object.entries(LIMITS).map(([name, stage]) => [
			name,
			byRound.map((round) => ({ gigabytesPerSecond: round[stage].gigabytesPerSecond })),
		]),
	])
}
