/**
 * A journaled client next to a plain one: the same calls have the same results, and the records show what the
 * server did.
 */
import { EventEmitter } from 'node:events'
import pg from 'pg'
import Cursor from 'pg-cursor'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { BufferingAppender } from '../../src/appenders/buffering.ts'
import { journalPg, type StatementData } from '../../src/journal/index.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { ask } from '../support/databases.ts'
import { newClient, newPool, type Postgres, startPostgres } from '../support/postgres.ts'

let postgres: Postgres
beforeAll(async () => {
	postgres = await startPostgres()
})
afterAll(() => postgres?.remove())

// biome-ignore lint/suspicious/noExplicitAny: these tests use more than the types of node-postgres cover
type Any = any

function recorder() {
	const appender = new BufferingAppender()
	return {
		loop: new MeshLoop(appender),
		statements: () => appender.captured().map(({ data }) => data as StatementData),
	}
}

async function connected(config: pg.ClientConfig = {}, journals = true) {
	const { loop, statements } = recorder()
	const client: Any = newClient({ ...postgres.config, ...config })
	await client.connect()
	onTestFinished(() => client.end().catch(() => {}))
	if (journals) journalPg(client, loop)
	return { client, statements }
}

const brief = (statements: StatementData[]) =>
	statements.map(({ commands, end, error }) => [commands.join(), end, error?.code])

/** Converts the outcome of a promise to a value. */
const settled = (promise: Promise<unknown>) =>
	promise.then(
		(value: Any) => (Array.isArray(value) ? value.map(resultOf) : resultOf(value)),
		({ name, message, code, detail, position, constraint, table }) => ({
			...{ name, message, code, detail, position, constraint, table },
		}),
	)
const resultOf = ({ command, rowCount, rows, fields }: Any) => ({
	...{ command, rowCount, rows },
	names: fields?.map(({ name }: Any) => name),
})

/** Like pg-copy-streams. */
function copyIn(text: string, lines: string[]) {
	let over!: (value: unknown) => void
	const done = new Promise((resolve) => {
		over = resolve
	})
	const query = {
		text,
		done,
		submit: (connection: Any) => connection.query(text),
		handleCopyInResponse(connection: Any) {
			for (const line of lines) connection.sendCopyFromChunk(Buffer.from(`${line}\n`))
			connection.endCopyFrom()
		},
		handleCommandComplete: () => {},
		handleError: over,
		handleReadyForQuery: () => over('done'),
	}
	return query
}

/** Like pg-copy-streams: takes over the bytes of the socket until the copy is done. */
function copyOut(text: string) {
	let over!: (value: unknown) => void
	let [said, bytes] = ['', Buffer.alloc(0)]
	const done = new Promise((resolve) => {
		over = resolve
	})
	return {
		text,
		done,
		submit(connection: Any) {
			const { stream } = connection
			const [parse] = stream.listeners('data')
			stream.removeListener('data', parse)
			const take = (piece: Buffer) => {
				bytes = Buffer.concat([bytes, piece])
				while (bytes.length >= 5 && bytes.length > bytes.readInt32BE(1)) {
					const kind = String.fromCharCode(bytes[0]!)
					if (kind === 'c') {
						stream.removeListener('data', take)
						stream.on('data', parse)
						return parse(bytes)
					}
					if (kind === 'd') said += bytes.subarray(5, 1 + bytes.readInt32BE(1)).toString()
					bytes = bytes.subarray(1 + bytes.readInt32BE(1))
				}
			}
			stream.on('data', take)
			connection.query(text)
		},
		handleCopyData: () => {},
		handleCommandComplete: () => {},
		handleError: over,
		handleReadyForQuery: () => over(said),
	}
}

/** Like pg-query-stream: the cursor has the text, and the stream has the handlers. */
function rowStream(text: string, values: unknown[]) {
	const cursor: Any = new Cursor(text, values)
	const names = ['RowDescription', 'DataRow', 'PortalSuspended', 'CommandComplete', 'ReadyForQuery', 'Error']
	const handlers = names.map((name) => [`handle${name}`, cursor[`handle${name}`].bind(cursor)])
	return {
		cursor,
		...Object.fromEntries(handlers),
		submit: (connection: unknown) => cursor.submit(connection),
	}
}

const T = 'create temp table t (n int primary key, v text)'

