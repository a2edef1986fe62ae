/**
 * The settings of each peer. Of the settings tried, these are the fastest that survive `kill -9` at the end
 * of a turn. The module of each contender has the details.
 */
export const settings = {
	'mesh-chain': '`FileChainAppender` with default options (durability `os`)',
	'mesh-chain with redact': 'the option `redact` with ten paths, four of which begin with `*`',
	'mesh-chain without generated code':
		'`node --disallow-code-generation-from-strings`, so that no function is generated for a shape',
	'mesh-chain without SHA instructions':
		'`OPENSSL_ia32cap=:~0x20000000`, so that hash links are computed as on an older processor',
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

/** Ways to run mesh-chain that are slower than the default, as fields of a contender. */
export const WITHOUT_GENERATED_CODE = {
	name: 'mesh-chain without generated code',
	node: ['--disallow-code-generation-from-strings'],
}
export const WITHOUT_SHA_INSTRUCTIONS = {
	name: 'mesh-chain without SHA instructions',
	env: { OPENSSL_ia32cap: ':~0x20000000' },
}
