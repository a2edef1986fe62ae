/**
 * Replays of statements whose target fails in every possible way: they end, report what was replayed and what
 * was not, and leave nothing open.
 */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { type ReplayStatementsOptions, replayStatements } from '../../src/journal/index.ts'
import type { LogRecord } from '../../src/model/record.ts'
import { ask, opened, type PgConfig, recorded, twoDatabases } from '../support/databases.ts'
import { type Postgres, startPostgres } from '../support/postgres.ts'
import { record } from '../support/records.ts'
import { unreliableNetwork } from '../support/unreliable-network.ts'

let postgres: Postgres
beforeAll(async () => {
	postgres = await startPostgres()
})
afterAll(() => postgres?.remove())

const T = 'create table t (n int)'

async function recordedTransactions(count: number, script = T) {
	const { source, target } = await twoDatabases(postgres, script)
	const path = await recorded(source, async (pool) => {
		const client = await pool.connect()
		for (let n = 0; n < count; n++)
			for (const text of ['begin', `insert into t values (${n})`, 'commit']) await client.query(text)
		client.release()
	})
	return { path, target }
}

const chainOf = (records: readonly LogRecord[]) => ({
	batches: async function* () {
		yield [...records]
	},
})

/** Records as a journal writes them, one statement each, with the given differences. */
const statements = (...all: readonly object[]) =>
	chainOf(
		all.map((data, index) =>
			record(index + 1, {
				kind: 'sql',
				data: { session: 's', params: [], commands: [], rows: null, checksum: null, ...data },
			}),
		),
	)

async function connectionsTo(target: PgConfig): Promise<number> {
	const { rows } = await ask(
		postgres.config,
		'select count(*)::int as n from pg_stat_activity where datname = $1',
		[target.database],
	)
	return rows[0].n
}

const run = (chain: unknown, target: PgConfig, options: ReplayStatementsOptions = {}) =>
	replayStatements(chain as never, target, options)

test('a connection starts with parameters known to poolers, and keeps its timeout when reset', async () => {
	const { source, target } = await twoDatabases(postgres, T)
	const path = await recorded(
		source,
		async (pool) => {
			await pool.query('insert into t values (1)')
			await pool.query('insert into t select 2 from pg_sleep(0.6)')
			await pool.query('insert into t values (3)')
		},
		{ max: 1 },
	)
	const network = await unreliableNetwork(postgres.config)
	const report = await run(await opened(path), { ...target, port: network.port }, { timeoutMs: 300 })
	expect(report).toMatchObject({ replayed: 2, failures: 1, reconnects: 0, failed: [{ code: '57014' }] })
	expect(network.sent.length).toBe(1)
	// The names and values in a start-up message end with an empty one.
	const [startup] = network.sent[0]!.slice(8).split('\0\0')
	const names = startup!.split('\0').filter((_, index) => index % 2 === 0)
	expect(names.sort()).toEqual(['application_name', 'client_encoding', 'database', 'user'])
})

test('a silent server is abandoned soon after the timeout, and its statement is not retried', async () => {
	const { path, target } = await recordedTransactions(3)
	const network = await unreliableNetwork(postgres.config)
	network.freezeAt('insert into t values (1)')
	const report = await run(await opened(path), { ...target, port: network.port }, { timeoutMs: 100 })
	expect(report).toMatchObject({
		replayed: 7,
		failures: 1,
		unknown: 0,
		retries: 0,
		reconnects: 1,
		skipped: { afterError: 1 },
		failed: [{ seq: 2, error: 'no answer within 100 ms' }],
		ended: 'end',
	})
	await expect.poll(() => network.open).toBe(0)
})

const sum = (counts: object) => Object.values(counts).reduce((total: number, count) => total + count, 0)

test('an absent target is reported after some attempts, and every begun statement is counted', async () => {
	const { path, target } = await recordedTransactions(50)
	const network = await unreliableNetwork(postgres.config)
	const report = await run(
		await opened(path),
		{ ...target, port: network.port },
		{
			retries: 2,
			progressIntervalMs: 1,
			onProgress: ({ replayed }) => {
				if (replayed >= 30) network.cut()
			},
		},
	)
	expect(report).toMatchObject({ ended: 'targetGone', failures: 1, firstError: expect.any(String) })
	expect(report.replayed + report.failures + sum(report.skipped)).toBe(3 * report.transactions)
	expect(report.transactions).toBeLessThan(50)
	await expect.poll(() => connectionsTo(target)).toBe(0)
})