const SCENARIOS: Record<string, (client: Any) => Promise<unknown>> = {
	'errors have the same fields': async (client) => [
		await settled(client.query(T)),
		await settled(client.query('selec 1')),
		await settled(client.query('insert into t values (1, $1), (1, $1)', ['x'])),
		await settled(client.query('select $1::int', ['no number'])),
		await settled(client.query({ text: 'select $1', values: 'no array' })),
		await settled(client.query({})),
	],
	'row modes, custom parsers, several statements and none': async (client) => [
		await settled(client.query({ text: 'select 1 as a, 2 as a', rowMode: 'array' })),
		await settled(
			client.query({ text: 'select 1 as a', types: { getTypeParser: () => (text: string) => `<${text}>` } }),
		),
		await settled(client.query('select 1 as a; select 2 as b; select')),
		await settled(client.query('')),
		await settled(client.query('-- nothing')),
		await settled(client.query({ text: 'select 1 as a', queryMode: 'extended' })),
		await settled(client.query({ text: 'select generate_series(1, 5) as a', rows: 2 })),
	],
	'a parser that throws fails its query': (client) => {
		const parse = () => {
			throw new Error('cannot read it')
		}
		return settled(client.query({ text: 'select 1 as a', types: { getTypeParser: () => parse } }))
	},
	'prepared statements, even under a name in use': async (client) => [
		await settled(client.query({ name: 'p', text: 'select $1::int as n', values: [1] })),
		await settled(client.query({ name: 'p', values: [2] })),
		await settled(client.query({ name: 'p', text: 'select 3' })),
		await settled(client.query({ name: 'p', values: [4] })),
	],
	'a value that cannot be converted fails its query, and no other': async (client) => {
		const toPostgres = () => {
			throw new Error('no value')
		}
		return [
			await settled(client.query('begin')),
			await settled(client.query('select $1::text', [{ toPostgres }])),
			await settled(client.query('select $1::text', ['a value'])),
			await settled(client.query('commit')),
		]
	},
	'query events, and callbacks in every position': async (client) => {
		const seen: unknown[] = []
		const query = client.query(new pg.Query('select 1 as a'))
		query.on('row', (row: unknown) => seen.push(row))
		await new Promise((resolve) => query.on('end', resolve))
		await new Promise((resolve) => {
			client.query('select $1::int as b', [2], (_error: unknown, { rows }: Any) => resolve(seen.push(rows)))
		})
		await new Promise((resolve) => {
			client.query({ text: 'selec', callback: (error: Any) => resolve(seen.push(error.code)) })
		})
		return seen
	},
	'copying in and out': async (client) => {
		await client.query(T)
		const given = copyIn('copy t from stdin', ['1\ta', '2\tb'])
		client.query(given)
		const taken = copyOut('copy t to stdout')
		const first = await given.done
		client.query(taken)
		return [first, await taken.done, await settled(client.query('copy t from stdin'))]
	},
	'a stream of rows, read to its end': async (client) => {
		const { cursor } = client.query(rowStream('select generate_series(1, $1::int) as n', [3]))
		return [await cursor.read(2), await cursor.read(2), await settled(client.query('select 1 as a'))]
	},
	'notifications arrive': async (client) => {
		const heard = new Promise((resolve) => client.on('notification', resolve))
		await client.query('listen said')
		await client.query("notify said, 'this'")
		const { channel, payload } = (await heard) as Any
		return { channel, payload }
	},
	'a cancelled query and later ones': async (client) => {
		const long = settled(client.query('select pg_sleep(20)'))
		await ask(postgres.config, 'select pg_sleep(0.1), pg_cancel_backend($1)', [client.processID])
		return [await long, await settled(client.query('select 1 as a'))]
	},
	'a query that takes too long for its caller': async (client) => [
		await settled(client.query({ text: 'select pg_sleep(0.2)', query_timeout: 20 })),
		await settled(client.query('select 1 as a')),
	],
	'a query after the end': async (client) => {
		await client.end()
		return settled(client.query('select 1'))
	},
	'no query at all': async (client) => {
		const thrown = (...args: unknown[]) => {
			try {
				client.query(...args)
				return undefined
			} catch (error) {
				return String(error)
			}
		}
		return [thrown(undefined), thrown(null), thrown('select 1', [], 'no function')]
	},
	'binary results': async (client) => {
		client.binary = true
		return settled(client.query('select $1::int as n, $2::text as t', [1, 'ü']))
	},
}

test.each(Object.entries(SCENARIOS))('%s', async (_name, scenario) => {
	const { client } = await connected()
	const { client: plain } = await connected({}, false)
	expect(await scenario(client)).toEqual(await scenario(plain))
})

