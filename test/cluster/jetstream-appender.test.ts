import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { TeeAppender } from '../../src/appenders/tee.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { JetStreamAppender, type JetStreamOptions, openStream } from '../../src/cluster/index.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import type { MeshLoopOptions } from '../../src/loop/options.ts'
import type { LogRecord } from '../../src/model/record.ts'
import { appenderContract } from '../../src/testing/appender-contract.ts'
import { freePort } from '../support/free-port.ts'
import { natsForFile } from '../support/nats-for-file.ts'
import { type NatsServer, startNats } from '../support/nats-server.ts'
import { run } from '../support/process.ts'
import { collect, record } from '../support/records.ts'
import { testRefusals, wrong } from '../support/refusals.ts'
import { temporaryFolder } from '../support/temporary.ts'

const shared = natsForFile()

let made = 0

/** An appender with its own stream. */
function newAppender(options: Partial<JetStreamOptions> = {}): JetStreamAppender {
	const stream = `s${++made}`
	return new JetStreamAppender({ servers: shared.url, stream, subjectPrefix: stream, create: {}, ...options })
}

function newLoop(appender: JetStreamAppender, options: MeshLoopOptions = {}): MeshLoop {
	const loop = new MeshLoop(appender, { nodeId: 'api-1', ...options })
	onTestFinished(() => loop.close().catch(() => {}))
	return loop
}

/** A server that can be stopped and restarted on the same port with its data. */
function stoppable() {
	const storeDir = temporaryFolder()
	const port = freePort()
	let server: NatsServer | undefined
	onTestFinished(async () => server?.stop())
	return {
		storeDir,
		url: async () => `nats://127.0.0.1:${await port}`,
		start: async () => {
			server = await startNats({ storeDir, port: await port })
		},
		kill: async () => server?.kill(),
		freeze: () => server?.freeze(),
		thaw: () => server?.thaw(),
	}
}

async function stored(appender: JetStreamAppender, url = shared.url): Promise<LogRecord[]> {
	await using chain = await openStream(`${url}/${appender.stats().stream}?chain=${appender.chainId}`)
	return await collect(chain.records())
}

async function until(holds: () => boolean, ms = 20_000): Promise<void> {
	const deadline = Date.now() + ms
	while (!holds()) {
		if (Date.now() > deadline) throw new Error(`not within ${ms} ms: ${holds}`)
		await new Promise((resolve) => setTimeout(resolve, 5))
	}
}

function warnings(): string[] {
	const codes: string[] = []
	const listener = (warning: Error) => codes.push(String((warning as { code?: string }).code))
	process.on('warning', listener)
	onTestFinished(() => void process.off('warning', listener))
	return codes
}

describe('a JetStreamAppender', () => {
	appenderContract(() => newAppender(), { describe, test }, { readBack: (appender) => stored(appender) })
})

describe('a JetStreamAppender whose server does not answer at first', () => {
	appenderContract(
		() => newAppender(),
		{ describe, test },
		{
			readBack: (appender) => stored(appender),
			breakMedium: () => {
				shared.freeze()
				return () => shared.thaw()
			},
		},
	)
})

test('the stream has the published records unchanged', async () => {
	const appender = newAppender()
	const loop = newLoop(appender, { ringCapacity: 10_000 })
	for (let index = 0; index < 5_000; index++) {
		loop.emit(
			index % 7 === 0 ? 'order' : 'log',
			{ index, text: 'grüße' },
			{ level: index % 100 ? 'info' : 'error' },
		)
		if (index % 500 === 0) await new Promise((resolve) => setImmediate(resolve))
	}
	expect(loop.snapshot().filter(({ chainPending }) => chainPending).length).toBeGreaterThan(0)
	expect(() => loop.flush()).toThrow(expect.objectContaining({ code: 'FLUSH_FAILED' }))
	await loop.sync()
	loop.flush()
	expect(appender.stats()).toMatchObject({
		records: 5_000,
		committedSeq: 5_000,
		pendingRecords: 0,
		pendingBytes: 0,
	})
	expect(appender.stats().subject).toBe(`${appender.stats().stream}.api-1.${appender.chainId}`)
	expect(appender.stats().messages).toBeLessThan(100)
	const published = loop.snapshot()
	expect(published.filter(({ chainPending }) => chainPending)).toEqual([])
	await loop.close()
	expect(await stored(appender)).toEqual(published)
})

