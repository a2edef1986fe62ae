/**
 * Measures the effects on a service's event loop. A timer fires every millisecond, publishes part of a steady
 * load, and times each publish. The delay of the timer is the pause that all other code experiences. The
 * duration of each call to the appender is the part of that pause that the chain causes.
 */
import { join } from 'node:path'
import { FileChainAppender, MeshLoop, NoOpAppender } from '../../dist/index.js'
import { percentile } from '../lib/statistics.mjs'
import { daemonOf, messages, NODE_ID } from '../lib/workload.mjs'

const RECORDS_PER_SECOND = 100_000
const SYNC_EVERY_MS = 100

const job = JSON.parse(process.argv[2])
const lines = messages(100_000)
const appender = job.chain ? new FileChainAppender(join(job.folder, 'node.chain')) : new NoOpAppender()
const appendMs = []
const append = appender.append
appender.append = function timed(...args) {
	const start = performance.now()
	append.apply(appender, args)
	appendMs.push(performance.now() - start)
}
const loop = new MeshLoop(appender, { nodeId: NODE_ID })

await load(job.warmUpMs)
appendMs.length = 0
const { publishUs, pausesMs } = await load(job.ms)
const published = loop.committedSeq
await loop.close()
appendMs.sort((a, b) => a - b)
publishUs.sort()
process.stdout.write(
	`${JSON.stringify({
		recordsPerSecond: publishUs.length / (job.ms / 1000),
		publishP50Us: percentile(publishUs, 0.5),
		publishP999Us: percentile(publishUs, 0.999),
		appendMaxMs: appendMs.at(-1) ?? 0,
		pauseMaxMs: Math.max(...pausesMs),
		records: published,
	})}\n`,
)

async function load(ms) {
	const publishUs = new Float64Array((RECORDS_PER_SECOND * ms) / 1000)
	const pausesMs = []
	const start = performance.now()
	let count = 0
	let lastSync = start
	let before = start
	function tick() {
		const now = performance.now()
		pausesMs.push(now - before)
		const due = Math.min(publishUs.length, Math.floor(((now - start) * RECORDS_PER_SECOND) / 1000))
		for (; count < due; count++) {
			const from = performance.now()
			loop.info(lines[count % lines.length], undefined, { daemonId: daemonOf(count) })
			publishUs[count] = (performance.now() - from) * 1000
		}
		if (now - lastSync >= SYNC_EVERY_MS) {
			lastSync = now
			void loop.sync()
		}
		before = performance.now()
	}
	while (count < publishUs.length) {
		tick()
		await new Promise((resolve) => setTimeout(resolve, 1))
	}
	return { publishUs, pausesMs }
}