test('pipelined queries answer as without a journal, and are recorded in order', async () => {
	const { client, statements } = await connected({ pipeline: true } as object)
	const texts = [T, 'begin', "insert into t values (1, 'a')", 'commit', 'select 1/0', 'begin', 'rollback']
	const results = await Promise.all(texts.map((text) => settled(client.query(text))))
	const { client: plain } = await connected({ pipeline: true } as object, false)
	expect(results).toEqual(await Promise.all(texts.map((text) => settled(plain.query(text)))))
	expect(statements().map(({ text }) => text)).toEqual(texts)
	expect(statements().map(({ seq, end }) => [seq, end])).toEqual([
		[1, 'commit'],
		[1, undefined],
		[2, undefined],
		[3, 'commit'],
		[1, 'rollback'],
		[1, undefined],
		[2, 'rollback'],
	])
})

describe('recording', () => {
	test('a row stream is recorded with its text, its parameters and a checksum', async () => {
		const { client, statements } = await connected()
		await SCENARIOS['a stream of rows, read to its end']!(client)
		expect(statements()[0]).toMatchObject({
			text: 'select generate_series(1, $1::int) as n',
			params: ['3'],
			rows: 3,
			checksum: expect.any(String),
		})
	})

	test('a COPY cannot be replayed, and its record states that', async () => {
		const { client, statements } = await connected()
		await SCENARIOS['copying in and out']!(client)
		expect(statements().map(({ text, rows, unreplayable }) => [text, rows, unreplayable])).toEqual([
			[T, null, undefined],
			['copy t from stdin', 2, 'copy'],
			['copy t to stdout', 2, undefined],
			['copy t from stdin', null, 'copy'],
		])
	})

	test('a query that node-postgres refuses gets no record and ends no transaction', async () => {
		const { client, statements } = await connected()
		await client.query({ name: 'p', text: 'select 1' })
		await client.query('begin')
		for (const wrong of [{ name: 'p', text: 'commit' }, {}, { text: 'commit', values: 'no array' }])
			await client.query(wrong).catch(() => {})
		await client.query('commit')
		await client.query({ name: 'p' })
		expect(statements().map(({ text, seq, end }) => [text, seq, end])).toEqual([
			['select 1', 1, 'commit'],
			['begin', 1, undefined],
			['commit', 2, 'commit'],
			['select 1', 1, 'commit'],
		])
	})

	test('an abandoned query is recorded as the server answered it', async () => {
		const { client, statements } = await connected()
		await client.query({ text: 'select pg_sleep(0.1)', query_timeout: 20 }).catch(() => {})
		await client.query('select 1')
		expect(brief(statements())).toEqual([
			['SELECT', 'commit', undefined],
			['SELECT', 'commit', undefined],
		])
	})

	test('parameters are recorded as sent, even if their buffers change later', async () => {
		const { client, statements } = await connected()
		const values = [Buffer.of(1, 2), Uint8Array.of(3, 4)]
		const answer = client.query('select $1::bytea, $2::bytea, pg_sleep(0.05)', values)
		for (const value of values) value.fill(9)
		await answer
		expect(statements()[0]?.params).toEqual([Uint8Array.of(1, 2), Uint8Array.of(3, 4)])
	})

	test('after a connection is lost in a pipeline, every statement in flight has a record', async () => {
		const { client, statements } = await connected({ pipeline: true } as object)
		const texts = ['begin', 'select pg_sleep(20)', 'select 2', 'commit']
		const all = texts.map((text) => settled(client.query(text)))
		await ask(postgres.config, 'select pg_sleep(0.1), pg_terminate_backend($1)', [client.processID])
		await Promise.all(all)
		const seen = () => statements().map(({ text, end, error }) => [text, end, error?.code])
		await expect.poll(seen).toEqual([
			['begin', undefined, undefined],
			['select pg_sleep(20)', 'unknown', '57P01'],
			['select 2', 'unknown', null],
			['commit', 'unknown', null],
		])
	})

	test('commits in a text with several statements count, whatever follows them', async () => {
		const { client, statements } = await connected()
		for (const text of [
			T,
			"begin; insert into t values (1, 'a'); commit; select 1/0",
			"begin; insert into t values (2, 'b'); commit; begin; delete from t; rollback",
			'begin',
			'commit; begin',
			'rollback',
			'insert into t values (3), (3)',
			'/* x */ begin; -- y\nrollback and chain',
			'select 1; rollback to nowhere',
			'commit',
		])
			await client.query(text).catch(() => {})
		expect(statements().map(({ seq, end }) => [seq, end])).toEqual([
			[1, 'commit'],
			[1, 'commit'],
			[1, 'commit'],
			[1, undefined],
			[2, 'commit'],
			[1, 'rollback'],
			[1, 'rollback'],
			[1, 'rollback'],
			[1, undefined],
			[2, 'rollback'],
		])
		expect((await client.query('select n from t')).rows).toEqual([{ n: 1 }, { n: 2 }])
	})

	test('a COMMIT that could not be bound does not hold back other statements', async () => {
		const { client, statements } = await connected()
		const toPostgres = () => {
			throw new Error('no value')
		}
		await client.query('commit', [{ toPostgres }]).catch(() => {})
		await client.query('select 1')
		expect(brief(statements())).toEqual([['SELECT', 'commit', undefined]])
	})

	test('two-phase transactions, lost ones, and local settings are recorded', async () => {
		await ask(postgres.config, 'alter system set max_prepared_transactions = 5')
		await postgres.stop()
		await postgres.start()
		const { client, statements } = await connected()
		for (const text of [
			'begin',
			'set local statement_timeout = 1000',
			"prepare transaction 'first'",
			"/* x */ commit prepared 'first'",
			'do $$ begin perform 1; end $$',
			'begin',
			'selec',
			"prepare transaction 'second'",
			'begin',
			'select pg_terminate_backend(pg_backend_pid())',
		])
			await client.query(text).catch(() => {})
		const seen = () => brief(statements())
		await expect.poll(seen).toEqual([
			['BEGIN', undefined, undefined],
			['SET', undefined, undefined],
			['PREPARE TRANSACTION', 'commit', undefined],
			['COMMIT PREPARED', 'commit', undefined],
			['DO', 'commit', undefined],
			['BEGIN', undefined, undefined],
			['', undefined, '42601'],
			['ROLLBACK', 'rollback', undefined],
			['BEGIN', undefined, undefined],
			['', 'unknown', '57P01'],
		])
	})

	test("a client journaled within a transaction has no record of the transaction's beginning", async () => {
		const { loop, statements } = recorder()
		const { client } = await connected({}, false)
		await client.query('begin')
		journalPg(client, loop)
		await client.query('select 1')
		await client.query('commit')
		await client.query('select 2')
		expect(statements().map(({ seq, end }) => [seq, end])).toEqual([
			[2, undefined],
			[3, 'commit'],
			[1, 'commit'],
		])
	})

	test('a pool includes connecting clients, and the first statements of new ones', async () => {
		const { loop, statements } = recorder()
		const onConnect = (client: Any) => client.query("set application_name = 'first'")
		const pool = newPool({ ...postgres.config, max: 2, onConnect } as pg.PoolConfig)
		pool.on('connect', (client) => void client.query("set statement_timeout = '10s'"))
		const connecting = pool.connect()
		journalPg(pool, loop)
		const [first, second] = [await connecting, await pool.connect()]
		for (const client of [first, second]) {
			await client.query('select 1')
			client.release()
		}
		await pool.end()
		const said = ['select 1', "set application_name = 'first'", "set statement_timeout = '10s'"]
		expect(
			statements()
				.map(({ text }) => text)
				.sort(),
		).toEqual(said.flatMap((text) => [text, text]))
	})

	test('a pool whose clients cannot be followed warns once', async () => {
		const { loop } = recorder()
		// Like the clients of pg.native, which have no connection to listen to.
		const pool = Object.assign(new EventEmitter(), { totalCount: 0 })
		const warned = new Promise<Error[]>((resolve) => {
			const warnings: Error[] = []
			process.on('warning', function seen(warning: Error) {
				warnings.push(warning)
				setImmediate(() => {
					process.off('warning', seen)
					resolve(warnings)
				})
			})
		})
		journalPg(pool, loop)
		pool.emit('connect', { query() {} })
		pool.emit('connect', { query() {} })
		expect((await warned).map((warning) => (warning as Error & { code?: string }).code)).toEqual([
			'MESH_CHAIN_JOURNAL_BLIND',
		])
	})

	test('no error quotes a redacted text or exceeds a record', async () => {
		const { loop, statements } = recorder()
		const { client } = await connected({}, false)
		journalPg(client, loop, { redact: (_text, [first]) => (first === 'secret' ? [] : undefined) })
		for (const value of ['secret', 'x'.repeat(200_000)])
			await client.query('select $1::int', [value]).catch(() => {})
		await client.query('select 1')
		const [redacted, long] = statements()
		expect(redacted).toMatchObject({ error: { code: '22P02' }, unreplayable: 'redacted' })
		expect(JSON.stringify(redacted)).not.toContain('secret')
		expect(long?.error?.message).toHaveLength(16 * 1024 + 1)
	})
})
