/**
 * A caller that receives an error finds the record of its statement, on a network that delivers each server
 * message separately.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import pg from 'pg'
import Cursor from 'pg-cursor'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { BufferingAppender } from '../../src/appenders/buffering.ts'
import { journalPg, type StatementData } from '../../src/journal/index.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { ask } from '../support/databases.ts'
import { newClient, type Postgres, startPostgres } from '../support/postgres.ts'

let postgres: Postgres
beforeAll(async () => {
	postgres = await startPostgres()
	await ask(
		postgres.config,
		`create table late (n int unique deferrable initially deferred); insert into late values (1)`,
	)
})
afterAll(() => postgres?.remove())

// biome-ignore lint/suspicious/noExplicitAny: these tests use more than the types of node-postgres cover
type Any = any

/** Delays each message of the server a moment after the previous one. */
async function slowNetwork(): Promise<number> {
	const server = createServer((client) => {
		const upstream = connect(postgres.config.port, postgres.config.host)
		client.setNoDelay(true)
		client.pipe(upstream)
		let bytes = Buffer.alloc(0)
		let sending = Promise.resolve()
		upstream.on('data', (data) => {
			bytes = Buffer.concat([bytes, data])
			while (bytes.length >= 5 && bytes.length > bytes.readInt32BE(1)) {
				const message = bytes.subarray(0, 1 + bytes.readInt32BE(1))
				bytes = bytes.subarray(message.length)
				sending = sending.then(async () => {
					client.write(message)
					await sleep(3)
				})
			}
		})
		upstream.on('close', () => void sending.then(() => client.end()))
		for (const socket of [client, upstream]) socket.on('error', () => {})
		client.on('close', () => upstream.destroy())
	}).listen(0, '127.0.0.1')
	await once(server, 'listening')
	onTestFinished(() => void server.close())
	return (server.address() as AddressInfo).port
}

async function journaled(port: number) {
	const appender = new BufferingAppender()
	const client: Any = newClient({ ...postgres.config, port })
	await client.connect()
	onTestFinished(() => client.end().catch(() => {}))
	journalPg(client, new MeshLoop(appender))
	return { client, last: () => appender.captured().at(-1)?.data as StatementData | undefined }
}

/** Each way of asking; resolves with what `look` finds when the caller receives the error. */
type Way = (client: Any, text: string, look: (error: Any) => unknown) => Promise<unknown>

const WAYS: Record<string, Way> = {
	promise: (client, text, look) => client.query(text).then(() => 'no error', look),
	parameters: (client, text, look) =>
		client.query({ text, values: [], queryMode: 'extended' }).then(() => 'no error', look),
	prepared: (client, text, look) => client.query({ name: `p ${text}`, text }).then(() => 'no error', look),
	callback: (client, text, look) =>
		new Promise((resolve) => {
			client.query(text, (error: unknown) => resolve(error ? look(error) : 'no error'))
		}),
	events: (client, text, look) =>
		new Promise((resolve) => {
			const query = client.query(new pg.Query(text))
			query.on('error', (error: unknown) => resolve(look(error)))
			query.on('end', () => resolve('no error'))
		}),
	cursor: (client, text, look) =>
		new Promise((resolve) => {
			const cursor = client.query(new Cursor(text))
			cursor.read(1, (error: unknown) => resolve(error ? look(error) : 'no error'))
		}),
	copy: (client, text, look) =>
		new Promise((resolve) => {
			client.query({
				text,
				submit: (connection: Any) => connection.query(text),
				handleCopyInResponse: (connection: Any) => connection.sendCopyFail('nothing to copy'),
				handleRowDescription: () => {},
				handleDataRow: () => {},
				handleCommandComplete: () => {},
				handleEmptyQuery: () => {},
				handleCopyData: () => {},
				handleError: (error: unknown) => resolve(look(error)),
				handleReadyForQuery: () => resolve('no error'),
			})
		}),
}

