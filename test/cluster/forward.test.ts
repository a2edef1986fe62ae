import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { type ForwardOptions, forwardChain, openStream } from '../../src/cluster/index.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import type { LogRecord } from '../../src/record.ts'
import { type NatsServer, startNats } from '../support/nats-server.ts'
import { collect } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

let folder: string
let server: NatsServer
beforeAll(async () => {
	folder = mkdtempSync(join(tmpdir(), 'mesh-chain-nats-'))
	server = await startNats({ storeDir: folder })
}, 60_000)
afterAll(async () => {
	await server.stop()
	rmSync(folder, { recursive: true, force: true })
})

let made = 0

/** A stream of the test's own, and how to forward to it. */
function newStream(): {
	readonly stream: string
	readonly address: string
	readonly options: ForwardOptions
} {
	const stream = `s${++made}`
	return {
		stream,
		address: `${server.url}/${stream}`,
		options: { servers: server.url, stream, subject: stream, create: {} },
	}
}

function writer(path: string, nodeId: string) {
	const loop = new MeshLoop(new FileChainAppender(path), { nodeId })
	onTestFinished(() => loop.close())
	return loop
}

async function forwarded(path: string, options: ForwardOptions) {
	const forwarder = forwardChain(path, options)
	await forwarder.flushed()
	await forwarder.close()
	return forwarder.stats()
}

async function recordsOf(address: string, query = {}): Promise<LogRecord[]> {
	const chain = await openStream(address)
	onTestFinished(() => chain.close())
	return collect(chain.records(query))
}

async function recordsIn(path: string, query = {}): Promise<LogRecord[]> {
	const chain = await openChain(path)
	onTestFinished(() => chain.close())
	return collect(chain.records(query))
}

test('what is in a chain is in the stream, as it was', async () => {
	const path = join(temporaryFolder(), 'node.chain')
	const { address, options } = newStream()
	const loop = writer(path, 'api-1')
	for (let index = 0; index < 5_000; index++)
		loop.emit(
			index % 7 === 0 ? 'order' : 'log',
			{ index, text: 'grüße' },
			{ level: index % 100 ? 'info' : 'error' },
		)
	loop.flush()
	expect(await forwarded(path, options)).toMatchObject({
		records: 5_000,
		failures: 0,
		acknowledged: { seq: 5_000 },
	})
	expect(await recordsOf(address)).toEqual(await recordsIn(path))
	for (const query of [
		{ fromSeq: 2_345, toSeq: 2_350 },
		{ level: 'error' },
		{ kind: 'order', limit: 3 },
		{ reverse: true, limit: 700 },
		{ grep: '"index":4711' },
	])
		expect(await recordsOf(address, query)).toEqual(await recordsIn(path, query))
})

test('a forwarder that follows ships what comes, and another goes on where it ended', async () => {
	const path = join(temporaryFolder(), 'node.chain')
	const { address, options } = newStream()
	const loop = writer(path, 'api-1')
	loop.info('first')
	loop.flush()
	const forwarder = forwardChain(path, options)
	await forwarder.flushed()
	for (let index = 0; index < 100; index++) {
		loop.info(`line ${index}`)
		if (index % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 5))
	}
	loop.flush()
	await forwarder.flushed()
	expect(await forwarder.lag()).toBe(0)
	await forwarder.close()
	loop.info('while nobody forwards')
	loop.flush()
	await forwarded(path, options)
	expect(await recordsOf(address)).toEqual(await recordsIn(path))
})

test('a node that writes all the time sends a message now and then, and nobody who waits for one is kept waiting', async () => {
	const path = join(temporaryFolder(), 'node.chain')
	const { address, options } = newStream()
	const loop = writer(path, 'api-1')
	loop.info('first')
	loop.flush()
	const slow = forwardChain(path, { ...options, lingerMs: 300 })
	await slow.flushed()
	for (let index = 0; index < 100; index++) {
		loop.info(`line ${index}`)
		loop.flush()
		await new Promise((resolve) => setTimeout(resolve, 10))
	}
	// A second of records and more, of which each was written by itself.
	const { messages, records } = slow.stats()
	expect(messages).toBeGreaterThanOrEqual(2)
	expect(messages).toBeLessThan(12)
	expect(records).toBeGreaterThan(messages)
	await slow.close()

	const patient = forwardChain(path, { ...options, lingerMs: 600_000 })
	await patient.flushed()
	for (let index = 0; index < 3; index++) {
		loop.info('somebody waits')
		loop.flush()
		await patient.flushed()
	}
	expect(patient.stats().messages).toBeGreaterThanOrEqual(3)
	loop.info('nobody does')
	loop.flush()
	await patient.close()
	await forwarded(path, options)
	expect(await recordsOf(address)).toEqual(await recordsIn(path))
})
