import pg from 'pg'
import Cursor from 'pg-cursor'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { BufferingAppender } from '../../src/appenders/buffering.ts'
import { type JournalOptions, journalPg, type StatementData } from '../../src/journal/index.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { newClient, newPool, type Postgres, startPostgres } from '../support/postgres.ts'

let postgres: Postgres
beforeAll(async () => {
	postgres = await startPostgres()
	process.stdout.write(`${postgres.version}\n`)
})
afterAll(() => postgres?.remove())

async function journaled(options: JournalOptions = {}) {
	const appender = new BufferingAppender()
	const loop = new MeshLoop(appender)
	const client = journalPg(newClient(postgres.config), loop, options)
	await client.connect()
	onTestFinished(() => client.end())
	const statements = () => appender.captured().map(({ data }) => data as StatementData)
	return { client, statements, last: () => statements().at(-1)!, appender }
}

test('a statement is recorded with its parameters as sent, and its answer is unchanged', async () => {
	const { client, last } = await journaled()
	const values = [7, [1, 2, null], { text: 'ü' }, Buffer.of(0, 255), '日本', null, true, new Date(0)]
	const { rows } = await client.query(
		'select $1::int as a, $2::int[] as b, $3::jsonb as c, $4::bytea as d, $5::text as e, $6::text as f, ' +
			'$7::bool as g, $8::timestamptz as h',
		values,
	)
	expect(rows).toEqual([
		{
			a: 7,
			b: [1, 2, null],
			c: { text: 'ü' },
			d: Buffer.of(0, 255),
			e: '日本',
			f: null,
			g: true,
			h: new Date(0),
		},
	])
	expect(last()).toMatchObject({
		seq: 1,
		params: [
			'7',
			'{"1","2",NULL}',
			'{"text":"ü"}',
			Uint8Array.of(0, 255),
			'日本',
			null,
			'true',
			expect.stringContaining('1970'),
		],
		commands: ['SELECT'],
		rows: 1,
		checksum: expect.stringMatching(/^[0-9a-f]{32}$/),
		end: 'commit',
	})
	expect(last()).not.toHaveProperty('error')
})

test("transactions and their ends follow the server's messages", async () => {
	const { client, statements } = await journaled()
	for (const text of [
		'create temp table t (id int primary key)',
		'begin',
		'insert into t values (1), (2)',
		'savepoint s',
		'insert into t values (1)',
		'rollback to s',
		'commit and chain',
		'insert into t values (3)',
		'rollback',
		'begin; insert into t values (4); commit',
	])
		await client.query(text).catch(() => {})
	const seen = statements().map(({ tx, seq, commands, rows, end, error }) => [
		Number(tx.split(':').at(-1)),
		seq,
		commands.join(),
		rows,
		end,
		error?.code,
	])
	expect(seen).toEqual([
		[1, 1, 'CREATE TABLE', null, 'commit', undefined],
		[2, 1, 'BEGIN', null, undefined, undefined],
		[2, 2, 'INSERT', 2, undefined, undefined],
		[2, 3, 'SAVEPOINT', null, undefined, undefined],
		[2, 4, '', null, undefined, '23505'],
		[2, 5, 'ROLLBACK', null, undefined, undefined],
		[2, 6, 'COMMIT', null, 'commit', undefined],
		[3, 1, 'INSERT', 1, undefined, undefined],
		[3, 2, 'ROLLBACK', null, 'rollback', undefined],
		[4, 1, 'BEGIN,INSERT,COMMIT', 1, 'commit', undefined],
	])
})

test('the checksum of a result depends on everything except the order of its rows', async () => {
	const { client, statements } = await journaled()
	const result = (values: string, order: string) =>
		client.query(`select * from (values ${values}) t(a, b) order by a ${order}`)
	await result("(1, 'x'), (2, null)", 'asc')
	await result("(1, 'x'), (2, null)", 'desc')
	await result("(1, 'x'), (2, '')", 'asc')
	await result("(1, 'x'), (1, 'x'), (2, null)", 'asc')
	const [first, ...others] = statements().map(({ checksum }) => checksum)
	expect(others.map((checksum) => checksum === first)).toEqual([true, false, false])
})

test('callbacks, cursors, prepared statements and errors work as without a journal', async () => {
	const { client, statements } = await journaled()
	const called = await new Promise((resolve) => {
		const returned = client.query('select 1 as one', (_error, { rows }) => resolve([rows, returned]))
	})
	expect(called).toEqual([[{ one: 1 }], undefined])
	const cursor = client.query(new Cursor('select generate_series(1, 10) as n'))
	expect(await cursor.read(4)).toHaveLength(4)
	expect(await cursor.read(100)).toHaveLength(6)
	await cursor.close()
	for (const values of [[1], [2]]) await client.query({ name: 'prepared', text: 'select $1::int', values })
	const error = await client.query('select nothing').catch((thrown) => thrown)
	expect(error).toMatchObject({ code: '42703' })
	expect(error.stack).toContain('journal-pg.test.ts')
	expect(() => client.query(null as never)).toThrow(TypeError)
	expect(() => client.query('select 1', [], 'no function' as never)).toThrow(TypeError)
	expect(statements().map(({ rows, name, error }) => [rows, name, error?.code])).toEqual([
		[1, undefined, undefined],
		[10, undefined, undefined],
		[1, 'prepared', undefined],
		[1, 'prepared', undefined],
		[null, undefined, '42703'],
	])
})

test('every client of a pool is journaled as its own session', async () => {
	const appender = new BufferingAppender()
	const pool = journalPg(newPool({ ...postgres.config, max: 3 }), new MeshLoop(appender))
	await Promise.all(
		Array.from({ length: 9 }, (_, index) => pool.query('select $1::int, pg_sleep(0.01)', [index])),
	)
	await pool.end()
	const statements = appender.captured().map(({ data }) => data as StatementData)
	expect(statements).toHaveLength(9)
	expect(new Set(statements.map(({ session }) => session)).size).toBe(3)
	expect(new Set(statements.map(({ tx }) => tx)).size).toBe(9)
})

test('after a lost connection, the record shows an unknown end of the transaction', async () => {
	const { client, last } = await journaled()
	await client.query('begin')
	await client.query('select pg_terminate_backend(pg_backend_pid())').catch(() => {})
	await expect.poll(() => last().end).toBe('unknown')
	expect(last()).toMatchObject({ seq: 2, error: { code: '57P01' } })
})

test('statements with redacted secrets or cut texts cannot be replayed', async () => {
	const { client, statements } = await journaled({
		redact: (text, params) => (text.includes('secret') ? [params[0]!, undefined] : undefined),
		statementBytesMax: 1000,
	})
	await client.query('select $1::text, $2::text as secret', ['seen', 'hidden'])
	await client.query('select $1::text', ['x'.repeat(2000)])
	await client.query('select $1::text', ['short'])
	expect(statements().map(({ params, unreplayable }) => [params, unreplayable])).toEqual([
		[['seen', null], 'redacted'],
		[[], 'cut'],
		[['short'], undefined],
	])
})

test('only a pool or a client can be journaled, and only once', async () => {
	const { client } = await journaled()
	const loop = new MeshLoop()
	for (const wrong of [client, {}, null, 'postgres://'])
		expect(() => journalPg(wrong, loop)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
	expect(() => journalPg(new pg.Client(), {} as never)).toThrow(
		expect.objectContaining({ code: 'INVALID_OPTION' }),
	)
})