test('a batch is one message, even if that exceeds the usual size', async () => {
	const appender = newAppender({ messageBytes: 1024 })
	const loop = newLoop(appender)
	loop.info('before')
	await loop.sync()
	loop.publishBatch(Array.from({ length: 500 }, (_unused, index) => ({ message: `of one batch ${index}` })))
	await loop.sync()
	expect(appender.stats()).toMatchObject({ messages: 2, records: 501 })
	await loop.close()
	expect(await stored(appender)).toHaveLength(501)
})

test('a server that is killed repeatedly has every record once and in order', async () => {
	const server = stoppable()
	await server.start()
	const said = warnings()
	const appender = newAppender({ servers: await server.url(), messageBytes: 1024 })
	const loop = newLoop(appender, { ringCapacity: 100_000 })
	let isOver = false
	const publishing = (async () => {
		for (let index = 0; !isOver; index++) {
			loop.info(`line ${index}`, { index })
			await new Promise((resolve) => setTimeout(resolve, index % 20 === 0 ? 2 : 0))
		}
	})()
	for (let round = 0; round < 4; round++) {
		const committed = appender.committedSeq
		await until(() => appender.committedSeq > committed + 20)
		await server.kill()
		await until(() => appender.failure !== undefined)
		await new Promise((resolve) => setTimeout(resolve, 50))
		await server.start()
		await until(() => appender.failure === undefined)
	}
	isOver = true
	await publishing
	await loop.sync()
	const published = loop.snapshot()
	await loop.close()
	expect(await stored(appender, await server.url())).toEqual(published)
	await using chain = await openStream(`${await server.url()}/${appender.stats().stream}`)
	expect(await chain.info()).toMatchObject({ records: published.length, lastSeq: published.length })
	expect(appender.stats()).toMatchObject({ lostAtClose: 0, lostByServers: 0, pendingRecords: 0 })
	const [failing, recovered] = ['FAILING', 'RECOVERED'].map((what) =>
		said.filter((code) => code === `MESH_CHAIN_STREAM_${what}`),
	)
	expect(failing!.length).toBeGreaterThanOrEqual(4)
	expect(recovered).toHaveLength(failing!.length)
})

test('the wait for a silent server ends, and records it may have stored are not sent twice', async () => {
	const server = stoppable()
	await server.start()
	const appender = newAppender({ servers: await server.url(), ackTimeoutMs: 500 })
	const loop = newLoop(appender)
	loop.info('before')
	await until(() => loop.committedSeq === 1)
	server.freeze()
	loop.info('in flight')
	await expect(loop.sync()).rejects.toMatchObject({ code: 'SYNC_FAILED', seq: 2 })
	loop.info('after it')
	await until(() => appender.failure !== undefined)
	server.thaw()
	await until(() => appender.committedSeq === 3)
	await loop.close()
	expect((await stored(appender, await server.url())).map(({ message }) => message)).toEqual([
		'before',
		'in flight',
		'after it',
	])
})

test('the loop works without a server, and all records arrive once there is one', async () => {
	const server = stoppable()
	const said = warnings()
	const appender = newAppender({ servers: await server.url() })
	const loop = newLoop(appender)
	for (let index = 0; index < 100; index++) loop.info(`line ${index}`)
	expect(appender.failure).toBeUndefined()
	await expect(loop.sync()).rejects.toMatchObject({ code: 'SYNC_FAILED', seq: 1 })
	expect(appender.failure).toMatchObject({ code: 'CLUSTER_UNREACHABLE' })
	expect(loop.stats().appender).toMatchObject({ failing: true, committedSeq: 0 })
	expect(appender.stats()).toMatchObject({ pendingRecords: 100, connections: 0, subject: undefined })
	expect(loop.snapshot().every(({ chainPending }) => chainPending)).toBe(true)
	await server.start()
	await until(() => loop.committedSeq === 100)
	expect(said).toEqual(['MESH_CHAIN_STREAM_FAILING', 'MESH_CHAIN_STREAM_RECOVERED'])
	const published = loop.snapshot()
	await loop.close()
	expect(await stored(appender, await server.url())).toEqual(published)
})

