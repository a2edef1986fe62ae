/**
 * The settings of each peer: the fastest of those tried that survive `kill -9` at the end of a turn. See its
 * contender for details.
 */
export const settings = {
	'mesh-chain': '`FileChainAppender` as it comes, durability `os`',
	'pino sync': '`sync: true`, each line written at once',
	'pino flush': '`sync: true`, `minLength: 4096`, `flush()` at the end of a turn',
	'pino flushSync': 'the same with `flushSync()`, which also syncs to the disk',
	'better-sqlite3': 'WAL, `synchronous = NORMAL`, one prepared insert, one transaction a turn',
	'better-sqlite3 FULL': 'WAL, `synchronous = FULL`, one transaction a record',
	'fdatasync a record': '`writeSync` of a line of JSON, then `fdatasyncSync`',
	lmdb: '`noSync`, values in MessagePack, one `transactionSync` a turn',
	'classic-level': 'no compression, 64 MiB write buffer, values packed by msgpackr, one chained batch a turn',
	'event-storage': 'one `commit` a turn, then `storage.flush()`',
	hypercore: 'one `append` of a batch a turn, blocks packed by msgpackr',
	msgpackr: '`useRecords: false`, rows as arrays, in memory: writes nothing',
}
