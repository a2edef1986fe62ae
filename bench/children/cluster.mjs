/**
 * What it costs to ship a chain to JetStream and to read it back, beside the bare client of NATS with the very same messages; and what a service pays whose
 * cluster is down. The server is a real one, started here on loopback. One job a process; prints one line of JSON. What is in the stream afterwards is
 * counted, outside the time.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect as connectSocket, createServer } from 'node:net'
import { join } from 'node:path'
import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { forwardChain, openStream } from '../../dist/cluster/index.js'
import { FileChainAppender, MeshLoop } from '../../dist/index.js'
import { daemonOf, messages, NODE_ID } from '../lib/workload.mjs'

const TURN = 1000
/** Messages that the bare client has under way. */
const IN_FLIGHT = 64

const job = JSON.parse(process.argv[2])
const path = join(job.folder, 'node.chain')
const kinds = { forward, publishBare, openStream: readBack, consumeBare, service }
process.stdout.write(`${JSON.stringify(await kinds[job.kind]())}\n`)
process.exit()

/** Everything that is in a chain, until it is acknowledged. */
async function forward() {
	await write()
	return withServer(async (url) => {
		const start = performance.now()
		await shipped(url, 'mesh')
		return { recordsPerSecond: (job.records / (performance.now() - start)) * 1000 }
	})
}

/** The same messages, as the client sends them when nobody has to wait for the one before. */
async function publishBare() {
	await write()
	return withServer(async (url) => {
		await shipped(url, 'mesh')
		const { connection, bodies } = await bodiesIn(url)
		const manager = await jetstreamManager(connection)
		await manager.streams.add({ name: 'bare', subjects: ['bare.>'] })
		const client = jetstream(connection)
		globalThis.gc()
		const start = performance.now()
		const underWay = new Set()
		for (const [index, body] of bodies.entries()) {
			if (underWay.size >= IN_FLIGHT) await Promise.race(underWay)
			const sent = client
				.publish('bare.node', body, { msgID: `bare:${index}` })
				.finally(() => underWay.delete(sent))
			underWay.add(sent)
		}
		await Promise.all(underWay)
		const elapsedMs = performance.now() - start
		const { state } = await manager.streams.info('bare')
		if (state.messages !== bodies.length) throw new Error(`${bodies.length} sent, ${state.messages} stored`)
		await connection.close()
		return { recordsPerSecond: (job.records / elapsedMs) * 1000 }
	})
}

async function readBack() {
	await write()
	return withServer(async (url) => {
		await shipped(url, 'mesh')
		globalThis.gc()
		const start = performance.now()
		const chain = await openStream(`${url}/mesh`)
		let records = 0
		let sum = 0
		for await (const batch of chain.batches()) {
			records += batch.length
			for (const { seq } of batch) sum += seq
		}
		const elapsedMs = performance.now() - start
		await chain.close()
		if (records !== job.records || sum !== (job.records * (job.records + 1)) / 2)
			throw new Error(`read ${records}`)
		return { recordsPerSecond: (records / elapsedMs) * 1000 }
	})
}

/** The same messages, and nothing made of them. */
async function consumeBare() {
	await write()
	return withServer(async (url) => {
		await shipped(url, 'mesh')
		globalThis.gc()
		const start = performance.now()
		const { connection } = await bodiesIn(url)
		const elapsedMs = performance.now() - start
		await connection.close()
		return { recordsPerSecond: (job.records / elapsedMs) * 1000 }
	})
}

/** A service that publishes so many records a second, with a forwarder inside that reaches nobody, or without one. */
async function service() {
	process.removeAllListeners('warning')
	const loop = new MeshLoop(new FileChainAppender(path), { nodeId: NODE_ID })
	const port = await freePort()
	const forwarder = job.forwarder
		? forwardChain(path, { servers: `nats://127.0.0.1:${port}`, create: {} })
		: undefined
	await pace(loop, job.warmUpMs)
	globalThis.gc()
	const before = process.cpuUsage()
	const start = performance.now()
	const published = await pace(loop, job.ms)
	const elapsedMs = performance.now() - start
	const { user, system } = process.cpuUsage(before)
	if (forwarder !== undefined && forwarder.stats().failures === 0)
		throw new Error('somebody answered the forwarder')
	await forwarder?.close()
	await loop.close()
	return {
		recordsPerSecond: (published / elapsedMs) * 1000,
		cpuPercent: ((user + system) / 1000 / elapsedMs) * 100,
	}
}

async function pace(loop, ms) {
	const count = Math.floor((job.recordsPerSecond * ms) / 1000)
	const start = performance.now()
	for (let index = 0; index < count; ) {
		const due = Math.min(count, Math.floor(((performance.now() - start) * job.recordsPerSecond) / 1000))
		for (; index < due; index++) loop.info('request answered', { index })
		await new Promise((resolve) => setTimeout(resolve, 1))
	}
	return count
}

async function write() {
	const texts = messages(job.records)
	const loop = new MeshLoop(new FileChainAppender(path), { nodeId: NODE_ID })
	for (const [index, text] of texts.entries()) {
		loop.info(text, undefined, { daemonId: daemonOf(index) })
		if (index % TURN === TURN - 1) await new Promise(setImmediate)
	}
	await loop.close()
}

async function shipped(url, stream) {
	const forwarder = forwardChain(path, { servers: url, stream, create: {} })
	await forwarder.flushed()
	const { records } = forwarder.stats()
	await forwarder.close()
	if (records !== job.records) throw new Error(`${job.records} records, ${records} forwarded`)
}

/** All messages, by the client's own fast way. */
async function bodiesIn(url) {
	const connection = await connect({ servers: url })
	const manager = await jetstreamManager(connection)
	const { state } = await manager.streams.info('mesh')
	const { name } = await manager.consumers.add('mesh', { ack_policy: AckPolicy.None, mem_storage: true })
	const consumer = await jetstream(connection).consumers.get('mesh', name)
	const bodies = []
	const all = await consumer.consume({ max_messages: 500 })
	for await (const message of all) {
		bodies.push(message.data)
		if (bodies.length === state.messages) break
	}
	return { connection, bodies }
}

async function withServer(work) {
	const port = await freePort()
	const command = ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', join(job.folder, 'jetstream')]
	const server = spawn('nats-server', command, { stdio: 'ignore' })
	const failed = new Promise((_resolve, reject) =>
		server.once('error', () =>
			reject(new Error('nats-server is missing: type `apt-get install -y nats-server`')),
		),
	)
	try {
		await Promise.race([failed, listening(port)])
		return await work(`nats://127.0.0.1:${port}`)
	} finally {
		if (server.pid !== undefined && server.exitCode === null) {
			const gone = once(server, 'exit')
			server.kill('SIGKILL')
			await gone
		}
	}
}

async function listening(port) {
	for (let left = 500; left > 0; left--) {
		const isThere = await new Promise((resolve) => {
			const socket = connectSocket(port, '127.0.0.1', () => resolve(true))
			socket.on('error', () => resolve(false))
			setTimeout(() => socket.destroy(), 50)
		})
		if (isThere) return
		await new Promise((resolve) => setTimeout(resolve, 20))
	}
	throw new Error('nats-server does not listen')
}

function freePort() {
	return new Promise((resolve) => {
		const probe = createServer().listen(0, '127.0.0.1', () => {
			const { port } = probe.address()
			probe.close(() => resolve(port))
		})
	})
}