test.each<Partial<JetStreamOptions>>([{ pendingRecordsMax: 20 }, { pendingBytesMax: 20 * 290 }])(
	'pending records are bounded by %o: the loop keeps the newest, and a gap stands for the rest',
	async (bounds) => {
		const server = stoppable()
		const appender = newAppender({ servers: await server.url(), ...bounds })
		const loop = newLoop(appender, { ringCapacity: 10 })
		for (let index = 0; index < 100; index++) loop.info(`line ${index}`)
		const held = appender.stats().pendingRecords
		expect(held).toBeGreaterThan(10)
		expect(held).toBeLessThan(25)
		expect(appender.stats().pendingBytes).toBeLessThanOrEqual(bounds.pendingBytesMax ?? 25 * 300)
		expect(loop.stats().appender.lost.evicted).toBe(100 - held - 10)
		await server.start()
		await until(() => loop.committedSeq === 100)
		await loop.close().catch(() => {})
		const records = await stored(appender, await server.url())
		expect(records).toHaveLength(held + 1 + 10)
		expect(records[held]).toMatchObject({
			kind: '$gap',
			data: { fromSeq: held + 1, toSeq: 90, count: 90 - held, cause: 'evicted' },
		})
	},
	60_000,
)

test('close() ends in time while the server is down, and reports the unstored records', async () => {
	const server = stoppable()
	const appender = newAppender({ servers: await server.url(), closeMs: 300 })
	const loop = newLoop(appender)
	for (let index = 0; index < 7; index++) loop.info(`line ${index}`)
	const begun = performance.now()
	await expect(loop.close()).rejects.toThrow(
		/^the stream .* has not acknowledged 7 records from seq 1 onward/,
	)
	expect(performance.now() - begun).toBeLessThan(1_500)
	expect(appender.stats()).toMatchObject({ lostAtClose: 7, pendingRecords: 0 })
	await expect(appender.close()).rejects.toMatchObject({ code: 'CLOSE_FAILED', seq: 1 })
})

test('close() ends in time while the server hangs', async () => {
	const server = stoppable()
	await server.start()
	const appender = newAppender({ servers: await server.url(), ackTimeoutMs: 500, closeMs: 300 })
	const loop = newLoop(appender)
	loop.info('stored')
	await until(() => loop.committedSeq === 1)
	server.freeze()
	loop.info('not stored')
	const begun = performance.now()
	await expect(loop.close()).rejects.toMatchObject({ code: 'SYNC_FAILED' })
	expect(performance.now() - begun).toBeLessThan(2_000)
	expect(appender.stats().lostAtClose).toBe(1)
	server.thaw()
})

test('close() waits for a server that returns in time', async () => {
	const server = stoppable()
	const appender = newAppender({ servers: await server.url(), closeMs: 20_000 })
	appender.append(record(1))
	const closed = appender.close()
	await server.start()
	await closed
	expect(appender.stats()).toMatchObject({ lostAtClose: 0, committedSeq: 1 })
	expect(await stored(appender, await server.url())).toEqual([record(1)])
})

test('acknowledged records that the servers lost become a gap and are counted', async () => {
	const server = stoppable()
	await server.start()
	const appender = newAppender({ servers: await server.url() })
	const loop = newLoop(appender)
	const said = warnings()
	loop.info('kept')
	await loop.sync()
	// Simulates what a power loss leaves of a server that had not synced.
	await server.kill()
	const before = join(temporaryFolder(), 'store')
	cpSync(server.storeDir, before, { recursive: true })
	await server.start()
	for (const message of ['lost', 'lost too']) loop.info(message)
	await until(() => loop.committedSeq === 3)
	await server.kill()
	rmSync(server.storeDir, { recursive: true })
	cpSync(before, server.storeDir, { recursive: true })
	await server.start()
	loop.info('after them')
	await until(() => loop.committedSeq === 4)
	await loop.close()
	expect(appender.stats().lostByServers).toBe(2)
	expect(said).toContain('MESH_CHAIN_RECORDS_LOST')
	const [first, gap, last] = await stored(appender, await server.url())
	expect([first?.message, last?.message]).toEqual(['kept', 'after them'])
	expect(gap).toMatchObject({ kind: '$gap', data: { fromSeq: 2, toSeq: 3, count: 2, cause: 'unsynced' } })
})

test('a missing stream is awaited and reported', async () => {
	const stream = `later-${++made}`
	const appender = newAppender({ stream, subjectPrefix: stream, create: undefined } as never)
	const loop = newLoop(appender)
	loop.info('early')
	await expect(loop.sync()).rejects.toMatchObject({ code: 'SYNC_FAILED', message: /there is no stream/ })
	expect(appender.failure).toMatchObject({ code: 'STREAM_NOT_FOUND' })
	const other = newAppender({ stream, subjectPrefix: stream })
	await until(() => loop.committedSeq === 1)
	await other.close()
	await loop.close()
	expect(await stored(appender)).toHaveLength(1)
})

