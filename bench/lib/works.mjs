/**
 * What is measured, by grid, and what mesh-chain has to reach: `atLeast` is a ratio of records per second to the peer,
 * `bytesAtMost` a ratio of bytes a record.
 */

const OURS = { name: 'mesh-chain', contender: 'mesh-chain' }
const SQLITE = { name: 'better-sqlite3', contender: 'better-sqlite3' }
const PACK = { name: 'msgpackr', contender: 'msgpackr', inMemory: true }

function pino(setting) {
	return { name: `pino ${setting}`, contender: 'pino', setting }
}

const READERS = [
	['mesh-chain', 'batches'],
	['mesh-chain', 'records'],
	['pino', 'readline'],
	['pino', 'readline-events'],
	['pino', 'split'],
	['better-sqlite3', 'iterate'],
	['msgpackr', 'unpack'],
].map(([contender, reader]) => ({ name: `${contender} ${reader}`, contender, reader }))

const NDJSON = ['pino readline', 'pino readline-events', 'pino split']

export const works = [
	{
		name: 'append/turn=1000/durability=os',
		turn: 1000,
		contenders: [OURS, pino('sync'), pino('flushSync'), pino('flush'), SQLITE, PACK],
		ratios: [
			{
				ours: 'mesh-chain',
				peers: ['pino flush', 'pino flushSync', 'pino sync'],
				label: 'fastest pino',
				atLeast: 12,
			},
			{ ours: 'mesh-chain', peers: ['pino flushSync'], atLeast: 12 },
			{ ours: 'mesh-chain', peers: ['better-sqlite3'], atLeast: 6 },
			{ ours: 'mesh-chain', peers: ['msgpackr'], atLeast: 1.2 },
			{ ours: 'mesh-chain', peers: ['pino sync'], bytesAtMost: 0.55 },
		],
	},
	{
		name: 'append/turn=10/durability=os',
		turn: 10,
		contenders: [OURS, pino('sync'), pino('flush'), SQLITE, PACK],
		ratios: [
			{ ours: 'mesh-chain', peers: ['pino flush', 'pino sync'], label: 'fastest pino' },
			{ ours: 'mesh-chain', peers: ['better-sqlite3'] },
			{ ours: 'mesh-chain', peers: ['msgpackr'] },
		],
	},
	{
		name: 'append/turn=1/durability=os',
		turn: 1,
		contenders: [OURS, pino('sync'), SQLITE, PACK],
		ratios: [
			{ ours: 'mesh-chain', peers: ['pino sync'], atLeast: 1.3 },
			{ ours: 'mesh-chain', peers: ['better-sqlite3'] },
			{ ours: 'mesh-chain', peers: ['msgpackr'] },
			{ ours: 'mesh-chain', peers: ['pino sync'], bytesAtMost: 0.75 },
		],
	},
	{
		name: 'read/turn=1000',
		turn: 1000,
		contenders: READERS,
		ratios: [
			{ ours: 'mesh-chain batches', peers: NDJSON, label: 'fastest NDJSON', atLeast: 6 },
			{ ours: 'mesh-chain batches', peers: ['better-sqlite3 iterate'], atLeast: 8 },
			{ ours: 'mesh-chain batches', peers: ['msgpackr unpack'] },
			{
				ours: 'mesh-chain records',
				peers: ['pino readline', 'pino readline-events'],
				label: 'NDJSON by readline',
				atLeast: 4,
			},
		],
	},
]

/** The contenders that need nothing but what the library itself depends on. */
export const WITHOUT_PEERS = ['mesh-chain', 'msgpackr']

/** How much is done: enough for medians, a first look in under a minute, or just once so that no bench rots. */
export const sizes = {
	full: {
		rounds: 7,
		warmUpRecords: 50_000,
		records: { append: 200_000, appendSingly: 100_000, read: 200_000 },
	},
	quick: {
		rounds: 5,
		warmUpRecords: 10_000,
		records: { append: 20_000, appendSingly: 10_000, read: 20_000 },
	},
	smoke: { rounds: 1, warmUpRecords: 100, records: { append: 1_000, appendSingly: 1_000, read: 1_000 } },
}

export function recordsOf(work, size) {
	if (work.name.startsWith('read/')) return size.records.read
	return work.turn === 1 ? size.records.appendSingly : size.records.append
}
