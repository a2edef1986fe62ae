/**
 * The behaviour of heliosdb-proxy's replay of a window into a database, row by row: the behaviour that
 * mesh-chain matches, and the faults that it avoids. Here its journal is a chain, and a transaction has its
 * own id.
 */

import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { openChain } from '../../src/index.ts'
import {
	type ReplayStatementsOptions,
	replayStatements,
	type StatementData,
} from '../../src/journal/index.ts'
import {
	ask,
	contentOf,
	opened,
	type PgConfig,
	recorded,
	statementsIn,
	twoDatabases,
} from '../support/databases.ts'
import { type Postgres, startPostgres } from '../support/postgres.ts'

let postgres: Postgres
beforeAll(async () => {
	postgres = await startPostgres()
})
afterAll(() => postgres?.remove())

const T = 'create table t (n int primary key, v text)'

async function recordedWith(script: string, work: (pool: pg.Pool) => Promise<unknown>, max = 8) {
	const databases = await twoDatabases(postgres, script)
	const path = await recorded(databases.source, work, { max })
	return { ...databases, path, statements: await statementsIn(path) }
}

async function replayed(path: string, target: PgConfig, options: ReplayStatementsOptions = {}) {
	return replayStatements(await opened(path), target, options)
}

/** Statements, each a little later than the previous one. */
async function spaced(pool: pg.Pool, count: number): Promise<void> {
	for (let n = 1; n <= count; n++) {
		await pool.query('insert into t values ($1, $2)', [n, `v${n}`])
		await new Promise((resolve) => setTimeout(resolve, 3))
	}
}

async function numbersIn(config: PgConfig): Promise<number[]> {
	const { rows } = await ask(config, 'select n from t order by n')
	return rows.map(({ n }) => n)
}

/** A chain that records when it is read. */
function watched() {
	const reads: unknown[] = []
	return {
		reads,
		chain: {
			// biome-ignore lint/correctness/useYield: it yields nothing
			batches: async function* (query?: unknown) {
				reads.push(query)
			},
		},
	}
}

