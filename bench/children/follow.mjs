/**
 * Follows a chain that another process writes, and compares the time at which a record was published with the
 * time at which the reader sees it. Both processes use the machine's monotonic clock. Receives the job as its
 * argument, and starts itself again as the writer.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { FileChainAppender, MeshLoop, openChain } from '../../dist/index.js'
import { percentile } from '../lib/statistics.mjs'
import { NODE_ID } from '../lib/workload.mjs'

const EVERY_MS = 5
const job = JSON.parse(process.argv[2])
const path = join(job.folder, 'node.chain')
if (job.role === 'writer') await write()
else process.stdout.write(`${JSON.stringify(await follow())}\n`)

async function write() {
	const loop = new MeshLoop(new FileChainAppender(path), { nodeId: NODE_ID })
	const start = performance.now()
	for (let count = 0; count < job.records; ) {
		const due = Math.min(job.records, Math.ceil(((performance.now() - start) * job.recordsPerSecond) / 1000))
		for (; count < due; count++) loop.info(`published at ${process.hrtime.bigint()} on the machine's clock`)
		await new Promise((resolve) => setTimeout(resolve, EVERY_MS))
		if (process.connected) {
			process.send('the chain exists')
			process.disconnect()
		}
	}
	await loop.close()
}

async function follow() {
	const writer = spawn(process.execPath, [import.meta.filename, JSON.stringify({ ...job, role: 'writer' })], {
		stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
	})
	await once(writer, 'message')
	const chain = await openChain(path)
	const lateMs = new Float64Array(job.records)
	let seen = 0
	for await (const { seq, message } of chain.tail()) {
		if (seq !== ++seen) throw new Error(`saw record ${seq} instead of ${seen}`)
		lateMs[seen - 1] = Number(process.hrtime.bigint() - BigInt(message.split(' ')[2])) / 1e6
		if (seen === job.records) break
	}
	await chain.close()
	const live = lateMs.subarray(Math.floor(job.records / 5)).sort()
	return {
		recordsPerSecond: job.recordsPerSecond,
		seen,
		p50Ms: percentile(live, 0.5),
		p99Ms: percentile(live, 0.99),
		maxMs: live.at(-1),
	}
}
