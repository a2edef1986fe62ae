/** Measures reading: all records as objects, with or without data, or only a few matching records. */
import { emptyFolder, runChild } from '../lib/processes.mjs'
import { outcome, rounds } from '../lib/rounds.mjs'
import { WITHOUT_GENERATED_CODE } from '../lib/settings.mjs'

function entry([contender, reader, part]) {
	return { name: `${contender} ${reader}`, contender, reader, part }
}

const NDJSON = ['pino by hand', 'pino readline', 'pino readline events', 'pino split2']

function faster(ours, peers, atLeast, label) {
	return { ours, peers, label, what: 'records per second', figure: 'recordsPerSecond', atLeast }
}

const WAYS = [
	['mesh-chain', 'batches'],
	['mesh-chain', 'records'],
	['pino', 'by hand'],
	['pino', 'readline'],
	['pino', 'readline events'],
	['pino', 'split2'],
	['better-sqlite3', 'iterate'],
]

const WITHOUT_CODE = { ...entry(WAYS[0]), ...WITHOUT_GENERATED_CODE }

/** Omitted from the search, because they are never the fastest NDJSON readers. */
const SLOW_WAYS = ['readline events', 'split2']

/**
 * Records with data. The number of records that were written in one turn determines the size of mesh-chain's
 * frames.
 */
function withData(record, turn, atLeast) {
	return {
		name: `read/${record}/turn=${turn}`,
		kind: 'read',
		record,
		turn,
		contenders: [...WAYS.filter(([, reader]) => !SLOW_WAYS.includes(reader)).map(entry), WITHOUT_CODE],
		checks: [
			faster('mesh-chain batches', NDJSON, atLeast, 'fastest NDJSON'),
			faster(WITHOUT_CODE.name, NDJSON, undefined, 'fastest NDJSON'),
			faster('mesh-chain batches', ['better-sqlite3 iterate']),
		],
		sizes: {
			full: { rounds: 5, records: 50_000, warmUpMs: 1_000, passes: 3 },
			quick: { rounds: 1, records: 5_000, warmUpMs: 150, passes: 1 },
			smoke: { rounds: 1, records: 200, warmUpMs: 0, passes: 1 },
		},
	}
}

const everything = {
	name: 'read/plain',
	kind: 'read',
	contenders: [
		...WAYS,
		['event-storage', 'iterate'],
		['lmdb', 'range'],
		['classic-level', 'iterate'],
		['hypercore', 'get', 10],
		['msgpackr', 'unpack'],
	].map(entry),
	checks: [
		faster('mesh-chain batches', NDJSON, 5, 'fastest NDJSON'),
		faster('mesh-chain batches', ['better-sqlite3 iterate'], 8),
		faster('mesh-chain batches', ['event-storage iterate'], 8),
		faster('mesh-chain records', ['pino readline', 'pino readline events'], 4, 'NDJSON by readline'),
		faster('mesh-chain batches', ['lmdb range']),
		faster('mesh-chain batches', ['classic-level iterate']),
		faster('mesh-chain batches', ['msgpackr unpack']),
	],
	sizes: {
		full: { rounds: 5, records: 200_000, warmUpMs: 1_000, passes: 3 },
		quick: { rounds: 1, records: 20_000, warmUpMs: 150, passes: 1 },
		smoke: { rounds: 1, records: 1_000, warmUpMs: 0, passes: 1 },
	},
}

/** One record in a thousand is at `error`. The reader must skip the others. */
function find(errors, atLeast) {
	return {
		name: `read/errors=${errors}`,
		kind: 'find',
		errors,
		contenders: WAYS.filter(([, reader]) => !SLOW_WAYS.includes(reader)).map(entry),
		checks: [
			faster('mesh-chain batches', NDJSON, atLeast, 'fastest NDJSON + filter'),
			faster('mesh-chain batches', ['better-sqlite3 iterate']),
		],
		sizes: {
			full: { rounds: 5, records: 500_000, warmUpMs: 1_000, passes: 3 },
			quick: { rounds: 1, records: 50_000, warmUpMs: 150, passes: 1 },
			smoke: { rounds: 1, records: 10_000, warmUpMs: 0, passes: 1 },
		},
	}
}

function work({ name, kind, errors, record, turn = 1000, contenders, checks, sizes }) {
	return {
		name,
		contenders,
		run({ mode, takesPart }, folder, progress) {
			const size = sizes[mode]
			const chosen = contenders.filter(({ contender }) => takesPart(contender))
			const recordsOf = ({ part }) => Math.ceil(size.records / (part ?? 1))
			const paths = writeFiles(chosen, { errors, record, turn, recordsOf }, folder, progress)
			const measured = rounds(chosen, size.rounds, progress, (each) =>
				runChild('contender', {
					...each,
					kind,
					errors,
					record,
					warmUpMs: size.warmUpMs,
					passes: size.passes,
					records: recordsOf(each),
					path: paths.get(each.contender),
				}),
			)
			return { records: size.records, rounds: size.rounds, ...outcome(measured, checks) }
		},
	}
}

/** Writes the file for each reader once, with the contender for its format. */
function writeFiles(entries, { errors, record, turn, recordsOf }, folder, progress) {
	const paths = new Map()
	for (const { contender, part } of entries) {
		if (paths.has(contender)) continue
		progress(`writing for ${contender}`)
		const job = {
			kind: 'append',
			contender,
			turn,
			record,
			errors,
			records: recordsOf({ part }),
			warmUpRecords: 0,
		}
		paths.set(contender, runChild('contender', { ...job, folder: emptyFolder(folder, contender) }).path)
	}
	return paths
}

const data = [
	withData('request', 1000, 5),
	withData('request', 10, 3),
	withData('request', 1, 1.5),
	withData('error', 1000),
	withData('wide', 1000),
]

export const reads = [...data, everything, find('bursts', 40), find('spread', 12)].map(work)