describe('Match', () => {
	test('the window is inclusive at both ends, and may be a single moment', async () => {
		const { path, target, statements } = await recordedWith(T, (pool) => spaced(pool, 6))
		const [, second, third, , fifth] = statements as [StatementData, ...StatementData[]]
		const report = await replayed(path, target, { since: second!.startedMs, until: fifth!.startedMs })
		expect(await numbersIn(target)).toEqual([2, 3, 4, 5])
		expect([report.from, report.to]).toEqual([second!.startedMs, fifth!.startedMs])
		await ask(target, 'truncate t')
		expect(await replayed(path, target, { since: third!.startedMs, until: third!.startedMs })).toMatchObject({
			replayed: 1,
		})
		expect(await numbersIn(target)).toEqual([3])
	})

	test('from > to fails before any I/O: `replay window: from > to`', async () => {
		const { chain, reads } = watched()
		// Nothing listens there: a connection attempt would fail with another error.
		const target = { host: '127.0.0.1', port: 1 }
		for (const window of [
			{ since: 2, until: 1 },
			{ fromSeq: 2, toSeq: 1 },
		])
			await expect(replayStatements(chain, target, window)).rejects.toMatchObject({
				code: 'INVALID_FILTER',
				message: expect.stringMatching(/^replay window: from > to/),
			})
		expect(reads).toEqual([])
	})

	test('statements of all transactions are replayed in time order', async () => {
		const script = 'create table t (n int primary key, v text, at serial)'
		const { path, source, target } = await recordedWith(script, async (pool) => {
			for (let n = 1; n <= 20; n++)
				await pool.query('insert into t (n, v) values ($1, $2)', [100 - n, `v${n}`])
		})
		await replayed(path, target)
		const order = 'select n, at from t order by at'
		expect((await ask(target, order)).rows).toEqual((await ask(source, order)).rows)
	})

	test('host, port, user, password and database of the target override the template if given', async () => {
		const { path, target } = await recordedWith(T, (pool) => spaced(pool, 1))
		const { host, port, user, password, database } = target
		const encoded = encodeURIComponent(password)
		const chain = await opened(path)
		const url = `postgres://${user}:${encoded}@${host}:${port}/${database}`
		const variants = [
			{ url },
			{ url: `postgres://${user}:${encoded}@${host}:${port}/nothing`, database },
			{ url: `postgres://nobody:wrong@${host}:${port}/${database}`, user, password },
			{ url: `postgres://${user}:${encoded}@nowhere.invalid:1/${database}`, host, port },
			{ host, port, user, password, database },
		]
		for (const variant of variants) {
			expect(await replayStatements(chain, variant)).toMatchObject({ replayed: 1, failures: 0 })
			expect(await numbersIn(target)).toEqual([1])
			await ask(target, 'truncate t')
		}
		const missing = replayStatements(chain, { url, database: 'nothing' })
		await expect(missing).rejects.toThrow('connect to target: database "nothing" does not exist')
	})

	test('it connects even for an empty window, or fails with `connect to target: …`', async () => {
		const { chain, reads } = watched()
		await expect(replayStatements(chain, { ...postgres.config, port: 1 })).rejects.toMatchObject({
			code: 'TARGET_UNREACHABLE',
			message: expect.stringMatching(/^connect to target: connect ECONNREFUSED/),
		})
		expect(reads).toEqual([])
		expect(await replayStatements(chain, postgres.config)).toMatchObject({ replayed: 0, ended: 'end' })
	})

	test('a failed statement is counted; the first error is kept as `tx <id> seq <n>: …`', async () => {
		const { path, target, statements } = await recordedWith(T, (pool) => spaced(pool, 3))
		await ask(target, "insert into t values (2, 'in the way'), (3, 'too')")
		const report = await replayed(path, target)
		const [, second, third] = statements
		const error = 'duplicate key value violates unique constraint "t_pkey"'
		expect(report).toMatchObject({
			replayed: 1,
			failures: 2,
			failed: [
				{ tx: second!.tx, seq: 1, code: '23505', error },
				{ tx: third!.tx, seq: 1, code: '23505', error },
			],
			firstError: `tx ${second!.tx} seq 1: ${error}`,
		})
	})

	test('the summary has all counts, elapsedMs, from, to and firstError, and serialises to JSON', async () => {
		const { path, target } = await recordedWith(T, (pool) => spaced(pool, 2))
		const report = await replayed(path, target, { since: 0 })
		expect(JSON.parse(JSON.stringify(report))).toEqual(report)
		expect(report).toMatchObject({
			replayed: 2,
			failures: 0,
			elapsedMs: expect.any(Number),
			from: 0,
			to: null,
			firstError: null,
		})
	})

	test('an entry has sequence, statement, parameters, rows, checksum, time, type and duration', async () => {
		const { statements } = await recordedWith(T, async (pool) => {
			const client = await pool.connect()
			await client.query('begin')
			await client.query('insert into t values ($1, $2) returning *', [1, 'ü'])
			await client.query('commit')
			client.release()
		})
		expect(statements.map(({ seq }) => seq)).toEqual([1, 2, 3])
		expect(statements[1]).toMatchObject({
			text: 'insert into t values ($1, $2) returning *',
			params: ['1', 'ü'],
			rows: 1,
			checksum: expect.stringMatching(/^[0-9a-f]{32}$/),
			startedMs: expect.any(Number),
			commands: ['INSERT'],
			durationMs: expect.any(Number),
		})
	})
})

