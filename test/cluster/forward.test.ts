import { truncateSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { type ForwardOptions, forwardChain, openStream } from '../../src/cluster/index.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { gapRecord, type LogRecord } from '../../src/model/record.ts'
import { natsForFile } from '../support/nats-for-file.ts'
import { collect } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

const server = natsForFile()

let made = 0

/** A separate stream, with options for forwarding to it. */
function newStream(): {
	readonly stream: string
	readonly address: string
	readonly options: ForwardOptions
} {
	const stream = `s${++made}`
	return {
		stream,
		address: `${server.url}/${stream}`,
		options: { servers: server.url, stream, subjectPrefix: stream, create: {} },
	}
}

function writer(path: string, nodeId: string) {
	const loop = new MeshLoop(new FileChainAppender(path), { nodeId })
	onTestFinished(() => loop.close())
	return loop
}

function written(loop: MeshLoop, records: number): void {
	for (let count = 0; count < records; count++) loop.info('a record')
	loop.flush()
}

/** Returns the subject of the only chain. */
async function subjectIn(stream: string): Promise<string> {
	const { state } = await server.manager.streams.info(stream, { subjects_filter: '>' })
	return Object.keys(state.subjects!)[0]!
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

test('the stream has the records of the chain unchanged', async () => {
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

test('a forwarder sends new records, and its successor continues where it ended', async () => {
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

test('a busy node sends few messages, but sends one at once if a caller waits', async () => {
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
	// More than a second of records, each written separately.
	const { messages, records } = slow.stats()
	expect(messages).toBeGreaterThanOrEqual(2)
	expect(messages).toBeLessThan(12)
	expect(records).toBeGreaterThan(messages)
	await slow.close()

	const patient = forwardChain(path, { ...options, lingerMs: 600_000 })
	await patient.flushed()
	for (let index = 0; index < 3; index++) {
		loop.info('a caller waits')
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

test('deleted last messages are sent again, and earlier messages are read', async () => {
	const path = join(temporaryFolder(), 'node.chain')
	const { address, stream, options } = newStream()
	const create = { duplicateWindowMs: 100 }
	const loop = writer(path, 'api-1')
	for (let message = 1; message <= 5; message++) {
		written(loop, 10)
		await forwarded(path, { ...options, create })
	}
	for (const seq of [5, 4]) await server.manager.streams.deleteMessage(stream, seq)
	// Waits until the servers have forgotten the message ids.
	await new Promise((resolve) => setTimeout(resolve, 300))
	expect((await recordsOf(address)).map(({ seq }) => seq)).toEqual(
		Array.from({ length: 30 }, (_none, at) => at + 1),
	)
	expect(await forwarded(path, options)).toMatchObject({
		records: 20,
		failures: 0,
		acknowledged: { seq: 50 },
	})
	expect(await recordsOf(address)).toEqual(await recordsIn(path))
	written(loop, 1)
	await forwarded(path, options)
	expect(await recordsOf(address)).toEqual(await recordsIn(path))
})

test('no record counts as acknowledged before the stream is asked; a foreign message is named', async () => {
	const path = join(temporaryFolder(), 'node.chain')
	const { address, stream, options } = newStream()
	const loop = writer(path, 'api-1')
	written(loop, 10)
	await forwarded(path, options)
	await server.client.publish(await subjectIn(stream), 'garbage')
	const forwarder = forwardChain(path, options)
	expect(forwarder.stats().acknowledged).toEqual({ epoch: 0, seq: 0 })
	const unfit = {
		code: 'STREAM_UNFIT',
		message: expect.stringMatching(
			new RegExp(`message 2 .*delete the message \\(nats stream rmm ${stream} 2\\)`),
		),
	}
	await expect(forwarder.flushed()).rejects.toMatchObject(unfit)
	await expect(forwarder.done).rejects.toMatchObject(unfit)
	await expect(forwarder.flushed()).rejects.toMatchObject(unfit)
	await server.manager.streams.deleteMessage(stream, 2)
	written(loop, 1)
	expect(await forwarded(path, options)).toMatchObject({ records: 1, failures: 0 })
	expect(await recordsOf(address)).toEqual(await recordsIn(path))
})

test('a gap at the end of a chain is sent once, by any forwarder', async () => {
	const path = join(temporaryFolder(), 'node.chain')
	const { address, options } = newStream()
	const appender = new FileChainAppender(path)
	onTestFinished(() => appender.close())
	const at = { epoch: appender.epoch, tsMs: 1_000_000 }
	appender.append(gapRecord({ fromSeq: 1, toSeq: 3, count: 3, cause: 'overflow' }, at))
	appender.flush()
	expect(await forwarded(path, options)).toMatchObject({ records: 1, acknowledged: { seq: 3 } })
	expect(await forwarded(path, options)).toMatchObject({ records: 0, acknowledged: { seq: 3 }, ahead: 0 })
	expect(await recordsOf(address)).toEqual(await recordsIn(path))
})

test('a file with fewer records than the stream is reported', async () => {
	const path = join(temporaryFolder(), 'node.chain')
	const { options } = newStream()
	const loop = new MeshLoop(new FileChainAppender(path), { nodeId: 'api-1' })
	for (let batch = 0; batch < 10; batch++) written(loop, 10)
	await loop.close()
	expect(await forwarded(path, options)).toMatchObject({ ahead: 0, acknowledged: { seq: 100 } })
	truncateSync(path, 1_000)
	const lastSeq = (await recordsIn(path)).at(-1)?.seq ?? 0
	expect(lastSeq).toBeLessThan(100)
	const warning = new Promise<Error>((resolve) => process.once('warning', resolve))
	expect(await forwarded(path, options)).toMatchObject({
		records: 0,
		ahead: 100 - lastSeq,
		acknowledged: { seq: lastSeq },
	})
	expect((await warning).message).toContain(
		`records of ${JSON.stringify(path)} up to seq 100, but the file ends at seq ${lastSeq}:`,
	)
})

test('a chain has one forwarder per stream, and a subject belongs to one stream', async () => {
	const path = join(temporaryFolder(), 'node.chain')
	const { stream, options } = newStream()
	written(writer(path, 'api-1'), 1)
	const first = forwardChain(path, options)
	onTestFinished(() => first.close())
	await first.flushed()
	const holder = String.raw`a forwarder for this chain and stream is already running in process \d+ on .*`
	await expect(forwardChain(path, options).flushed()).rejects.toMatchObject({
		code: 'CURSOR_IN_USE',
		message: expect.stringMatching(new RegExp(`^${holder}: stop one of the two`)),
	})
	await expect(forwardChain(path, { ...options, stream: 'another' }).flushed()).rejects.toMatchObject({
		code: 'STREAM_UNFIT',
		message:
			'the stream "another" could not be created: subjects overlap with an existing stream: ' +
			`choose a prefix other than ${stream} (--subject-prefix), or use that stream`,
	})
})
