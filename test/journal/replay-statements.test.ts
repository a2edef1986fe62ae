import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { replayStatements } from '../../src/journal/index.ts'
import { sizeOf, tellCounts } from '../support/counts.ts'
import { ask, contentOf, opened, recorded, statementsIn, twoDatabases } from '../support/databases.ts'
import { PGBENCH_TABLES, runPgbench } from '../support/pgbench.ts'
import { type Postgres, startPostgres } from '../support/postgres.ts'

const TRANSACTIONS = sizeOf('PGBENCH')

let postgres: Postgres
beforeAll(async () => {
	postgres = await startPostgres()
	process.stdout.write(`${postgres.version}\n`)
}, 60_000)
afterAll(() => postgres?.remove())

test('a run of pgbench replays into a copy: every table has the same content, and no answer differs', async () => {
	const { source, target } = await twoDatabases(postgres, PGBENCH_TABLES)
	const path = await recorded(source, (pool) => runPgbench(pool, TRANSACTIONS))
	const report = await replayStatements(await opened(path), target, { compare: true })
	const { transactions, differences, elapsedMs } = report
	tellCounts(0, 'pgbench', { transactions, differences, 'replayed in ms': Math.round(elapsedMs) })
	expect(report).toMatchObject({
		replayed: 7 * TRANSACTIONS,
		transactions: TRANSACTIONS,
		failures: 0,
		differences: 0,
		differed: [],
		skipped: {},
		gaps: { count: 0 },
		firstError: null,
		ended: 'end',
	})
	const content = await contentOf(target)
	expect(content).toEqual(await contentOf(source))
	expect(content['pgbench_history']).toMatch(new RegExp(`^${TRANSACTIONS} `))
})

test('of a run of pgbench, exactly the statements that saw a row that was changed by hand are reported', async () => {
	const { source, target } = await twoDatabases(postgres, PGBENCH_TABLES)
	const path = await recorded(source, (pool) => runPgbench(pool, Math.min(TRANSACTIONS, 200)))
	const statements = await statementsIn(path)
	const selects = statements.filter(({ text }) => text.startsWith('SELECT'))
	const aid = selects[7]!.params[0]
	await ask(target, 'update pgbench_accounts set abalance = abalance + 1 where aid = $1', [aid])
	const report = await replayStatements(await opened(path), target, { compare: true })
	const saw = selects.filter(({ params }) => params[0] === aid)
	expect(report.differed).toEqual(
		saw.map(({ tx, seq, text, checksum }) => ({
			tx,
			seq,
			recordSeq: expect.any(Number),
			text,
			what: 'checksum',
			expected: checksum,
			actual: expect.not.stringMatching(checksum!),
		})),
	)
	expect([report.differences, report.failures]).toEqual([saw.length, 0])
})

const ITEMS = 'create table items (id int primary key, name text unique deferrable initially deferred)'

test('a statement that fails is counted, what comes behind it in its transaction is not, and the replay goes on', async () => {
	const { source, target } = await twoDatabases(postgres, ITEMS)
	const path = await recorded(
		source,
		async (pool) => {
			await pool.query("insert into items values (1, 'one')")
			const client = await pool.connect()
			for (const text of [
				'begin',
				"insert into items values (2, 'two')",
				"update items set name = 'x'",
				'commit',
			])
				await client.query(text).catch(() => {})
			for (const text of [
				'begin',
				'savepoint s',
				"insert into items values (1, 'again')",
				'rollback to s',
				"insert into items values (3, 'three')",
				'commit',
				"insert into items values (4, 'four')",
			])
				await client.query(text).catch(() => {})
			client.release()
		},
		{ max: 1 },
	)
	await ask(target, "insert into items values (3, 'in the way')")
	const report = await replayStatements(await opened(path), target, { compare: true })
	expect(report).toMatchObject({
		// The first insert, five of the second transaction, and the last insert.
		replayed: 6,
		transactions: 3,
		failures: 1,
		differences: 0,
		skipped: { rolledBack: 4, afterError: 1 },
		failed: [{ seq: 5, code: '23505', isUnknown: false, text: "insert into items values (3, 'three')" }],
	})
	const tx = report.failed[0]?.tx
	expect(report.firstError).toBe(
		`tx ${tx} seq 5: duplicate key value violates unique constraint "items_pkey"`,
	)
	expect(JSON.parse(JSON.stringify(report))).toEqual(report)
	const { rows } = await ask(target, 'select * from items order by id')
	expect(rows.map(({ name }) => name)).toEqual(['one', 'in the way', 'four'])
	const stopped = await replayStatements(await opened(path), target, { stopOnError: true })
	expect(stopped).toMatchObject({ ended: 'error', failures: 1, replayed: 0 })
})

