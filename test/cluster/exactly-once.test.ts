/**
 * Situations that could store a record twice or skip it: records that the stream removed, remembered message
 * ids, and a second forwarder.
 */
import { once } from 'node:events'
import { linkSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { type AddressInfo, connect as connectTo, createServer, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { type ForwardOptions, forwardChain, type StreamSettings } from '../../src/cluster/index.ts'
import { framesOf, recordsOf } from '../../src/cluster/message.ts'
import { parseSubject } from '../../src/cluster/subjects.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { eventually } from '../support/nats-cluster.ts'
import { natsForFile } from '../support/nats-for-file.ts'
import { temporaryFolder } from '../support/temporary.ts'

const server = natsForFile()

let made = 0

/** Options for a separate stream. */
function optionsOf(create: StreamSettings): ForwardOptions & { readonly stream: string } {
	const stream = `once${++made}`
	return { servers: server.url, stream, subjectPrefix: stream, create, pollIntervalMs: 10 }
}

function newChain() {
	const path = join(temporaryFolder(), 'node.chain')
	const loop = new MeshLoop(new FileChainAppender(path), { nodeId: 'api-1' })
	onTestFinished(() => loop.close())
	return { path, loop }
}

function forwarderOf(path: string, options: ForwardOptions) {
	const forwarder = forwardChain(path, options)
	onTestFinished(() => forwarder.close())
	return forwarder
}

async function messagesIn(stream: string): Promise<number> {
	return (await server.manager.streams.info(stream)).state.messages
}

/** Returns all stored seqs, read with the plain client: a chain reader would skip duplicates. */
async function seqsIn({ stream }: { readonly stream: string }): Promise<number[]> {
	const seqs: number[] = []
	const { state } = await server.manager.streams.info(stream)
	for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
		const { subject, data } = (await server.manager.streams.getMessage(stream, { seq }))!
		for (const record of recordsOf(framesOf(data, parseSubject(subject)!.chainId))!) seqs.push(record.seq)
	}
	return seqs
}

/** Simulates another machine: the lock next to the chain is a different one. */
function elsewhere(path: string): string {
	const other = join(dirname(path), 'other')
	mkdirSync(other)
	linkSync(path, join(other, 'node.chain'))
	return join(other, 'node.chain')
}

/** A proxy to the server that holds back what a client sends after a given text, until it is released. */
async function holdingNetwork(text: string) {
	const held: Buffer[] = []
	const sockets: Socket[] = []
	let isHolding = true
	const proxy = createServer((client) => {
		const upstream = connectTo(server.port, '127.0.0.1')
		for (const socket of [client, upstream]) sockets.push(socket.on('error', () => {}))
		upstream.pipe(client)
		client.on('data', (data) => {
			if (isHolding && (held.length > 0 || data.includes(text))) held.push(data)
			else upstream.write(data)
		})
	}).listen(0, '127.0.0.1')
	await once(proxy, 'listening')
	onTestFinished(() => {
		proxy.close()
		for (const socket of sockets) socket.destroy()
	})
	return {
		url: `nats://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
		holds: () => held.length > 0,
		letGo() {
			isHolding = false
			sockets[1]!.write(Buffer.concat(held))
		},
	}
}

test('records that the stream removed because of its limits are not sent again', async () => {
	const { path, loop } = newChain()
	const options = optionsOf({ maxAgeMs: 300 })
	for (let count = 0; count < 10; count++) loop.info('old')
	loop.flush()
	const forwarder = forwarderOf(path, options)
	await forwarder.flushed()
	await eventually('all are too old', async () => (await messagesIn(options.stream)) === 0)
	loop.info('new')
	loop.flush()
	await forwarder.flushed()
	expect(forwarder.stats().records).toBe(11)
	await forwarder.close()

	await eventually('all are too old', async () => (await messagesIn(options.stream)) === 0)
	loop.info('newer')
	loop.flush()
	const next = forwarderOf(path, options)
	await next.flushed()
	expect(next.stats().records).toBe(1)
})

test('a stream that is deleted and created again while a forwarder runs gets every record', async () => {
	const { path, loop } = newChain()
	const options = optionsOf({})
	for (let count = 0; count < 10; count++) loop.info('before')
	loop.flush()
	const forwarder = forwarderOf(path, options)
	await forwarder.flushed()
	await server.manager.streams.delete(options.stream)
	loop.info('after')
	loop.flush()
	await eventually('it is there again', async () => (await messagesIn(options.stream)) > 0)
	await forwarder.flushed()
	expect(await seqsIn(options)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
})

test('an id that the servers remember is not mistaken for the stored record', async () => {
	const { path, loop } = newChain()
	const options = optionsOf({ duplicateWindowMs: 600_000 })
	loop.info('first')
	loop.flush()
	const forwarder = forwarderOf(path, options)
	await forwarder.flushed()
	await forwarder.close()
	// The record is gone from the stream and from the cursor file: it must be sent again, although the
	// servers know its id.
	await server.manager.streams.purge(options.stream)
	for (const name of readdirSync(dirname(path)))
		if (name.includes('.forward-')) rmSync(join(dirname(path), name))
	const next = forwarderOf(path, options)
	await next.flushed()
	expect(next.stats()).toMatchObject({ records: 1, messages: 1, failures: 0 })
	expect(await seqsIn(options)).toEqual([1])
})

test('two independent forwarders of one chain send each record only once', async () => {
	const { path, loop } = newChain()
	const options = { ...optionsOf({ duplicateWindowMs: 100 }), messageBytes: 1_024 }
	loop.info('first')
	loop.flush()
	const both = [forwarderOf(path, options), forwarderOf(elsewhere(path), options)]
	for (let count = 0; count < 300; count++) {
		for (let more = 0; more < 7; more++) loop.info('x'.repeat(50))
		loop.flush()
		await sleep(2)
	}
	for (const forwarder of both) await forwarder.flushed()
	const [one, two] = both.map((forwarder) => forwarder.stats())
	expect(one!.records + two!.records).toBeLessThanOrEqual(2_101)
	expect(one!.failures + two!.failures).toBeGreaterThan(0)
	expect(await seqsIn(options)).toEqual(Array.from({ length: 2_101 }, (_unused, index) => index + 1))
})

test('a delayed message is not stored after later ones', async () => {
	const { path, loop } = newChain()
	const options = optionsOf({ duplicateWindowMs: 100 })
	const network = await holdingNetwork(`HPUB ${options.stream}.`)
	loop.info('first')
	loop.flush()
	const late = forwarderOf(path, { ...options, servers: network.url })
	await eventually('it is on its way', async () => network.holds())
	for (let count = 0; count < 5; count++) loop.info('more')
	loop.flush()
	await forwarderOf(elsewhere(path), options).flushed()
	// The servers have forgotten its id.
	await sleep(500)
	network.letGo()
	await late.flushed()
	expect(await seqsIn(options)).toEqual([1, 2, 3, 4, 5, 6])
	expect(late.stats().records).toBe(0)
})