describe('Beat', () => {
	test('committing deletes nothing: a chain can be replayed any number of times', async () => {
		const { path, target } = await recordedWith(T, (pool) => spaced(pool, 3))
		for (let time = 0; time < 2; time++) {
			expect(await replayed(path, target)).toMatchObject({ replayed: 3, failures: 0 })
			await ask(target, 'truncate t')
		}
	})

	/**
	 * Two transactions, begun in one order and committed in the other, both interleaved with one that is
	 * rolled back.
	 */
	async function interleaved(pool: pg.Pool): Promise<void> {
		const [a, b, c] = [await pool.connect(), await pool.connect(), await pool.connect()]
		for (const client of [a, b, c]) await client.query('begin')
		await a.query("insert into t values (1, 'a')")
		await c.query("insert into t values (9, 'c')")
		await b.query("insert into t values (2, 'b')")
		await b.query("update t set v = v || '+' where n = 2")
		await c.query('rollback')
		await b.query('commit')
		await a.query('update t set v = v || (select count(*) from t) where n < 9')
		await a.query('commit')
		for (const client of [a, b, c]) client.release()
	}

	test('committed transactions that interleave get separate connections, in commit order', async () => {
		const { path, source, target } = await recordedWith(T, interleaved)
		const report = await replayed(path, target, { compare: true })
		expect(report).toMatchObject({ transactions: 2, replayed: 8, differences: 0, skipped: { rolledBack: 3 } })
		expect(await contentOf(target)).toEqual(await contentOf(source))
	})

	test('as recorded: interleaved, a connection per session; rolled-back work only on request', async () => {
		const { path, source, target } = await recordedWith(T, interleaved)
		const options = { mode: 'asRecorded', compare: true } as const
		const report = await replayed(path, target, options)
		expect(report).toMatchObject({ transactions: 2, replayed: 8, differences: 0, skipped: { rolledBack: 3 } })
		expect(await contentOf(target)).toEqual(await contentOf(source))
		await ask(target, 'truncate t')
		const all = await replayed(path, target, { ...options, includeRolledBack: true })
		expect(all).toMatchObject({ transactions: 3, replayed: 11, differences: 0, skipped: {} })
		expect(await contentOf(target)).toEqual(await contentOf(source))
	})

	test('ties in time are ordered by seq, not by chance', async () => {
		const { path, source, target, statements } = await recordedWith(
			'create table t (n int primary key, v text)',
			async (pool) => {
				await pool.query("insert into t values (1, '')")
				const texts = Array.from({ length: 60 }, (_unused, index) => String.fromCharCode(65 + index))
				for (const text of texts) await pool.query('update t set v = v || $1 where n = 1', [text])
			},
		)
		const times = statements.map(({ startedMs }) => startedMs)
		expect(new Set(times).size).toBeLessThan(times.length)
		await replayed(path, target)
		expect(await contentOf(target)).toEqual(await contentOf(source))
	})

	test('arrays do not become NULL, other text than ASCII is kept: every type as recorded', async () => {
		const columns =
			'n int primary key, b bool, i8 bigint, f float8, d numeric, t text, c varchar(20), by bytea, ' +
			'j json, jb jsonb, ts timestamptz, da date, u uuid, ia int[], ta text[], ja jsonb[], ba bytea[], ' +
			'na int[], inet inet, iv interval, p point, r int4range'
		const values = [
			1,
			true,
			9_007_199_254_740_993n,
			-0.1,
			'12345678901234567890.5',
			"日本 'ü' $1 \\ \u{1f600}",
			'č',
			Buffer.of(0, 1, 255),
			{ a: [1, null, 'ü'] },
			JSON.stringify([{ b: '日本' }]),
			new Date(1_700_000_000_123),
			'2026-02-28',
			'7d444840-9dc0-11d1-b245-5ffdce74fad2',
			[1, null, -3],
			['a,b', '"', null, 'NULL', '', 'ü\\'],
			[{ a: 1 }, { b: 'ü' }],
			[Buffer.of(0, 255), Buffer.of()],
			[
				[1, 2],
				[3, 4],
			],
			'10.0.0.1/8',
			'1 day 02:03',
			'(1,2)',
			'[1,5)',
		]
		const placeholders = values.map((_unused, index) => `$${index + 1}`).join(', ')
		const { path, source, target } = await recordedWith(
			`create table t (${columns})`,
			async (pool) => {
				await pool.query(`insert into t values (${placeholders})`, values)
				await pool.query(
					`insert into t values (${placeholders})`,
					values.map((value, index) => (index === 0 ? 2 : index === 1 ? null : value)),
				)
				await pool.query("insert into t (n, t) values (3, 'žluťoučký кот 猫')")
				await pool.query({
					name: 'prepared',
					text: 'update t set ta = $1 where n = $2 returning *',
					values: [['x'], 3],
				})
				await pool.query('select * from t where t = $1 and ta <> $2', [values[5], []])
			},
			1,
		)
		expect(await replayed(path, target, { compare: true })).toMatchObject({
			replayed: 5,
			failures: 0,
			differences: 0,
		})
		expect(await contentOf(target)).toEqual(await contentOf(source))
	})

	test('it can be cancelled, and reports progress', async () => {
		const { path, target } = await recordedWith(T, (pool) => spaced(pool, 20))
		const controller = new AbortController()
		const seen: number[] = []
		const report = await replayed(path, target, {
			signal: controller.signal,
			progressIntervalMs: 1,
			speed: 1,
			onProgress: ({ replayed: count }) => {
				seen.push(count)
				if (count >= 5) controller.abort()
			},
		})
		expect(report.ended).toBe('aborted')
		expect(report.replayed).toBeLessThan(20)
		expect(seen.at(-1)).toBeGreaterThanOrEqual(5)
		expect(await numbersIn(target)).toHaveLength(report.replayed)
		expect(await replayed(path, target, { signal: AbortSignal.abort() })).toMatchObject({
			ended: 'aborted',
			replayed: 0,
		})
	})

	test('a dry run counts, and changes nothing', async () => {
		const { path, target } = await recordedWith(T, interleaved)
		const report = await replayed(path, { ...target, port: 1 }, { dryRun: true })
		expect(report).toMatchObject({ replayed: 8, transactions: 2, skipped: { rolledBack: 3 } })
		expect(await numbersIn(target)).toEqual([])
	})

	test('a filter selects whole transactions', async () => {
		const { path, target } = await recordedWith(T, async (pool) => {
			const client = await pool.connect()
			for (const [n, v] of [
				[1, 'apple'],
				[2, 'pear'],
			] as const) {
				await client.query('begin')
				await client.query('insert into t values ($1, $2)', [n, v])
				await client.query("update t set v = v || '!' where n = $1", [n])
				await client.query('commit')
			}
			client.release()
		})
		expect(await replayed(path, target, { grep: 'pear' })).toMatchObject({
			replayed: 4,
			skipped: { filtered: 4 },
		})
		expect((await ask(target, 'select * from t')).rows).toEqual([{ n: 2, v: 'pear!' }])
	})

	test('it is paced: in real time, or at any other speed', async () => {
		const { path, target } = await recordedWith(T, (pool) => spaced(pool, 30))
		const chain = await openChain(path)
		onTestFinished(() => chain.close())
		const statements = await statementsIn(path)
		const lifeMs = statements.at(-1)!.startedMs - statements[0]!.startedMs
		const paced = await replayed(path, target, { speed: 1 })
		expect(paced.elapsedMs).toBeGreaterThanOrEqual(lifeMs - 1)
		await ask(target, 'truncate t')
		expect((await replayed(path, target, { speed: 0.5 })).elapsedMs).toBeGreaterThanOrEqual(2 * lifeMs - 1)
	})

	test('a lost connection is reopened, and its transaction replayed from the beginning', async () => {
		const { path, source, target } = await recordedWith(T, async (pool) => {
			const client = await pool.connect()
			for (const text of ['begin', "insert into t values (1, 'a')", 'select pg_sleep(0.3)', 'commit'])
				await client.query(text)
			client.release()
		})
		const sleeping =
			'select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and query like $2'
		const killed = expect.poll(
			async () => (await ask(postgres.config, sleeping, [target.database, 'select pg_sleep%'])).rowCount,
			{ timeout: 10_000 },
		)
		const [report] = await Promise.all([replayed(path, target), killed.toBe(1)])
		expect(report).toMatchObject({ replayed: 4, failures: 0, retries: 1, reconnects: 1 })
		expect(await contentOf(target)).toEqual(await contentOf(source))
	})

	test('checksums are recomputed: rows are compared by count and, in any order, by content', async () => {
		const { path, target, statements } = await recordedWith(
			`${T}; insert into t values (1, 'a'), (2, 'b')`,
			async (pool) => {
				await pool.query('select * from t order by n')
				await pool.query('select count(*) from t')
				await pool.query("update t set v = 'c' where n > 0 returning n")
			},
			1,
		)
		// The same rows in another order of the table.
		await ask(target, "truncate t; insert into t values (2, 'b'), (1, 'a')")
		expect(await replayed(path, target, { compare: true })).toMatchObject({ replayed: 3, differences: 0 })
		await ask(target, "truncate t; insert into t values (2, 'b'), (1, 'x')")
		const { differed } = await replayed(path, target, { compare: true })
		expect(differed).toMatchObject([{ tx: statements[0]!.tx, what: 'checksum' }])
		await ask(target, "truncate t; insert into t values (2, 'b')")
		const fewer = await replayed(path, target, { compare: true })
		expect(fewer.differed).toMatchObject([
			{ tx: statements[0]!.tx, what: 'rows', expected: 2, actual: 1 },
			{ tx: statements[1]!.tx, what: 'checksum' },
			{ tx: statements[2]!.tx, what: 'rows', expected: 2, actual: 1 },
		])
	})
})
