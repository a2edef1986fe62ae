/** Statements that wait for a COMMIT are recorded, however the journaling process ends. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { statementsIn } from '../support/databases.ts'
import { startPostgres } from '../support/postgres.ts'
import { runModule } from '../support/process.ts'
import { temporaryFolder } from '../support/temporary.ts'

/** A trigger makes one COMMIT hang; five later statements are answered, and then the process ends. */
const ENDING = `
	import { FileChainAppender, MeshLoop } from 'mesh-chain'
	import { journalPg } from 'mesh-chain/journal'
	import pg from 'pg'
	const [, config, path, ending] = process.argv
	const loop = new MeshLoop(new FileChainAppender(path))
	const pool = journalPg(new pg.Pool({ ...JSON.parse(config), max: 2 }), loop)
	await pool.query('create temp table t (n int); ' +
		'create function pg_temp.wait() returns trigger language plpgsql as ' +
		"'begin perform pg_sleep(60); return null; end'; " +
		'create constraint trigger w after insert on t deferrable initially deferred ' +
		'for each row execute function pg_temp.wait()')
	const client = await pool.connect()
	await client.query('begin')
	await client.query('insert into t values (1)')
	client.query('commit').catch(() => {})
	for (let n = 1; n <= 5; n++) await pool.query('select $1::int as held', [n])
	if (ending === 'exit') process.exit(3)
	if (ending === 'throw') throw new Error('the end')
	for (const { connection } of pool._clients) connection.stream.unref()
`

test('statements that wait for a COMMIT in flight are in the chain when the process ends', async () => {
	const postgres = await startPostgres()
	try {
		for (const [ending, status] of [
			['exit', 3],
			['throw', 1],
			['return', 0],
		] as const) {
			const path = join(temporaryFolder(), 'node.chain')
			const ended = await runModule(ENDING, [JSON.stringify(postgres.config), path, ending])
			expect([ending, ended.status]).toEqual([ending, status])
			const statements = await statementsIn(path)
			expect(statements.slice(-5).map(({ params }) => params)).toEqual([['1'], ['2'], ['3'], ['4'], ['5']])
			expect(statements).toHaveLength(8)
		}
	} finally {
		await postgres.remove()
	}
})
