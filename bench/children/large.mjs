/**
 * Writes, seeks, describes, scans or reopens a large chain whose writer was killed. Runs one job per process
 * and prints one line of JSON.
 */
import { writeSync } from 'node:fs'
import { FileChainAppender, MeshLoop, nodeFileSystem, openChain } from '../../dist/index.js'
import { summary } from '../lib/statistics.mjs'
import { daemonOf, messages, NODE_ID } from '../lib/workload.mjs'

const START_MS = 1_700_000_000_000
const TURN = 1000
const POSITIONS = 21
const MIB = 1024 * 1024

const job = JSON.parse(process.argv[2])
const kinds = {
	write,
	seq: () => seek((seq) => ({ fromSeq: seq })),
	time: () => seek((seq) => ({ since: START_MS + seq })),
	info: () => info({}),
	fullInfo: () => info({ full: true }),
	scan,
	reopen,
}
print(await kinds[job.kind]())
if (job.kind === 'write' || job.kind === 'reopen') process.kill(process.pid, 'SIGKILL')

function print(result) {
	writeSync(1, `${JSON.stringify(result)}\n`)
}

/**
 * Times increase with the seqs, one millisecond apart, so that both kinds of seek have the same correct
 * answer.
 */
async function write() {
	const appender = new FileChainAppender(job.path)
	let tsMs = START_MS
	const loop = new MeshLoop(appender, { nodeId: NODE_ID, clock: () => tsMs })
	const lines = messages(100_000)
	let index = 0
	function turn() {
		for (const end = index + TURN; index < end; ) {
			tsMs = START_MS + ++index
			loop.info(lines[index % lines.length], undefined, { daemonId: daemonOf(index) })
		}
	}
	while (appender.stats().bytes < job.bytes) {
		turn()
		await new Promise(setImmediate)
	}
	return { records: index }
}

/** Seeks each position in a newly opened chain. The first seek warms up. */
async function seek(queryOf) {
	const costs = []
	for (let position = -5; position < POSITIONS; position++) {
		const seq = 1 + Math.floor(((job.records - 1) * Math.max(position, 0)) / (POSITIONS - 1))
		const cost = await seekOnce(seq, { ...queryOf(seq), limit: 1 })
		if (position >= 0) costs.push(cost)
	}
	return {
		ms: summary(costs.map(({ ms }) => ms)).median,
		reads: Math.max(...costs.map(({ reads }) => reads)),
		mebibytesRead: Math.max(...costs.map(({ bytes }) => bytes)) / MIB,
	}
}

async function seekOnce(seq, query) {
	let reads = 0
	let bytes = 0
	const counting = {
		...nodeFileSystem,
		async read(...args) {
			const count = await nodeFileSystem.read(...args)
			reads++
			bytes += count
			return count
		},
	}
	const start = performance.now()
	const chain = await openChain(job.path, { fs: counting })
	const found = []
	for await (const record of chain.records(query)) found.push(record.seq)
	await chain.close()
	const ms = performance.now() - start
	if (found.length !== 1 || found[0] !== seq) throw new Error(`sought ${seq} and found ${found}`)
	return { ms, reads, bytes }
}

async function info(options) {
	const start = performance.now()
	const chain = await openChain(job.path)
	const { records, notChecked } = await chain.info(options)
	await chain.close()
	const ms = performance.now() - start
	if (records < job.records) throw new Error(`info found ${records} of ${job.records} records`)
	if ((notChecked === undefined) !== (options.full ?? job.isSmall))
		throw new Error(`info did not check ${notChecked}`)
	return { ms }
}

async function scan() {
	const start = performance.now()
	const chain = await openChain(job.path)
	let next = 1
	for await (const batch of chain.batches()) {
		for (const { seq } of batch) {
			if (seq !== next) throw new Error(`found record ${seq} instead of ${next}`)
			next++
		}
	}
	await chain.close()
	if (next <= job.records) throw new Error(`${next - 1} of ${job.records} records were scanned`)
	return { ms: performance.now() - start, recordsPerSecond: next / ((performance.now() - start) / 1000) }
}

/**
 * Measures the time until the first new record has reached the kernel. Afterwards, this writer is killed too.
 */
async function reopen() {
	const start = performance.now()
	const appender = new FileChainAppender(job.path)
	const loop = new MeshLoop(appender, { nodeId: NODE_ID })
	loop.info('after the crash')
	await loop.flush()
	const ms = performance.now() - start
	if (loop.committedSeq <= job.records)
		throw new Error(`continued at ${loop.committedSeq} after ${job.records} records`)
	return { ms }
}
