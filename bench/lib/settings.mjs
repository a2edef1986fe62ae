/**
 * The settings of each peer. Of the settings tried, these are the fastest that survive `kill -9` at the end
 * of a turn. The module of each contender has the details.
 */
export const settings = {
	'mesh-chain': '`FileChainAppender` with default options (durability `os`)',
	'pino sync': '`sync: true`, each line written immediately',
	'pino flush': '`sync: true`, `minLength: 4096`, `flush()` at the end of each turn',
	'pino flushSync': 'the same with `flushSync()`, which also syncs to disk',
	'better-sqlite3': 'WAL, `synchronous = NORMAL`, one prepared insert, one transaction per turn',
	'better-sqlite3 FULL': 'WAL, `synchronous = FULL`, one transaction per record',
	'fdatasync per record': '`writeSync` of a line of JSON, then `fdatasyncSync`',
	lmdb: '`noSync`, values in MessagePack, one `transactionSync` per turn',
	'classic-level':
		'no compression, 64 MiB write buffer, values packed by msgpackr, one chained batch per turn',
	'event-storage': 'one `commit` per turn, then `storage.flush()`',
	hypercore: 'one `append` of a batch per turn, blocks packed by msgpackr',
	msgpackr: '`useRecords: false`, rows as arrays, in memory only',
}
