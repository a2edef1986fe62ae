/** Measures the throughput and memory of the same work at a small and at a large count, in one process. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { FileChainAppender, MeshLoop, openChain } from '../../dist/index.js'
import { daemonOf, messages, NODE_ID } from '../lib/workload.mjs'

const TURN = 1000
const MIB = 1024 * 1024
const job = JSON.parse(process.argv[2])
const path = join(job.folder, 'node.chain')
const lines = messages(job.small)

for (let warmUp = 0; warmUp < 3; warmUp++) await append(job.small, () => {})
const small = await withMemory((sample) => append(job.small, sample))
const appended = await withMemory((sample) => append(job.large, sample))
for (let warmUp = 0; warmUp < 3; warmUp++) await read(job.large, () => {}, job.small)
const smallRead = await withMemory((sample) => read(job.large, sample, job.small))
const dumped = await withMemory((sample) => read(job.large, sample, job.large))
process.stdout.write(
	`${JSON.stringify({
		recordsPerSecond: appended.rate,
		growthRatio: appended.rate / small.rate,
		appendRssMiB: appended.rssMiB - small.rssMiB,
		readRecordsPerSecond: dumped.rate,
		readGrowthRatio: dumped.rate / smallRead.rate,
		readRssMiB: dumped.rssMiB - smallRead.rssMiB,
	})}\n`,
)

/** Returns the peak resident memory during some work, in MiB. */
async function withMemory(work) {
	let most = 0
	const rate = await work(() => {
		most = Math.max(most, process.memoryUsage.rss())
	})
	return { rate, rssMiB: most / MIB }
}

async function append(records, sample) {
	for (const each of [path, `${path}.durable`]) rmSync(each, { force: true })
	const loop = new MeshLoop(new FileChainAppender(path), { nodeId: NODE_ID })
	const start = performance.now()
	for (let index = 0; index < records; index += TURN) {
		appendTurn(loop, index, Math.min(index + TURN, records))
		await new Promise(setImmediate)
		if (index % (20 * TURN) === 0) sample()
	}
	const elapsedMs = performance.now() - start
	await loop.close()
	return (records / elapsedMs) * 1000
}

function appendTurn(loop, from, to) {
	for (let index = from; index < to; index++) {
		loop.info(lines[index % lines.length], undefined, { daemonId: daemonOf(index) })
	}
}

async function read(records, sample, limit) {
	const chain = await openChain(path)
	const start = performance.now()
	let found = 0
	for await (const record of chain.records({ limit })) {
		if (record.seq !== ++found) throw new Error(`found record ${record.seq} instead of ${found}`)
		if (found % 20_000 === 0) sample()
	}
	const elapsedMs = performance.now() - start
	await chain.close()
	if (found !== Math.min(records, limit)) throw new Error(`${found} of ${limit} records were read`)
	return (found / elapsedMs) * 1000
}
