/**
 * Replays as recorded into a target with fewer connections than there were open transactions: they end in
 * bounded time and state why.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { replayStatements } from '../../src/journal/index.ts'
import { ask, opened, type PgConfig, recorded, twoDatabases } from '../support/databases.ts'
import { startPgBouncer } from '../support/pgbouncer.ts'
import { type Postgres, startPostgres } from '../support/postgres.ts'

let postgres: Postgres
beforeAll(async () => {
	postgres = await startPostgres()
})
afterAll(() => postgres?.remove())

const TABLE = 'create table t (n int)'

/**
 * Records `sessions` sessions, all in transactions at the same time. If they are known, each sent a statement
 * earlier.
 */
async function recordedTogether(sessions: number, areKnown: boolean) {
	const { source, target } = await twoDatabases(postgres, TABLE)
	const path = await recorded(source, async (pool) => {
		const clients = await Promise.all(Array.from({ length: sessions }, () => pool.connect()))
		if (areKnown)
			for (const client of clients) await client.query('insert into t select 0 from pg_sleep(0.2)')
		for (const text of ['begin', 'insert into t values (1)', 'commit'])
			for (const client of clients) await client.query(text)
		for (const client of clients) client.release()
	})
	return { path, target }
}

const rowsIn = async (target: PgConfig, n: number) =>
	(await ask(target, 'select count(*)::int as count from t where n = $1', [n])).rows[0].count

const as = { mode: 'asRecorded', compare: true } as const

test.each([
	[2, 1, false],
	[2, 1, true],
	[4, 3, false],
	[4, 3, true],
])(
	'through PgBouncer, %i transactions on %i servers end with TARGET_FULL (known sessions: %s)',
	async (sessions, servers, areKnown) => {
		const { path, target } = await recordedTogether(sessions, areKnown)
		const pooled = await startPgBouncer(target, servers)
		const report = await replayStatements(await opened(path), pooled, { ...as, connectMs: 1000 })
		expect(report).toMatchObject({ ended: 'targetFull', endedBy: { code: 'TARGET_FULL' } })
		expect(report.endedBy?.message).toContain(`no more than ${servers} connections`)
		expect(report.endedBy?.message).toContain('default_pool_size')
		await expect.poll(() => rowsIn(target, 1)).toBe(0)
		expect(await rowsIn(target, 0)).toBe(areKnown ? sessions : 0)
		// In commit order, one connection is enough.
		await ask(target, 'truncate t')
		expect(await replayStatements(await opened(path), pooled)).toMatchObject({ ended: 'end', failures: 0 })
		expect(await rowsIn(target, 1)).toBe(sessions)
	},
)

test('with one PgBouncer server per transaction, all transactions are replayed', async () => {
	const { path, target } = await recordedTogether(4, true)
	const pooled = await startPgBouncer(target, 4)
	const report = await replayStatements(await opened(path), pooled, as)
	expect(report).toMatchObject({ ended: 'end', endedBy: null, failures: 0, differences: 0, transactions: 8 })
	expect(await rowsIn(target, 1)).toBe(4)
})

test('a role with fewer connections than open transactions ends the replay with TARGET_FULL', async () => {
	const { path, target } = await recordedTogether(4, false)
	await ask(target, "create role few login password 'few' connection limit 3; grant all on t to few")
	const few = { ...target, user: 'few', password: 'few' }
	const report = await replayStatements(await opened(path), few, { ...as, retries: 3 })
	expect(report).toMatchObject({ ended: 'targetFull', failures: 1, endedBy: { code: 'TARGET_FULL' } })
	expect(report.endedBy?.message).toMatch(/no more than 3 connections.*too many connections for role/)
	await expect.poll(() => rowsIn(target, 1)).toBe(0)
})

test('the connection that checks for locks is released for a transaction', async () => {
	const { source, target } = await twoDatabases(postgres, TABLE)
	const path = await recorded(source, async (pool) => {
		const clients = await Promise.all([pool.connect(), pool.connect(), pool.connect()])
		// Locks are checked while a statement takes long, before the other transactions begin.
		for (const client of clients)
			for (const text of ['begin', 'insert into t select 1 from pg_sleep(0.3)']) await client.query(text)
		for (const client of clients) {
			await client.query('commit')
			client.release()
		}
	})
	await ask(target, "create role few3 login password 'few' connection limit 3; grant all on t to few3")
	const few = { ...target, user: 'few3', password: 'few' }
	const report = await replayStatements(await opened(path), few, { ...as, retries: 3 })
	expect(report).toMatchObject({ ended: 'end', endedBy: null, failures: 0, transactions: 3 })
	expect(await rowsIn(target, 1)).toBe(3)
})
