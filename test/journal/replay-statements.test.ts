import { setTimeout as sleep } from 'node:timers/promises'
import Cursor from 'pg-cursor'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Chain } from '../../src/chain/chain.ts'
import { replayStatements } from '../../src/journal/index.ts'
import { sizeOf, tellCounts } from '../support/counts.ts'
import { ask, contentOf, opened, recorded, statementsIn, twoDatabases } from '../support/databases.ts'
import { PGBENCH_TABLES, runPgbench } from '../support/pgbench.ts'
import { type Postgres, startPostgres } from '../support/postgres.ts'
import { record } from '../support/records.ts'

const TRANSACTIONS = sizeOf('PGBENCH')

let postgres: Postgres
beforeAll(async () => {
	postgres = await startPostgres()
	process.stdout.write(`${postgres.version}\n`)
})
afterAll(() => postgres?.remove())

test('a pgbench run replays into a copy with equal tables and equal answers', async () => {
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

test('exactly those pgbench statements that read a changed row are reported', async () => {
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

test('after a failed statement, the rest of its transaction is skipped; the replay continues', async () => {
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

test('a statement that failed in the recording is expected to fail in the same way', async () => {
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

test('a server restart neither loses nor repeats a transaction', async () => {
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
		progressIntervalMs: 1,
		onProgress: ({ replayed }) => {
			// Most likely in the middle of a transaction, while it sleeps.
			if (replayed > 100) restarted ??= sleep(10).then(postgres.stop).then(postgres.start)
		},
	})
	expect(restarted).toBeDefined()
	await restarted
	const { reconnects, retries, unknown } = report
	process.stdout.write(`after a restart: ${reconnects} reconnects, ${retries} retries, ${unknown} unknown\n`)
	const { rows } = await ask(target, 'select n, count(*)::int as times from t group by n order by n')
	expect(rows.every(({ times }) => times === 1)).toBe(true)
	// Unless it was committing at that moment, which is reported.
	expect(report.failures).toBe(report.unknown)
	expect(rows.length).toBeGreaterThanOrEqual(60 - report.unknown)
	expect(report).toMatchObject({ transactions: 60, ended: 'end', reconnects: 1 })
	// Neither occurs between two transactions.
	expect(report.retries + report.unknown).toBeLessThanOrEqual(1)
})

test('a target that stays unreachable ends the replay', async () => {
	const { source } = await twoDatabases(postgres, 'create table t (n int)')
	const path = await recorded(source, (pool) => pool.query('insert into t values (1)'))
	const nowhere = { ...postgres.config, port: 1 }
	await expect(replayStatements(await opened(path), nowhere)).rejects.toMatchObject({
		code: 'TARGET_UNREACHABLE',
		message: expect.stringMatching(/^connect to target: .+ECONNREFUSED/),
	})
	expect(await replayStatements(await opened(path), nowhere, { dryRun: true })).toMatchObject({ replayed: 1 })
})

test('a setting made outside a transaction applies to later statements of its session', async () => {
	const script = 'create schema shop; create table shop.t (n int)'
	const { source, target } = await twoDatabases(postgres, script)
	const path = await recorded(
		source,
		async (pool) => {
			await pool.query('set search_path = shop')
			await pool.query('insert into t values (1)')
			await pool.query('discard all')
			await pool.query('insert into shop.t values (2)')
		},
		{ max: 1 },
	)
	const report = await replayStatements(await opened(path), target, { compare: true })
	expect(report).toMatchObject({ replayed: 4, failures: 0 })
})

test('each transaction gets a clean connection', async () => {
	const { source, target } = await twoDatabases(postgres, 'create table t (n int)')
	const path = await recorded(source, async (pool) => {
		const clients = [await pool.connect(), await pool.connect()]
		for (const client of clients) {
			await client.query('create temp table own (n int)')
		}
		for (const client of clients) client.release()
	})
	for (const mode of ['commit', 'asRecorded'] as const)
		expect(await replayStatements(await opened(path), target, { mode, compare: true })).toMatchObject({
			replayed: 2,
			failures: 0,
		})
})

test('an unreplayable statement is listed, and its whole transaction is left out', async () => {
	const { source, target } = await twoDatabases(postgres, 'create table t (n int, v text)')
	const path = await recorded(
		source,
		async (pool) => {
			const client = await pool.connect()
			for (const values of [
				[1, 'hidden'],
				[2, 'x'.repeat(3000)],
				[3, 'fine'],
			]) {
				await client.query('begin')
				await client.query('insert into t values ($1, $2)', values)
				await client.query('commit')
			}
			client.release()
		},
		{
			redact: (_text, params) => (params[1] === 'hidden' ? [params[0]!] : undefined),
			statementBytesMax: 2000,
		},
	)
	const chain = await opened(path)
	const report = await replayStatements(chain, target)
	expect(report).toMatchObject({
		replayed: 3,
		transactions: 1,
		unreplayables: 2,
		unreplayable: [{ why: 'redacted', seq: 2, recordSeq: 2 }, { why: 'cut' }],
		skipped: { unreplayable: 6 },
	})
	expect((await ask(target, 'select n from t')).rows).toEqual([{ n: 3 }])
	for (const mode of ['commit', 'asRecorded'] as const)
		expect(await replayStatements(chain, target, { mode, dryRun: true })).toMatchObject({
			replayed: 3,
			unreplayables: 2,
			skipped: { unreplayable: 6 },
		})
})

test('only the transaction that is too large to hold is left out', async () => {
	const { source, target } = await twoDatabases(postgres, 'create table t (n int, v text)')
	const path = await recorded(source, async (pool) => {
		const [large, small] = [await pool.connect(), await pool.connect()]
		await large.query('begin')
		await small.query('begin')
		await small.query("insert into t values (1, 'small')")
		for (let n = 0; n < 20; n++) await large.query('insert into t values (2, $1)', ['x'.repeat(1000)])
		await large.query('commit')
		await small.query('commit')
		large.release()
		small.release()
	})
	const report = await replayStatements(await opened(path), target, { openBytesMax: 10_000 })
	expect(report).toMatchObject({
		replayed: 3,
		unreplayable: [{ why: 'tooLarge', text: 'insert into t values (2, $1)' }],
		skipped: { unreplayable: 22 },
	})
	expect((await ask(target, 'select n from t')).rows).toEqual([{ n: 1 }])
})

test('a transaction that is partly outside the window is not replayed', async () => {
	const { source, target } = await twoDatabases(postgres, 'create table t (n int)')
	const path = await recorded(source, async (pool) => {
		const client = await pool.connect()
		for (const n of [1, 2, 3])
			for (const text of ['begin', `insert into t values (${n})`, 'commit']) await client.query(text)
		client.release()
	})
	for (const mode of ['commit', 'asRecorded'] as const) {
		await ask(target, 'truncate t')
		const report = await replayStatements(await opened(path), target, { fromSeq: 2, toSeq: 8, mode })
		expect(report).toMatchObject({ replayed: 3, skipped: { incomplete: 2, unfinished: 2 } })
		expect((await ask(target, 'select n from t')).rows).toEqual([{ n: 2 }])
	}
})

test('transactions that only read are skipped without compare; a SELECT that writes is not', async () => {
	const { source, target } = await twoDatabases(postgres, 'create table t (n int); create sequence s')
	const path = await recorded(
		source,
		async (pool) => {
			for (const text of ['begin', 'set local work_mem = 1024', 'select * from t', 'commit'])
				await pool.query(text)
			await pool.query('with x as (insert into t values (1) returning n) select * from x')
			await pool.query('select n into u from t')
			await pool.query("select nextval('s')")
			await pool.query('show work_mem')
		},
		{ max: 1 },
	)
	const chain = await opened(path)
	const report = await replayStatements(chain, target)
	expect(report).toMatchObject({ replayed: 3, transactions: 3, failures: 0, skipped: { readOnly: 5 } })
	expect(await contentOf(target)).toEqual(await contentOf(source))
	const options = { compare: true, dryRun: true }
	expect(await replayStatements(chain, target, options)).toMatchObject({ replayed: 8, skipped: {} })
	expect(await replayStatements(chain, target, { ...options, reads: 'skip' })).toMatchObject({ replayed: 3 })
})

test('a cursor is compared only if it was read to its end', async () => {
	const script = 'create table t as select n from generate_series(1, 10) n'
	const { source, target } = await twoDatabases(postgres, script)
	const path = await recorded(source, async (pool) => {
		const client = await pool.connect()
		for (const count of [4, 100]) {
			const cursor = client.query(new Cursor('select n from t order by n'))
			await cursor.read(count)
			await cursor.close()
		}
		client.release()
	})
	const chain = await opened(path)
	expect(await replayStatements(chain, target)).toMatchObject({ replayed: 0, skipped: { readOnly: 2 } })
	const same = await replayStatements(chain, target, { compare: true })
	expect(same).toMatchObject({ replayed: 2, differences: 0, failures: 0 })
	await ask(target, 'delete from t where n = 1')
	const { differed } = await replayStatements(chain, target, { compare: true })
	expect(differed).toMatchObject([{ recordSeq: 2, what: 'rows', expected: 10, actual: 9 }])
})

test('a transaction begun by COMMIT AND CHAIN is replayed as one', async () => {
	const { source, target } = await twoDatabases(postgres, 'create table t (n int)')
	const path = await recorded(source, async (pool) => {
		const client = await pool.connect()
		const texts = ['begin', 'insert into t values (1)', 'commit and chain', 'insert into t values (2)']
		const more = [
			'insert into t values (3)',
			'rollback and chain',
			'insert into t values (4)',
			'savepoint s',
			'commit',
		]
		for (const text of [...texts, ...more]) await client.query(text)
		client.release()
	})
	for (const mode of ['commit', 'asRecorded'] as const) {
		await ask(target, 'truncate t')
		const report = await replayStatements(await opened(path), target, { mode, compare: true })
		expect(report).toMatchObject({ replayed: 6, failures: 0, differences: 0, skipped: { rolledBack: 3 } })
		expect((await ask(target, 'select n from t order by n')).rows).toEqual([{ n: 1 }, { n: 4 }])
	}
})

test('as recorded, a statement that waits for a later one does not block the replay', async () => {
	const { source, target } = await twoDatabases(postgres, 'create table t (n int); insert into t values (0)')
	const path = await recorded(source, async (pool) => {
		const [first, second] = [await pool.connect(), await pool.connect()]
		await first.query('begin')
		await first.query('update t set n = n + 1')
		const waiting = second.query('update t set n = n * 10')
		await first.query('commit')
		await waiting
		first.release()
		second.release()
	})
	const [begun, update, ...ends] = await statementsIn(path)
	const commit = ends.find(({ text }) => text === 'commit')!
	const other = ends.find(({ text }) => text !== 'commit')!
	// The recorded order if the answer to the commit arrives after the answer that the commit unblocked.
	const records = [begun, update, other, commit].map((data, index) =>
		record(index + 1, { kind: 'sql', data }),
	)
	const chain = {
		batches: async function* () {
			yield records
		},
	} as unknown as Pick<Chain, 'batches'>
	const report = await replayStatements(chain, target, { mode: 'asRecorded', compare: true })
	expect(report).toMatchObject({ replayed: 4, failures: 0, differences: 0 })
	expect((await ask(target, 'select n from t')).rows).toEqual([{ n: 10 }])
})

test('a commit whose connection was lost is reported as unknown, and not retried', async () => {
	const script = `create table t (n int);
		create function slow() returns trigger language plpgsql
			as 'begin perform pg_sleep(0.5); return null; end';
		create constraint trigger slow after insert on t deferrable initially deferred
			for each row execute function slow()`
	const { source, target } = await twoDatabases(postgres, script)
	const path = await recorded(source, async (pool) => {
		const client = await pool.connect()
		for (const text of ['begin', 'insert into t values (1)', 'commit']) await client.query(text)
		client.release()
	})
	// No matter how long it takes to become visible there.
	await ask(
		target,
		script
			.slice(script.indexOf('create function'))
			.split(';\n')[0]!
			.replace('create', 'create or replace')
			.replace('0.5', '20'),
	)
	const committing =
		"select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and query = 'commit'"
	const killed = expect.poll(async () => (await ask(postgres.config, committing, [target.database])).rowCount)
	const [report] = await Promise.all([replayStatements(await opened(path), target), killed.toBe(1)])
	expect(report).toMatchObject({
		replayed: 2,
		failures: 1,
		unknown: 1,
		retries: 0,
		failed: [{ seq: 3, isUnknown: true, error: expect.stringContaining('lost during the commit') }],
	})
})

test.each([
	[{ mode: 'sideways' }, 'INVALID_OPTION'],
	[{ reads: 'compare' }, 'INVALID_OPTION'],
	[{ compare: 1 }, 'INVALID_OPTION'],
	[{ concurrency: 2 }, 'INVALID_OPTION'],
	[{ onProgress: true }, 'INVALID_OPTION'],
	[{ level: 'loud' }, 'INVALID_LEVEL'],
] as const)('refuses the options %j', async (options, code) => {
	const chain = { batches: () => expect.unreachable() } as unknown as Pick<Chain, 'batches'>
	await expect(replayStatements(chain, {}, options as never)).rejects.toMatchObject({ code })
})

test.each([
	{ url: 'mysql://secret@host' },
	{ url: 'postgres://u:secret@[' },
	{ port: 0 },
	{ host: '' },
	{ pasword: 'secret' },
	{ ssl: 'yes' },
])('refuses the target %j without showing a possible secret', async (target) => {
	const chain = { batches: () => expect.unreachable() } as unknown as Pick<Chain, 'batches'>
	const error = await replayStatements(chain, target as never).catch((thrown) => thrown)
	expect(error).toMatchObject({ code: 'INVALID_OPTION' })
	expect(error.message).not.toContain('secret')
	expect(error.stack).not.toContain('secret')
})

test('as recorded, a pgbench run replays with eight connections and equal answers', async () => {
	const { source, target } = await twoDatabases(postgres, PGBENCH_TABLES)
	const path = await recorded(source, (pool) => runPgbench(pool, 200))
	const report = await replayStatements(await opened(path), target, { mode: 'asRecorded', compare: true })
	process.stdout.write(`as recorded: ${report.elapsedMs} ms\n`)
	expect(report).toMatchObject({
		replayed: 1400,
		transactions: 200,
		failures: 0,
		differences: 0,
		skipped: {},
	})
	expect(await contentOf(target)).toEqual(await contentOf(source))
})

test('transactions that wait for each other are replayed in the order of their effects', async () => {
	const { source, target } = await twoDatabases(postgres, 'create table t (n int); insert into t values (1)')
	const path = await recorded(source, async (pool) => {
		let left = 500
		const work = async () => {
			const client = await pool.connect()
			while (left-- > 0) {
				await client.query('begin')
				// Each statement depends on the previous value, and no two can be exchanged.
				await client.query('update t set n = (n * 31 + $1) % 1000003 returning n', [left])
				await client.query('commit')
			}
			client.release()
		}
		await Promise.all(Array.from({ length: 8 }, work))
	})
	const report = await replayStatements(await opened(path), target, { compare: true })
	expect(report).toMatchObject({ transactions: 500, failures: 0, differences: 0 })
	expect(await contentOf(target)).toEqual(await contentOf(source))
})

test('a transaction begun by ROLLBACK AND CHAIN is replayed without the previous one', async () => {
	const { source, target } = await twoDatabases(postgres, 'create table t (n int)')
	const path = await recorded(source, async (pool) => {
		const client = await pool.connect()
		const texts = ['begin', 'rollback and chain', 'insert into t values (1)', 'savepoint s', 'commit']
		for (const text of texts) await client.query(text)
		client.release()
	})
	for (const mode of ['commit', 'asRecorded'] as const)
		expect(await replayStatements(await opened(path), target, { mode })).toMatchObject({
			replayed: 3,
			failures: 0,
		})
})