test('a statement that failed when it was recorded is expected to fail in the same way', async () => {
	const { source, target } = await twoDatabases(postgres, 'create table t (n int primary key)')
	const path = await recorded(source, async (pool) => {
		await pool.query('insert into t values (1)')
		await pool.query('insert into t values (1)').catch(() => {})
		await pool.query('insert into t values (2)')
	})
	const chain = await opened(path)
	const same = await replayStatements(chain, target, { compare: true, includeRolledBack: true })
	expect(same).toMatchObject({ replayed: 3, failures: 0, differences: 0, skipped: {} })
	await ask(target, 'truncate t')
	await ask(target, 'alter table t drop constraint t_pkey')
	const other = await replayStatements(chain, target, { compare: true, includeRolledBack: true })
	expect(other.differed).toMatchObject([{ what: 'error', expected: '23505', actual: null }])
	expect(other).toMatchObject({ replayed: 3, failures: 0, differences: 1 })
})

test('a server that is restarted in the middle loses no transaction, and none comes twice', async () => {
	const { source, target } = await twoDatabases(postgres, 'create table t (n int)')
	const path = await recorded(source, async (pool) => {
		const client = await pool.connect()
		for (let n = 0; n < 60; n++) {
			for (const text of ['begin', `insert into t values (${n})`, 'select pg_sleep(0.02)', 'commit'])
				await client.query(text)
		}
		client.release()
	})
	let restarted: Promise<void> | undefined
	const report = await replayStatements(await opened(path), target, {
		progressMs: 1,
		onProgress: ({ replayed }) => {
			// In the middle of a transaction, most likely while it sleeps.
			if (replayed > 100) restarted ??= sleep(10).then(postgres.stop).then(postgres.start)
		},
	})
	expect(restarted).toBeDefined()
	await restarted
	process.stdout.write(
		`after a restart: ${report.reconnects} reconnects, ${report.retries} retries, ${report.unknown} unknown\n`,
	)
	const { rows } = await ask(target, 'select n, count(*)::int as times from t group by n order by n')
	expect(rows.every(({ times }) => times === 1)).toBe(true)
	// Unless it was committing at that very moment, which is told.
	expect(report.failures).toBe(report.unknown)
	expect(rows.length).toBeGreaterThanOrEqual(60 - report.unknown)
	expect(report).toMatchObject({ transactions: 60, ended: 'end', reconnects: 1 })
	expect(report.retries + report.unknown).toBe(1)
})

test('a target that stays away ends the replay', async () => {
	const { source } = await twoDatabases(postgres, 'create table t (n int)')
	const path = await recorded(source, (pool) => pool.query('insert into t values (1)'))
	const nowhere = { ...postgres.config, port: 1 }
	await expect(replayStatements(await opened(path), nowhere)).rejects.toMatchObject({
		code: 'TARGET_UNREACHABLE',
		message: expect.stringMatching(/^connect to target: .+ECONNREFUSED/),
	})
	expect(await replayStatements(await opened(path), nowhere, { dryRun: true })).toMatchObject({ replayed: 1 })
})
