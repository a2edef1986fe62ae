/** Runs pgbench's standard workload ("TPC-B (sort of)") through node-postgres. */
import type pg from 'pg'

export const TELLERS = 10
export const ACCOUNTS = 10_000

/** Tables as `pgbench -i` creates them, with fewer accounts. */
export const PGBENCH_TABLES = `
	create table pgbench_branches (bid int primary key, bbalance int, filler char(88));
	create table pgbench_tellers (tid int primary key, bid int, tbalance int, filler char(84));
	create table pgbench_accounts (aid int primary key, bid int, abalance int, filler char(84));
	create table pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
	insert into pgbench_branches values (1, 0);
	insert into pgbench_tellers select n, 1, 0 from generate_series(1, ${TELLERS}) n;
	insert into pgbench_accounts select n, 1, 0, '' from generate_series(1, ${ACCOUNTS}) n;
`

/**
 * Runs this number of transactions over all connections of the pool. `mtime` is a parameter, because
 * CURRENT_TIMESTAMP would differ in a replay.
 */
export async function runPgbench(pool: pg.Pool, transactions: number, clients = 8): Promise<void> {
	let left = transactions
	const work = async () => {
		const client = await pool.connect()
		while (left-- > 0) await transaction(client)
		client.release()
	}
	await Promise.all(Array.from({ length: clients }, work))
}

async function transaction(client: pg.PoolClient): Promise<void> {
	const [aid, tid, bid, delta] = [below(ACCOUNTS), below(TELLERS), 1, below(10_001) - 5001]
	await client.query('BEGIN')
	await client.query('UPDATE pgbench_accounts SET abalance = abalance + $1 WHERE aid = $2', [delta, aid])
	await client.query('SELECT abalance FROM pgbench_accounts WHERE aid = $1', [aid])
	await client.query('UPDATE pgbench_tellers SET tbalance = tbalance + $1 WHERE tid = $2', [delta, tid])
	await client.query('UPDATE pgbench_branches SET bbalance = bbalance + $1 WHERE bid = $2', [delta, bid])
	await client.query(
		'INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES ($1, $2, $3, $4, $5)',
		[tid, bid, aid, delta, new Date()],
	)
	await client.query('COMMIT')
}

/** Returns a random integer from 1 to `max`. */
function below(max: number): number {
	return 1 + Math.floor(Math.random() * max)
}
