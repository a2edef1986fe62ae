/** Settings of a session apply to its later statements, in any replay order and on any connection. */
import type pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { replayStatements } from '../../src/journal/index.ts'
import { SessionSettings } from '../../src/journal/session-settings.ts'
import type { StatementData } from '../../src/journal/statement.ts'
import { ask, opened, recorded, twoDatabases } from '../support/databases.ts'
import { type Postgres, startPostgres } from '../support/postgres.ts'

let postgres: Postgres
beforeAll(async () => {
	postgres = await startPostgres()
})
afterAll(() => postgres?.remove())

const SHOPS = ['one', 'two', 'three']
	.map((name) => `create schema ${name}; create table ${name}.t (n int)`)
	.join(';')

async function recordedInShops(work: (client: pg.PoolClient) => Promise<void>) {
	const { source, target } = await twoDatabases(postgres, SHOPS)
	const path = await recorded(source, async (pool) => {
		const client = await pool.connect()
		await work(client)
		client.release()
	})
	return { path, source, target }
}

const inShops = "select 'one' as shop, n from one.t union all select 'two', n from two.t order by n"

const all = async (client: pg.PoolClient, texts: readonly string[]) => {
	for (const text of texts) await client.query(text).catch(() => {})
}

test.each(['commit', 'asRecorded'] as const)(
	'in the order %s, a SET lasts if its transaction committed, not if it was rolled back',
	async (mode) => {
		const { path, source, target } = await recordedInShops((client) =>
			all(client, [
				'set search_path = one',
				...['begin', 'set search_path = two', 'commit', 'insert into t values (1)'],
				...['begin', 'set search_path = one', 'rollback', 'insert into t values (2)'],
				...['begin', 'savepoint s', 'set search_path = one', 'rollback to savepoint s', 'commit'],
				'insert into t values (3)',
				...['begin', 'set local search_path = one', 'commit', 'insert into t values (4)'],
				...['begin', "/* pool */ set session search_path to 'one'", 'select 1', 'commit'],
				'insert into t values (5)',
				'reset search_path',
				'insert into two.t values (6)',
			]),
		)
		const report = await replayStatements(await opened(path), target, { mode })
		expect(report).toMatchObject({ failures: 0, firstError: null })
		expect((await ask(target, inShops)).rows).toEqual((await ask(source, inShops)).rows)
		expect((await ask(target, inShops)).rows.map(({ shop }) => shop)).toEqual([
			'two',
			'two',
			'two',
			'two',
			'one',
			'two',
		])
	},
)

test.each(['commit', 'asRecorded'] as const)(
	'in the order %s, a set_config that is not local also lasts',
	async (mode) => {
		const { path, source, target } = await recordedInShops(async (client) => {
			await client.query('select set_config($1, $2, $3)', ['search_path', 'two', false])
			await client.query('insert into t values (1)')
			await client.query('begin')
			await client.query("select set_config('search_path', $1, true)", ['one'])
			await client.query('commit')
			await client.query('insert into t values (2)')
			await client.query(
				"select set_config('search_path', 'one', false) as path, set_config('a.b', $1, false)",
				['x'],
			)
			await client.query('insert into t values (3)')
		})
		const report = await replayStatements(await opened(path), target, { mode })
		expect(report).toMatchObject({ failures: 0, firstError: null })
		expect((await ask(target, inShops)).rows).toEqual((await ask(source, inShops)).rows)
	},
)

test.each(['commit', 'asRecorded'] as const)(
	'in the order %s, a setting from a skipped transaction still applies',
	async (mode) => {
		const { path, target } = await recordedInShops((client) =>
			all(client, [
				...['begin', 'set search_path = two', 'commit', 'insert into t values (1)'],
				...['begin', 'set search_path = one', 'commit', 'insert into t values (2)'],
			]),
		)
		const report = await replayStatements(await opened(path), target, { mode, grep: 'insert into t' })
		expect(report).toMatchObject({ failures: 0, replayed: 2, skipped: { filtered: 6 } })
		expect((await ask(target, inShops)).rows).toEqual([
			{ shop: 'two', n: 1 },
			{ shop: 'one', n: 2 },
		])
	},
)

const statement = (text: string, fields: Partial<StatementData> = {}): StatementData => ({
	session: 's',
	tx: 's:1',
	seq: 1,
	text,
	params: [],
	commands: [text.trim().split(/[ ;]/)[0]!.toUpperCase()],
	rows: null,
	checksum: null,
	startedMs: 0,
	durationMs: 0,
	...fields,
})

const heldAfter = (...texts: (string | StatementData)[]) => {
	const settings = new SessionSettings()
	for (const text of texts) settings.note('s', [typeof text === 'string' ? statement(text) : text])
	return [...settings.of('s')].map(({ text }) => text)
}

test('the latest value of each setting applies', () => {
	const many = Array.from({ length: 500 }, (_, n) => `set app.tenant = 't${n}'`)
	expect(heldAfter('set a.b = 1', ...many, 'set session A.B to 2', 'set role me')).toEqual([
		"set app.tenant = 't499'",
		'set session A.B to 2',
		'set role me',
	])
	const calls = [1, 2].map((n) =>
		statement("select set_config('app.tenant', $1, false)", { params: [`${n}`] }),
	)
	expect(heldAfter('set a.b = 1', ...calls)).toHaveLength(2)
	const others = Array.from({ length: 500 }, (_, n) => `set a.b${n} = 1`)
	expect(heldAfter(...others)).toHaveLength(100)
	expect(heldAfter(...others).at(-1)).toBe('set a.b499 = 1')
	expect(
		heldAfter('set a.b = 1', statement('discard all', { commands: ['DISCARD ALL'] }), 'set c.d = 1'),
	).toEqual(['set c.d = 1'])
	expect(heldAfter(statement('set a.b = x', { error: { code: '22023', message: 'no' } }))).toEqual([])
	expect(heldAfter("select set_config('a.b', nextval('s')::text, false)", 'select 1')).toEqual([])
})

test('an active session keeps its settings, whatever the number of other sessions', () => {
	const settings = new SessionSettings()
	for (let n = 0; n < 30_000; n++) {
		settings.note(`s${n}`, [statement('set a.b = 1')])
		settings.of('s0')
	}
	expect([...settings.of('s0')]).toHaveLength(1)
	expect([...settings.of('s1')]).toEqual([])
})

test('searching a text takes linear time', () => {
	const hostile = [
		`select set_config(${' '.repeat(9000)}`,
		`select set_config('a',${",'b'".repeat(2000)}`,
		`set ${'session '.repeat(1000)}`,
		`${'/* '.repeat(3000)}set a = 1`,
	]
	const begunMs = Date.now()
	for (const text of hostile) heldAfter(text)
	expect(Date.now() - begunMs).toBeLessThan(500)
})