test.each(['commit', 'asRecorded'] as const)(
	'in the order %s, a signal immediately ends a replay that is connecting',
	async (mode) => {
		const silent = createServer(() => {}).listen(0, '127.0.0.1')
		await once(silent, 'listening')
		onTestFinished(() => void silent.close())
		const { port } = silent.address() as { port: number }
		const begunMs = Date.now()
		const signal = AbortSignal.timeout(100)
		const report = await run(statements(), { ...postgres.config, port }, { signal, mode, connectMs: 120_000 })
		expect(report).toMatchObject({ ended: 'aborted', replayed: 0, failures: 0 })
		expect(Date.now() - begunMs).toBeLessThan(30_000)
	},
)

test('as recorded, a signal ends a replay that waits for a lock forever', async () => {
	const { target } = await twoDatabases(postgres, `${T}; insert into t values (0)`)
	const abort = new AbortController()
	let readers = 0
	const chain = {
		batches: async function* () {
			const isFirst = readers++ === 0
			yield [
				sql(1, { session: 'a', tx: 'a:1', seq: 1, text: 'begin', commands: ['BEGIN'] }),
				sql(2, { session: 'a', tx: 'a:1', seq: 2, text: 'update t set n = 1', commands: ['UPDATE'] }),
				sql(3, {
					session: 'b',
					tx: 'b:1',
					seq: 1,
					text: 'update t set n = 2',
					commands: ['UPDATE'],
					end: 'commit',
				}),
			]
			// The third statement waits for the commit, which never happens.
			if (isFirst) abort.abort()
			yield [sql(4, { session: 'a', tx: 'a:1', seq: 3, text: 'commit', commands: ['COMMIT'], end: 'commit' })]
		},
	}
	const begunMs = Date.now()
	const report = await run(chain, target, { mode: 'asRecorded', signal: abort.signal })
	expect(report.ended).toBe('aborted')
	expect(Date.now() - begunMs).toBeLessThan(30_000)
	await expect.poll(() => connectionsTo(target)).toBe(0)
})

const sql = (seq: number, data: object) =>
	record(seq, { kind: 'sql', data: { params: [], rows: 1, checksum: null, ...data } as never })

test.each(['commit', 'asRecorded'] as const)(
	'in the order %s, an error from onProgress ends the replay and closes its connections',
	async (mode) => {
		const { path, target } = await recordedTransactions(20)
		const thrown = new Error('no more')
		const onProgress = () => {
			throw thrown
		}
		await expect(run(await opened(path), target, { mode, progressIntervalMs: 1, onProgress })).rejects.toBe(
			thrown,
		)
		await expect.poll(() => connectionsTo(target)).toBe(0)
	},
)

test('a deadlock in the replay is retried; committed transactions are not repeated', async () => {
	const { target } = await twoDatabases(
		postgres,
		`${T}; create sequence tries;
		create function once() returns int language plpgsql as $$ begin
			if nextval('tries') = 1 then raise exception 'deadlock' using errcode = '40P01'; end if;
			return 1; end $$`,
	)
	const begun = { tx: 's:1', seq: 1, text: 'begin', commands: ['BEGIN'] }
	const insert = { text: 'insert into t select once()', commands: ['INSERT'] }
	const end = { text: 'commit', commands: ['COMMIT'], end: 'commit' }
	const chain = statements(begun, { tx: 's:1', seq: 2, ...insert }, { tx: 's:1', seq: 3, ...end })
	expect(await run(chain, target)).toMatchObject({ replayed: 3, failures: 0, retries: 1 })
	expect((await ask(target, 'select n from t')).rows).toHaveLength(1)
	await ask(target, "truncate t; select setval('tries', 1, false)")
	const saved = statements(
		begun,
		{ tx: 's:1', seq: 2, text: 'insert into t values (7)', commands: ['INSERT'] },
		{ tx: 's:1', seq: 3, text: 'savepoint s', commands: ['SAVEPOINT'] },
		{ tx: 's:1', seq: 4, ...insert },
		{ tx: 's:1', seq: 5, text: 'rollback to s', commands: ['ROLLBACK'] },
		{ tx: 's:1', seq: 6, ...end },
	)
	expect(await run(saved, target)).toMatchObject({ replayed: 5, failures: 1, retries: 0 })
	expect((await ask(target, 'select n from t')).rows).toEqual([{ n: 7 }])
})

