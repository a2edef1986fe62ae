/**
 * Measures appending, by the shape of the records (lib/lines.mjs) and their number per turn. The clock stops
 * at the point after which a killed process loses nothing.
 */
import { join } from 'node:path'
import { emptyFolder, runChild, runUntilKilled } from '../lib/processes.mjs'
import { outcome, rounds } from '../lib/rounds.mjs'
import { WITHOUT_GENERATED_CODE, WITHOUT_SHA_INSTRUCTIONS } from '../lib/settings.mjs'

const TURNS_BEFORE_KILL = 7

const OURS = { name: 'mesh-chain', contender: 'mesh-chain', gzip: true }
/** Measured beside the default where a turn has many records, and most of the time is spent in JavaScript. */
const OURS_SLOWER = [WITHOUT_GENERATED_CODE, WITHOUT_SHA_INSTRUCTIONS].map((way) => ({ ...OURS, ...way }))
const OURS_REDACTING = { ...OURS, name: 'mesh-chain with redact', setting: 'redact' }
const SQLITE = { name: 'better-sqlite3', contender: 'better-sqlite3' }
const LMDB = { name: 'lmdb', contender: 'lmdb' }
const LEVEL = { name: 'classic-level', contender: 'classic-level' }
const HYPERCORE = { name: 'hypercore', contender: 'hypercore', part: 10 }
const EVENT_STORAGE = { name: 'event-storage', contender: 'event-storage' }
/** Writes nothing, so it keeps no promise. It is the baseline for encoding. */
const PACK = { name: 'msgpackr', contender: 'msgpackr', inMemory: true }

function pino(setting) {
	return { name: `pino ${setting}`, contender: 'pino', setting }
}

const PINO_SETTINGS = ['flush', 'flushSync', 'sync']
const PINO = PINO_SETTINGS.map((setting) => `pino ${setting}`)

function faster(peer, atLeast) {
	return {
		ours: 'mesh-chain',
		peers: [peer],
		what: 'records per second',
		figure: 'recordsPerSecond',
		atLeast,
	}
}

const WITHOUT_TARGET = [SQLITE, LMDB, EVENT_STORAGE, LEVEL, HYPERCORE, PACK].map(({ name }) => faster(name))

function fasterThanPino(atLeast) {
	return { ...faster('', atLeast), peers: PINO, label: 'fastest pino' }
}

/** The same ratio for the slower ways to run mesh-chain. They have no targets. */
function beside(check) {
	return OURS_SLOWER.map(({ name }) => ({ ...check, ours: name, atLeast: undefined }))
}

function smaller(atMost) {
	return {
		ours: 'mesh-chain',
		peers: ['pino sync'],
		what: 'bytes per record',
		figure: 'bytesPerRecord',
		atMost,
	}
}

function append(record, turn, contenders, checks, sizes) {
	return {
		name: `append/${record}/turn=${turn}`,
		contenders,
		run: (size, folder, progress) =>
			run({ record, turn, contenders, checks }, { ...sizes[size.mode], ...size }, folder, progress),
	}
}

function run({ record, turn, contenders, checks }, size, folder, progress) {
	const chosen = contenders.filter(({ contender }) => size.takesPart(contender))
	if (size.kills !== false)
		for (const entry of chosen) checkPromise({ ...entry, record, turn }, folder, progress)
	const measured = rounds(chosen, size.rounds, progress, (entry) => {
		const records = Math.ceil(size.records / (entry.part ?? 1))
		const warmUpRecords = Math.ceil(size.warmUpRecords / (entry.part ?? 1))
		return runChild('contender', {
			...entry,
			kind: 'append',
			record,
			turn,
			records,
			warmUpRecords,
			folder: emptyFolder(folder, 'round'),
		})
	})
	return { records: size.records, rounds: size.rounds, ...outcome(measured, checks) }
}