test('a record too large for any message becomes a gap and is counted and reported', async () => {
	const said = warnings()
	const appender = newAppender()
	const loop = newLoop(appender)
	loop.info('before')
	loop.info('large', { text: 'x'.repeat(1_041_000) })
	loop.info('after')
	await loop.sync()
	await loop.close()
	expect(appender.stats()).toMatchObject({ tooLarge: 1, committedSeq: 3 })
	expect(said).toEqual(['MESH_CHAIN_RECORDS_LOST'])
	expect(await stored(appender)).toMatchObject([
		{ message: 'before' },
		{ kind: '$gap', data: { fromSeq: 2, toSeq: 2, cause: 'tooLarge' } },
		{ message: 'after' },
	])
})

test('next to an existing file in a Tee, its chain begins with a gap', async () => {
	const path = join(temporaryFolder(), 'node.chain')
	const earlier = new MeshLoop(new FileChainAppender(path))
	earlier.info('earlier')
	await earlier.close()
	const appender = newAppender()
	const loop = new MeshLoop(new TeeAppender(new FileChainAppender(path), appender))
	const published = loop.info('in both')
	await loop.sync()
	await loop.close()
	expect(await stored(appender)).toEqual([expect.objectContaining({ kind: '$gap', seq: 1 }), published])
})

test('two processes on one node each have their own chain', async () => {
	const first = newAppender({ node: 'api 1' })
	const { stream } = first.stats()
	const second = newAppender({ stream, subjectPrefix: stream, node: 'api 1' })
	for (const appender of [first, second]) {
		appender.append(record(1, { message: appender.chainId }))
		await appender.sync()
		await appender.close()
	}
	for (const appender of [first, second])
		expect((await stored(appender)).map(({ message }) => message)).toEqual([appender.chainId])
	expect(first.stats().subject).toMatch(/\.api%201\./)
})

test('a record that cannot be encoded is refused at once; skipped seqs become a gap', async () => {
	const appender = newAppender()
	appender.append(record(1))
	expect(() => appender.append(record(2, { level: 'loud' as never }))).toThrow(
		expect.objectContaining({ retryable: false }),
	)
	appender.append(record(5))
	expect(() => appender.append(record(5))).toThrow(expect.objectContaining({ code: 'SEQ_NOT_INCREASING' }))
	expect(appender.nextSeq).toBe(6)
	await appender.close()
	expect(await stored(appender)).toMatchObject([
		{ seq: 1 },
		{ kind: '$gap', data: { fromSeq: 2, toSeq: 4, cause: 'appendFailed' } },
		{ seq: 5 },
	])
})

test('a process that exits at once reports the lost records', async () => {
	const { status, stdout } = await run(process.execPath, [
		'--input-type=module',
		'-e',
		`
		import { subscribe } from 'node:diagnostics_channel'
		import { MeshLoop } from 'mesh-chain'
		import { JetStreamAppender } from 'mesh-chain/cluster'
		subscribe('mesh-chain:gap', ({ gap }) => console.log(JSON.stringify(gap)))
		const appender = new JetStreamAppender({ servers: '${shared.url}', create: {} })
		const loop = new MeshLoop(appender)
		loop.info('one')
		loop.info('two')
		process.on('exit', () => console.log(appender.stats().lostAtClose))
		process.exit(3)
		`,
	])
	expect(status).toBe(3)
	expect(stdout).toBe('{"fromSeq":1,"toSeq":2,"count":2,"cause":"appendFailed"}\n2\n')
})

const servers = 'nats://127.0.0.1:4222'
testRefusals([
	['no options', () => new JetStreamAppender(wrong()), 'INVALID_OPTION', 'options must be an object'],
	['no servers', () => new JetStreamAppender(wrong({})), 'INVALID_OPTION', 'servers must be a URL'],
	[
		'an unknown option',
		() => new JetStreamAppender(wrong({ servers, chainId: 'a' })),
		'INVALID_OPTION',
		'no such option: "chainId"',
	],
	[
		'no space',
		() => new JetStreamAppender({ servers, pendingRecordsMax: 0 }),
		'INVALID_OPTION',
		'pendingRecordsMax must be a whole number from 1',
	],
	[
		'a negative close time',
		() => new JetStreamAppender({ servers, closeMs: -1 }),
		'INVALID_OPTION',
		'closeMs must be a whole number from 0',
	],
])
