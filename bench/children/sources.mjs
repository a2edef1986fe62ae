/**
 * Measures the handling of samples from many sources. A SourceManager archives them in a chain, a loop
 * publishes them, or they are discarded. Runs one job per process and prints one line of JSON. After the
 * measured time, the contents of the chain are compared sample by sample.
 */
import { EventEmitter } from 'node:events'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { FileChainAppender, MeshLoop, openChain } from '../../dist/index.js'
import { fromEmitter, SourceManager } from '../../dist/sources/index.js'

const MIB = 1024 * 1024
const TURN = 1000
const SAMPLE_RSS_MS = 100

const job = JSON.parse(process.argv[2])
const path = join(job.folder, 'node.chain')
const registry = join(job.folder, 'registry.chain')
const names = Array.from({ length: job.sources }, (_unused, index) => `source-${index}`)
const kinds = { paced, fast, prepare, restore }
process.stdout.write(`${JSON.stringify(await kinds[job.kind]())}\n`)

/** Offers samples at a steady rate, from all sources in turn. */
async function paced() {
	const way = await openWay()
	let offered = await pace(way, 0, job.warmUpMs)
	const warmedUp = offered
	globalThis.gc()
	const delay = monitorEventLoopDelay({ resolution: 1 })
	const rssBefore = process.memoryUsage.rss()
	let rssMost = rssBefore
	const sampling = setInterval(() => {
		rssMost = Math.max(rssMost, process.memoryUsage.rss())
	}, SAMPLE_RSS_MS)
	const cpuBefore = process.cpuUsage()
	const start = performance.now()
	delay.enable()
	offered = await pace(way, offered, job.ms)
	delay.disable()
	way.flush()
	const elapsedMs = performance.now() - start
	const { user, system } = process.cpuUsage(cpuBefore)
	clearInterval(sampling)
	const { stored, dropped } = await way.close(offered)
	return {
		recordsPerSecond: ((offered - warmedUp) / elapsedMs) * 1000,
		offered,
		stored,
		dropped,
		cpuPercent: ((user + system) / 1000 / elapsedMs) * 100,
		p99Ms: delay.percentile(99) / 1e6,
		appendRssMiB: (rssMost - rssBefore) / MIB,
	}
}

async function pace(way, from, ms) {
	const count = Math.floor((job.samplesPerSecond * ms) / 1000)
	const start = performance.now()
	for (let index = 0; index < count; ) {
		const due = Math.min(count, Math.floor(((performance.now() - start) * job.samplesPerSecond) / 1000))
		for (; index < due; index++) way.offer(from + index)
		await new Promise((resolve) => setTimeout(resolve, 1))
	}
	return from + count
}

/** Offers a thousand samples per turn, one turn after another. */
async function fast() {
	const way = await openWay()
	const total = job.warmUpSamples + job.samples
	await offerAll(way, 0, job.warmUpSamples)
	const start = performance.now()
	await offerAll(way, job.warmUpSamples, total)
	way.flush()
	const elapsedMs = performance.now() - start
	const { stored, dropped } = await way.close(total)
	return { recordsPerSecond: (job.samples / elapsedMs) * 1000, offered: total, stored, dropped }
}

async function offerAll(way, from, to) {
	for (let index = from; index < to; ) {
		for (const end = Math.min(index + TURN, to); index < end; index++) way.offer(index)
		await new Promise(setImmediate)
	}
}

function openWay() {
	return { manager: openManagerWay, publish: openPublishWay, nowhere: openNowhere }[job.way]()
}

/** Offers samples and discards them. This cost is the baseline for the other variants. */
async function openNowhere() {
	const emitters = names.map(() => new EventEmitter())
	const offer = (index) => emitters[index % job.sources].emit('sample', index)
	return { offer, flush() {}, close: async () => ({ stored: 0, dropped: 0 }) }
}

async function openPublishWay() {
	const loop = new MeshLoop(new FileChainAppender(path))
	const listeners = names.map(
		(daemonId) => (value) => loop.publish({ kind: 'sample', daemonId, tsMs: Date.now(), data: { value } }),
	)
	const emitters = listeners.map((listener) => new EventEmitter().on('sample', listener))
	return {
		offer: (index) => emitters[index % job.sources].emit('sample', index),
		flush: () => loop.flush(),
		async close(offered) {
			await loop.close()
			return { stored: await readBack(offered), dropped: 0 }
		},
	}
}

async function openManagerWay() {
	const loop = new MeshLoop(new FileChainAppender(path))
	const manager = new SourceManager(loop, { registry })
	const emitters = names.map(() => new EventEmitter())
	for (const [at, name] of names.entries()) await manager.archive(name, fromEmitter(emitters[at], 'sample'))
	return {
		offer: (index) => emitters[index % job.sources].emit('sample', index),
		flush: () => loop.flush(),
		async close(offered) {
			await manager.close()
			await loop.close()
			const { received, stored, dropped } = await totals()
			if (received !== offered || stored + dropped !== offered)
				throw new Error(
					`of ${offered} samples, ${received} were received, ${stored} stored and ${dropped} dropped`,
				)
			if (dropped === 0 && (await readBack(stored)) !== stored)
				throw new Error('the counters exceed the records in the chain')
			return { stored, dropped }
		},
	}
}

/** Reopens the registry and returns the sum of all its counters. */
async function totals() {
	const loop = new MeshLoop()
	const manager = new SourceManager(loop, { registry })
	const { received, stored, dropped } = await manager.report()
	await manager.close()
	await loop.close()
	return { received, stored, dropped: Object.values(dropped).reduce((sum, count) => sum + count, 0) }
}

/** @throws If the chain does not contain these samples in this order. */
async function readBack(expected) {
	const chain = await openChain(path)
	let found = 0
	for await (const { daemonId, data } of chain.records()) {
		if (daemonId !== names[found % job.sources] || data.value !== found)
			throw new Error(`sample ${found}: read ${data.value} of ${daemonId}`)
		found++
	}
	await chain.close()
	if (found !== expected) throw new Error(`read back ${found} of ${expected} samples`)
	return found
}

/** Writes a registry that contains each source once for every time that the manager was closed. */
async function prepare() {
	for (let left = job.closings; left > 0; left--) {
		const loop = new MeshLoop()
		const manager = new SourceManager(loop, { registry })
		const known = await manager.restore(() => fromEmitter(new EventEmitter(), 'sample'))
		if (known === 0) {
			for (const name of names) await manager.archive(name, fromEmitter(new EventEmitter(), 'sample'))
		}
		await manager.close()
		await loop.close()
	}
	return {}
}

/** Measures the time until a new manager has started every source. Each source then produces a sample. */
async function restore() {
	const emitters = new Map(names.map((name) => [name, new EventEmitter()]))
	const loop = new MeshLoop(new FileChainAppender(path))
	const start = performance.now()
	const manager = new SourceManager(loop, { registry })
	const restored = await manager.restore(({ name }) => fromEmitter(emitters.get(name), 'sample'))
	const ms = performance.now() - start
	if (restored !== job.sources) throw new Error(`${restored} of ${job.sources} sources were started`)
	for (const [index, name] of names.entries()) emitters.get(name).emit('sample', index)
	await manager.close()
	await loop.close()
	await readBack(job.sources)
	return { ms }
}