/** Each failure, the earlier statements on its connection, and how the transaction ends. */
const FAILURES: readonly {
	readonly text: string
	readonly before?: readonly string[]
	readonly end: StatementData['end']
	readonly simple?: true
}[] = [
	{ text: 'selec 1', end: 'rollback' },
	{ text: 'select 1/0', end: 'rollback' },
	{ text: 'select nothing', end: 'rollback' },
	{ text: 'insert into late values (1)', end: 'rollback' },
	{ text: 'commit foo', end: 'rollback' },
	{ text: 'select 1/0', before: ['begin'], end: undefined },
	{ text: 'select 1/0 as end', before: ['begin'], end: undefined },
	{ text: 'select 1', before: ['begin', 'select 1/0'], end: undefined },
	{ text: 'commit foo', before: ['begin'], end: undefined },
	{ text: 'rollback to nowhere', before: ['begin'], end: undefined },
	{ text: 'commit', before: ['begin', 'insert into late values (1)'], end: 'rollback' },
	{ text: 'select 1; select 1/0', simple: true, end: 'rollback' },
	{ text: 'select 1; select 1/0', simple: true, before: ['begin'], end: undefined },
	{ text: 'begin; select 1/0', simple: true, end: undefined },
	{ text: 'begin; select 1; commit; select 1/0', simple: true, end: 'commit' },
	{ text: 'commit; select 1/0', simple: true, before: ['begin'], end: 'commit' },
	{ text: 'insert into late values (1); commit', simple: true, before: ['begin'], end: 'rollback' },
	{ text: 'copy late from stdin', simple: true, end: 'rollback' },
	{ text: 'copy nothing to stdout', simple: true, before: ['begin'], end: undefined },
	{ text: 'select pg_terminate_backend(pg_backend_pid())', end: 'unknown' },
	{ text: 'select pg_terminate_backend(pg_backend_pid())', before: ['begin'], end: 'unknown' },
]

const ONLY_SIMPLE = ['promise', 'callback', 'events', 'copy']
/** Outcomes that only the server knows: another way of asking waits for its own answer. */
const isUnsure = ({ text, before = [] }: (typeof FAILURES)[number]) =>
	/begin|commit|rollback|end\b/.test(text) && (before.length > 0 || text.includes(';'))
const cases = FAILURES.flatMap((failure) =>
	Object.keys(WAYS)
		.filter((way) => failure.simple !== true || ONLY_SIMPLE.includes(way))
		.filter((way) => !isUnsure(failure) || !['cursor', 'copy'].includes(way))
		// By then a cursor has its row, or is done and reports nothing.
		.filter((way) => way !== 'cursor' || !/^insert|pg_terminate/.test(failure.text))
		.map((way) => ({ ...failure, way })),
)

test('a caller that receives an error finds the records of the statement and its transaction', async () => {
	const port = await slowNetwork()
	let { client, last } = await journaled(port)
	// One after another on one connection, in any order: each leaves the connection as the next one expects
	// it.
	const order = fc.sample(fc.shuffledSubarray(cases, { minLength: cases.length }), 1)[0]!
	for (const { text, before = [], end, way } of order) {
		for (const said of before) await client.query(said).catch(() => {})
		const seen = await WAYS[way]!(client, text, (error) => ({ code: error.code, record: last() }))
		const place = `${way}: ${[...before, text].join('; ')}`
		expect(seen, place).toMatchObject({ record: { text, error: { code: expect.any(String) } } })
		const { code, record } = seen as { code: string; record: StatementData }
		expect([record.error?.code, record.end], place).toEqual([code, end])
		if (end === 'unknown') ({ client, last } = await journaled(port))
		else await client.query('rollback')
	}
	expect(order.length).toBeGreaterThan(80)
})

test('a caller whose connection breaks finds the record', async () => {
	const { client, last } = await journaled(postgres.config.port)
	const told = client.query('select pg_sleep(60)').catch(() => last())
	await expect
		.poll(async () => (await running(client.processID)).rows)
		.toEqual([{ query: 'select pg_sleep(60)' }])
	client.connection.stream.destroy(new Error('reset'))
	expect(await told).toMatchObject({
		text: 'select pg_sleep(60)',
		end: 'unknown',
		error: { message: 'reset' },
	})
})

const running = (pid: number) =>
	ask(postgres.config, "select query from pg_stat_activity where pid = $1 and state = 'active'", [pid])