test('a read-only target, or one without connections, is reported; no statement is left out', async () => {
	const { path, target } = await recordedTransactions(3)
	await ask(postgres.config, `alter database ${target.database} set default_transaction_read_only = on`)
	const report = await run(await opened(path), target)
	expect(report).toMatchObject({ replayed: 3, failures: 3, skipped: { afterError: 3 }, ended: 'end' })
	expect(report.firstError).toContain('in a read-only transaction')
	await ask(postgres.config, `alter database ${target.database} connection limit 0`)
	await ask(
		postgres.config,
		"do $$ begin create role few login password 'few'; exception when others then null; end $$",
	)
	const few = run(await opened(path), { ...target, user: 'few', password: 'few' })
	await expect(few).rejects.toMatchObject({
		code: 'TARGET_UNREACHABLE',
		message: expect.stringContaining('too many connections'),
	})
})

test('the reason for a failed connection states what to change', async () => {
	const { password: _, ...none } = postgres.config
	const chain = statements()
	await expect(run(chain, none as PgConfig)).rejects.toThrow(
		'connect to target: the target requires a password, but none was given',
	)
	await expect(run(chain, { ...postgres.config, port: 70_000 })).rejects.toMatchObject({
		code: 'INVALID_OPTION',
	})
})

const DAMAGED: readonly object[] = [
	{ tx: 1 },
	{ seq: 'one' },
	{ seq: 0 },
	{ seq: 1.5 },
	{ text: null },
	{ params: 'x' },
	{ params: [1] },
	{ params: [{ a: 1 }] },
	{ params: [[1]] },
	{ params: [undefined] },
	{ paramTypes: 'x' },
	{ paramTypes: ['int'], params: ['1'] },
	{ name: 5 },
	{ commands: [null] },
	{ commands: 'INSERT' },
	{ rows: 'many' },
	{ checksum: 5 },
	{ end: 'maybe' },
	{ error: 'bad' },
	{ error: null },
	{ error: { code: 5 } },
	{ unreplayable: 'because' },
]

test.each(['commit', 'asRecorded'] as const)(
	'in the order %s, records not written by a journal are counted, and the others replayed',
	async (mode) => {
		const { target } = await twoDatabases(postgres, T)
		const fine = { text: 'insert into t values (1)', commands: ['INSERT'], rows: 1, seq: 1, end: 'commit' }
		const damaged = DAMAGED.map((fields, n) => ({ ...fine, tx: `s:${n}`, ...fields }))
		const chain = statements(...damaged, { ...fine, tx: 'last' })
		const options = { mode, compare: true }
		expect(await run(chain, target, options)).toMatchObject({
			replayed: 1,
			failures: 0,
			differences: 0,
			skipped: { notAStatement: DAMAGED.length },
		})
		const none = chainOf(
			[null, 'text', 5, []].map((data, n) => record(n + 1, { kind: 'sql', data } as never)),
		)
		expect(await run(none, target, options)).toMatchObject({ skipped: { notAStatement: 4 } })
	},
)

test.each(['commit', 'asRecorded'] as const)(
	'in the order %s, statements that no connection can have made are counted and do no harm',
	async (mode) => {
		const { target } = await twoDatabases(postgres, T)
		const insert = { text: 'insert into t values (1)', commands: ['INSERT'], rows: 1 }
		const made = statements(
			// A commit of nothing, and a transaction that continues after its end.
			{ tx: '1', seq: 1, text: 'commit', commands: ['COMMIT'], end: 'commit' },
			{ tx: '2', seq: 1, text: 'begin', commands: ['BEGIN'], end: 'commit' },
			{ tx: '3', seq: 1, ...insert, end: 'commit' },
			// Numbers with jumps and repeats.
			{ tx: '4', seq: 1, text: 'begin', commands: ['BEGIN'] },
			{ tx: '4', seq: 3, ...insert },
			{ tx: '4', seq: 3, text: 'commit', commands: ['COMMIT'], end: 'commit' },
			// One transaction in two sessions, one of which is rolled back.
			{ tx: '5', seq: 1, text: 'begin', commands: ['BEGIN'] },
			{ session: 'b', tx: '5', seq: 1, text: 'begin', commands: ['BEGIN'] },
			{ tx: '5', seq: 2, ...insert },
			{ session: 'b', tx: '5', seq: 2, ...insert },
			{ session: 'b', tx: '5', seq: 3, text: 'rollback', commands: ['ROLLBACK'], end: 'rollback' },
			{ tx: '5', seq: 3, text: 'commit', commands: ['COMMIT'], end: 'commit' },
			// The same transaction again.
			{ tx: '5', seq: 1, ...insert, end: 'commit' },
			// Text that no server accepts.
			{ tx: '6', seq: 1, text: 'select 1\0; select 2', commands: ['SELECT', 'INSERT'], end: 'commit' },
			{ tx: '7', seq: 1, text: 'select $1', params: ['a\0b'], commands: ['INSERT'], end: 'commit' },
			{ tx: '8', seq: 1, ...insert, params: Array(70_000).fill('1'), end: 'commit' },
			{ tx: '9', seq: 1, text: '', params: [], end: 'commit' },
			{ tx: '10', seq: 1, ...insert, end: 'commit' },
		)
		const report = await run(made, target, { mode, retries: 1 })
		expect(report.ended).toBe('end')
		expect(report.replayed + report.failures + sum(report.skipped)).toBe(18)
		expect(report.skipped).toMatchObject({ incomplete: 3, rolledBack: 3 })
		expect((await ask(target, 'select count(*)::int as n from t')).rows).toEqual([{ n: 4 }])
	},
)

