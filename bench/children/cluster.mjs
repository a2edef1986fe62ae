/**
 * Measures the cost of sending a chain to JetStream and reading it back, compared with the bare NATS client
 * and identical messages. Also measures the cost to a service while its cluster is down. Uses a real server,
 * which this process starts on the loopback interface. Runs one job per process and prints one line of JSON.
 * After the measured time, the contents of the stream are counted.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { Unpackr } from 'msgpackr'
import pLimit from 'p-limit'
import { forwardChain, openStream, pullStream } from '../../dist/cluster/index.js'
import { FileChainAppender, MeshLoop } from '../../dist/index.js'
import { daemonOf, messages, NODE_ID } from '../lib/workload.mjs'

const TURN = 1000
/**
 * Number of messages that the bare client requests in advance. It is high enough that the client never waits,
 * and below the limit at which a server disconnects the client.
 */
const ASKED_AHEAD = 64
const SMALL_UNDER_WAY = 256
/** The first run warms up and is not measured. Each run has its own stream or folder. */
const RUNS = ['warm', 'measured']
const HOUR_NS = 3600 * 1e9
const FORWARDERS_MAX = 8
const MIB = 1024 * 1024
/** Clock ticks per second in /proc, as `getconf CLK_TCK` prints them. */
const TICKS_PER_SECOND = 100

const job = JSON.parse(process.argv[2])
const kinds = { forward, publishBare, small, many, openStream: readBack, pull, consumeBare, service }
process.stdout.write(`${JSON.stringify(await kinds[job.kind]())}\n`)
process.exit()

/** Forwards all records in the chains and waits until they are acknowledged. */
async function forward() {
	const paths = await written()
	return withServers(async (servers) => {
		const connection = await connect({ servers })
		for (const name of RUNS) await addStream(connection, name)
		await connection.close()
		return rateOf((name) => shipped(servers, paths, name))
	})
}

/** Publishes the same messages, with a given number in flight. */
async function publishBare() {
	const paths = await written()
	return withServers(async (servers) => {
		await shipped(servers, paths)
		const bodies = []
		const connection = await connect({ servers })
		// In a stream with replicas, some messages are empty.
		await eachBody(connection, (body) => body.length > 0 && bodies.push(body))
		for (const name of RUNS) await addStream(connection, name)
		const client = jetstream(connection)
		const figures = await rateOf(async (name) => {
			const underWay = new Set()
			for (const [index, body] of bodies.entries()) {
				if (underWay.size >= job.inFlight) await Promise.race(underWay)
				const sent = client
					.publish(`${name}.node`, body, { msgID: `${name}:${index}` })
					.finally(() => underWay.delete(sent))
				underWay.add(sent)
			}
			await Promise.all(underWay)
		})
		const manager = await jetstreamManager(connection)
		for (const name of RUNS) {
			const { state } = await manager.streams.info(name)
			if (state.messages !== bodies.length) throw new Error(`${bodies.length} sent, ${state.messages} stored`)
		}
		await connection.close()
		return figures
	})
}

/** Simulates many nodes with little data: one message of 1 KiB each, one node after another. */
async function small() {
	return withServers(async (servers, pids) => {
		const connection = await connect({ servers })
		await addStream(connection, 'mesh', { max_age: HOUR_NS })
		const client = jetstream(connection)
		const body = Buffer.alloc(1024, 'x')
		const limit = pLimit(SMALL_UNDER_WAY)
		const beforeMs = processorMs(pids)
		const start = performance.now()
		await Promise.all(
			Array.from({ length: job.messages }, (_unused, index) =>
				limit(() => client.publish(`mesh.node-${index % job.nodes}`, body)),
			),
		)
		const elapsedMs = performance.now() - start
		const serverCpuPercent = ((processorMs(pids) - beforeMs) / elapsedMs) * 100
		await connection.close()
		return { messagesPerSecond: (job.messages / elapsedMs) * 1000, serverCpuPercent }
	})
}

/**
 * Forwards many chains with few records each. Measures the time until the first record of each chain is
 * stored, and the time until all records are stored.
 */