/** Checks that a contender that is killed at the end of a turn loses nothing. */
function checkPromise(entry, folder, progress) {
	if (entry.inMemory) return
	progress(`killing ${entry.name}`)
	const job = {
		...entry,
		records: entry.turn * TURNS_BEFORE_KILL,
		path: join(emptyFolder(folder, 'killed'), 'file'),
	}
	runUntilKilled('contender', { ...job, kind: 'killed' })
	runChild('contender', { ...job, kind: 'check' })
}

const SMOKE = { rounds: 1, records: 1_000, warmUpRecords: 100 }

/** Records with data, which only the peers that are loggers or databases of rows write. */
function appendData(record, turn, checks, records, others = []) {
	const ways = turn === 1 ? [pino('sync')] : PINO_SETTINGS.map(pino)
	const ours = turn === 1000 ? [OURS, ...OURS_SLOWER, ...others] : [OURS]
	const all = turn === 1000 ? [...checks, ...beside(fasterThanPino())] : checks
	return append(record, turn, [...ours, ...ways, SQLITE], all, {
		full: { rounds: 5, records, warmUpRecords: records },
		quick: { rounds: 1, records: records / 5, warmUpRecords: records / 5, kills: false },
		smoke: { ...SMOKE, records: Math.min(turn * 10, SMOKE.records) },
	})
}

const withData = [
	appendData(
		'request',
		1000,
		[
			fasterThanPino(3.5),
			faster('pino sync', 5),
			faster('better-sqlite3', 3),
			smaller(0.65),
			{ ...faster('mesh-chain', 0.72), ours: OURS_REDACTING.name },
		],
		100_000,
		[OURS_REDACTING],
	),
	appendData('request', 10, [fasterThanPino(2), faster('better-sqlite3')], 50_000),
	appendData('request', 1, [fasterThanPino(1.1), faster('better-sqlite3')], 25_000),
	appendData('error', 1000, [fasterThanPino(2.5), faster('better-sqlite3')], 25_000),
	appendData('wide', 1000, [fasterThanPino(2.5), faster('better-sqlite3')], 25_000),
]

const plain = [
	append(
		'plain',
		1000,
		[
			OURS,
			...OURS_SLOWER,
			pino('sync'),
			pino('flushSync'),
			pino('flush'),
			SQLITE,
			LMDB,
			LEVEL,
			EVENT_STORAGE,
			HYPERCORE,
			PACK,
		],
		[
			fasterThanPino(4.5),
			...beside(fasterThanPino()),
			faster('better-sqlite3'),
			faster('lmdb', 10),
			faster('event-storage', 10),
			faster('classic-level', 10),
			faster('hypercore', 50),
			faster('msgpackr', 1.2),
			smaller(0.55),
			{
				...smaller(0.2),
				what: 'bytes per record, ours through gzip -6',
				figure: 'gzipBytesPerRecord',
				peerFigure: 'bytesPerRecord',
			},
		],
		{
			full: { rounds: 5, records: 200_000, warmUpRecords: 200_000 },
			quick: { rounds: 2, records: 20_000, warmUpRecords: 20_000 },
			smoke: SMOKE,
		},
	),
	append(
		'plain',
		10,
		[OURS, pino('sync'), pino('flush'), SQLITE, LMDB, LEVEL, EVENT_STORAGE, HYPERCORE, PACK],
		[fasterThanPino(), ...WITHOUT_TARGET],
		{
			full: { rounds: 5, records: 100_000, warmUpRecords: 100_000 },
			quick: { rounds: 1, records: 10_000, warmUpRecords: 10_000, kills: false },
			smoke: SMOKE,
		},
	),
	append(
		'plain',
		1,
		[OURS, pino('sync'), SQLITE, LMDB, LEVEL, EVENT_STORAGE, HYPERCORE, PACK],
		[fasterThanPino(1.1), ...WITHOUT_TARGET, smaller(0.75)],
		{
			full: { rounds: 5, records: 50_000, warmUpRecords: 50_000 },
			quick: { rounds: 1, records: 5_000, warmUpRecords: 5_000, kills: false },
			smoke: { ...SMOKE, records: 200 },
		},
	),
]

export const appends = [...withData, ...plain]