test('as recorded, a transaction with an unknown end holds no lock for the rest', async () => {
	const { target } = await twoDatabases(postgres, `${T}; insert into t values (0)`)
	const update = { text: 'update t set n = n + 1', commands: ['UPDATE'], rows: 1 }
	const chain = statements(
		{ session: 'a', tx: 'a:1', seq: 1, text: 'begin', commands: ['BEGIN'] },
		{ session: 'a', tx: 'a:1', seq: 2, ...update },
		{ session: 'a', tx: 'a:1', seq: 3, text: 'commit', end: 'unknown' },
		{ session: 'b', tx: 'b:1', seq: 1, ...update, end: 'commit' },
	)
	const options = { mode: 'asRecorded', includeRolledBack: true, timeoutMs: 3000 } as const
	const report = await run(chain, target, options)
	expect(report).toMatchObject({ replayed: 3, failures: 0, skipped: { unknownEnd: 1 } })
	expect((await ask(target, 'select n from t')).rows).toEqual([{ n: 1 }])
})

test('as recorded, a target with fewer connections than the recording uses those it has', async () => {
	const { target } = await twoDatabases(postgres, `${T}; create schema a; create table a.t (n int)`)
	await ask(target, "create role three login password 'three' connection limit 3")
	await ask(target, 'grant all on schema a, public to three; grant all on t, a.t to three')
	const sessions = ['s1', 's2', 's3', 's4', 's5', 's6']
	const set = { seq: 1, text: 'set search_path = a', commands: ['SET'], end: 'commit' }
	const insert = { seq: 1, text: 'insert into t values (1)', commands: ['INSERT'], rows: 1, end: 'commit' }
	const chain = statements(
		...sessions.map((session) => ({ session, tx: `${session}:1`, ...set })),
		...sessions.map((session) => ({ session, tx: `${session}:2`, ...insert })),
	)
	const few = { ...target, user: 'three', password: 'three' }
	const report = await run(chain, few, { mode: 'asRecorded', compare: true })
	expect(report).toMatchObject({ replayed: 12, failures: 0, ended: 'end' })
	expect((await ask(target, 'select count(*)::int as n from a.t')).rows).toEqual([{ n: 6 }])
})

test('as recorded, skipped transactions are held only while they overlap', async () => {
	const { target } = await twoDatabases(postgres, T)
	const reached: number[] = []
	let most = 0
	const chain = {
		batches: async function* () {
			const reader = reached.push(0) - 1
			for (let n = 0; n < 20_000; n++) {
				const seq = 2 * n + 1
				const at = { session: 's', tx: `s:${n}`, commands: ['SELECT'], checksum: 'x' }
				reached[reader] = seq
				most = Math.max(most, Math.abs((reached[0] ?? 0) - (reached[1] ?? 0)))
				yield [
					sql(seq, { ...at, seq: 1, text: 'begin', commands: ['BEGIN'] }),
					sql(seq + 1, { ...at, seq: 2, text: 'commit', commands: ['COMMIT'], end: 'commit' }),
				]
			}
		},
	}
	const report = await run(chain, target, { mode: 'asRecorded' })
	expect(report).toMatchObject({ replayed: 0, skipped: { readOnly: 40_000 } })
	expect(most).toBeLessThan(10)
})