async function many() {
	const paths = await written()
	return withServers(async (servers) => {
		const limit = pLimit(FORWARDERS_MAX)
		await Promise.all(
			paths.map((path) =>
				limit(async () => {
					const forwarder = forwardChain(path, { servers, create: {} })
					await forwarder.flushed()
					await forwarder.close()
				}),
			),
		)
		globalThis.gc()
		const rssBefore = process.memoryUsage.rss()
		let rssMost = rssBefore
		const looking = setInterval(() => {
			rssMost = Math.max(rssMost, process.memoryUsage.rss())
		}, 50)
		const start = performance.now()
		const address = `${servers[0]}/mesh`
		const { records, firstMs } = job.pulls
			? await pullStream(address, join(job.folder, 'pulled'))
			: await readAll(address)
		const elapsedMs = performance.now() - start
		clearInterval(looking)
		if (records !== job.records) throw new Error(`${job.records} forwarded, ${records} read`)
		const recordsPerSecond = (records / elapsedMs) * 1000
		return {
			recordsPerSecond,
			...(firstMs === undefined ? {} : { firstMs: firstMs - start }),
			allMs: elapsedMs,
			readRssMiB: (rssMost - rssBefore) / MIB,
		}
	})
}

async function readAll(address) {
	const chain = await openStream(address)
	let records = 0
	let firstMs
	for await (const batch of chain.batches()) {
		firstMs ??= performance.now()
		records += batch.length
	}
	await chain.close()
	return { records, firstMs }
}

/** Returns the processor time that processes have used so far, according to /proc. */
function processorMs(pids) {
	const ticksOf = (pid) => {
		const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1].split(' ')
		return Number(fields[11]) + Number(fields[12])
	}
	return (pids.reduce((sum, pid) => sum + ticksOf(pid), 0) * 1000) / TICKS_PER_SECOND
}

async function readBack() {
	return withShipped((servers) =>
		rateOf(async () => {
			const chain = await openStream(`${servers[0]}/mesh`)
			let records = 0
			let sum = 0
			for await (const batch of chain.batches()) {
				records += batch.length
				for (const { seq } of batch) sum += seq
			}
			await chain.close()
			if (sum !== (job.records * (job.records + 1)) / 2) throw new Error(`read ${records}`)
		}),
	)
}

/** Pulls the stream into files. */
async function pull() {
	return withShipped((servers) =>
		rateOf(async (name) => {
			const { records } = await pullStream(`${servers[0]}/mesh`, join(job.folder, name))
			if (records !== job.records) throw new Error(`pulled ${records}`)
		}),
	)
}

/** Reads the same messages, decoding them with msgpackr or not at all. */
async function consumeBare() {
	return withShipped((servers) =>
		rateOf(async () => {
			const connection = await connect({ servers })
			const unpackr = new Unpackr({ useRecords: false })
			let records = 0
			let bytes = 0
			await eachBody(connection, (body) => {
				bytes += body.length
				if (!job.unpacks) return
				for (const frame of unpackr.unpackMultiple(body)) records += frame[6].length
			})
			await connection.close()
			if (bytes === 0 || (job.unpacks && records !== job.records)) throw new Error(`read ${records}`)
		}),
	)
}

/**
 * Runs a service that publishes at a given rate. If the service has a forwarder, the forwarder's server is
 * either up or down.
 */
async function service() {
	return job.isUp ? withServers(([url]) => serve(url)) : serve(`nats://127.0.0.1:${await freePort()}`)
}

async function serve(servers) {
	process.removeAllListeners('warning')
	const path = join(job.folder, 'node.chain')
	const loop = new MeshLoop(new FileChainAppender(path), { nodeId: NODE_ID })
	const forwarder = job.forwarder ? forwardChain(path, { servers, create: {} }) : undefined
	await pace(loop, job.warmUpMs)
	globalThis.gc()
	const before = process.cpuUsage()
	const start = performance.now()
	const published = await pace(loop, job.ms)
	const elapsedMs = performance.now() - start
	const { user, system } = process.cpuUsage(before)
	const isReached = forwarder !== undefined && forwarder.stats().records > 0
	if (forwarder !== undefined && isReached !== job.isUp)
		throw new Error('the forwarder is not in the requested state')
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

async function written() {
	const count = job.chains ?? 1
	const paths = []
	for (let chain = 0; chain < count; chain++) {
		const path = join(job.folder, `node-${chain}.chain`)
		const texts = messages(job.records / count)
		const loop = new MeshLoop(new FileChainAppender(path), { nodeId: `${NODE_ID}-${chain}` })
		for (const [index, text] of texts.entries()) {
			loop.info(text, undefined, { daemonId: daemonOf(index) })
			if (index % TURN === TURN - 1) await new Promise(setImmediate)
		}
		await loop.close()
		paths.push(path)
	}
	return paths
}

function replicas() {
	return job.servers ?? 1
}

async function addStream(connection, name, settings = {}) {
	const manager = await jetstreamManager(connection)
	await manager.streams.add({ name, subjects: [`${name}.>`], num_replicas: replicas(), ...settings })
	return manager
}

/** Forwards all chains from one process. */
async function shipped(servers, paths, stream = 'mesh') {
	const create = { replicas: replicas() }
	const forwarders = paths.map((path) =>
		forwardChain(path, { servers, stream, subjectPrefix: stream, create }),
	)
	await Promise.all(forwarders.map((forwarder) => forwarder.flushed()))
	const records = forwarders.reduce((sum, forwarder) => sum + forwarder.stats().records, 0)
	await Promise.all(forwarders.map((forwarder) => forwarder.close()))
	if (records !== job.records) throw new Error(`${job.records} records, ${records} forwarded`)
}

async function withShipped(measure) {
	const paths = await written()
	return withServers(async (servers) => {
		await shipped(servers, paths)
		return measure(servers)
	})
}

async function rateOf(run) {
	await run(RUNS[0])
	globalThis.gc()
	const start = performance.now()
	await run(RUNS[1])
	return { recordsPerSecond: (job.records / (performance.now() - start)) * 1000 }
}

/** Reads all messages in the stream with the client's fastest method. */
async function eachBody(connection, take) {
	const manager = await jetstreamManager(connection)
	const { state } = await manager.streams.info('mesh')
	const { name } = await manager.consumers.add('mesh', { ack_policy: AckPolicy.None, mem_storage: true })
	const consumer = await jetstream(connection).consumers.get('mesh', name)
	let left = state.messages
	for await (const message of await consumer.consume({ max_messages: ASKED_AHEAD })) {
		take(message.data)
		if (--left === 0) break
	}
}

/** Starts one server, or a cluster of several. */
async function withServers(work) {
	const count = replicas()
	const ports = await Promise.all(Array.from({ length: count }, freePort))
	const routes = await Promise.all(Array.from({ length: count }, freePort))
	const urls = ports.map((port) => `nats://127.0.0.1:${port}`)
	const started = ports.map((port, index) => {
		const store = join(job.folder, `jetstream-${index}`)
		const command = ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', store, '-n', `server-${index}`]
		const others = routes.filter((_route, at) => at !== index).map((route) => `nats://127.0.0.1:${route}`)
		if (count > 1)
			command.push(
				...['--cluster_name', 'bench', '-cluster', `nats://127.0.0.1:${routes[index]}`],
				...['-routes', others.join(',')],
			)
		return spawn('nats-server', command, { stdio: 'ignore' })
	})
	const missing = Promise.race(
		started.map(async (server) => {
			await once(server, 'error')
			throw new Error('nats-server is missing: run `apt-get install -y nats-server`')
		}),
	)
	missing.catch(() => {})
	try {
		await Promise.race([missing, ready(urls)])
		return await work(
			urls,
			started.map(({ pid }) => pid),
		)
	} finally {
		for (const server of started) {
			if (server.pid === undefined || server.exitCode !== null) continue
			const gone = once(server, 'exit')
			server.kill('SIGKILL')
			await gone
		}
	}
}

/** Waits until each server answers and has a leader. */
async function ready(urls) {
	for (const servers of urls) {
		for (let left = 500; ; left--) {
			try {
				const connection = await connect({ servers, timeout: 500, reconnect: false })
				await jetstreamManager(connection, { timeout: 500 }).finally(() => connection.close())
				break
			} catch (error) {
				if (left === 0) throw error
				await new Promise((resolve) => setTimeout(resolve, 20))
			}
		}
	}
}

function freePort() {
	return new Promise((resolve) => {
		const probe = createServer().listen(0, '127.0.0.1', () => {
			const { port } = probe.address()
			probe.close(() => resolve(port))
		})
	})
}
