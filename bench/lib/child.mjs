/**
 * One measurement, in a process of its own: warm up, collect garbage, run, check what came out, print one line of JSON.
 * Run by `measure.mjs` with `--expose-gc` and the job as its argument.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { ContentCheck, messages, Tally } from './workload.mjs'

const job = JSON.parse(process.argv[2])
const contender = await import(`../contenders/${job.contender}.mjs`)
const startedMs = Date.now()

/** Readers come to their speed late: V8 compiles the long loops of the first pass only when they are nearly done. */
const WARM_UP_READS = 3

const kinds = { append: measureAppend, killed: appendUntilKilled, check: checkContent, read: measureRead }
process.stdout.write(`${JSON.stringify(await kinds[job.kind]())}\n`)

/** The clock stops when the last turn has ended: from there on a killed process loses nothing. Closing is timed apart. */
async function measureAppend() {
	await appendAndClose(fileIn('warm-up'), job.warmUpRecords)
	const path = fileIn('measured')
	const { elapsedMs, closeMs } = await appendAndClose(path, job.records)
	const bytes = contender.bytesOf(path)
	await readBack(path, startedMs)
	return { elapsedMs, closeMs, bytes, path }
}

async function appendAndClose(path, records) {
	const lines = messages(records)
	const appender = contender.openAppender(path, job)
	globalThis.gc()
	const start = performance.now()
	await appendAll(appender, lines)
	const elapsedMs = performance.now() - start
	const closeStart = performance.now()
	await appender.close()
	return { elapsedMs, closeMs: performance.now() - closeStart }
}

async function appendAll(appender, lines) {
	for (let index = 0; index < lines.length; ) {
		const turnEnd = Math.min(index + job.turn, lines.length)
		for (; index < turnEnd; index++) appender.append(index, lines[index])
		appender.endTurn()
		await new Promise(setImmediate)
	}
}

/** Never closes: whoever reads the file afterwards sees what the promise is worth. */
async function appendUntilKilled() {
	await appendAll(contender.openAppender(job.path, job), messages(job.records))
	process.kill(process.pid, 'SIGKILL')
}

async function checkContent() {
	await readBack(job.path, 0)
	return {}
}

async function readBack(path, sinceMs) {
	contender.prepareRead?.(job.records)
	const check = new ContentCheck(sinceMs)
	await contender.readers[Object.keys(contender.readers)[0]](path, check)
	check.check(job.records)
}

/** Opening and closing are part of it. */
async function measureRead() {
	const read = contender.readers[job.reader]
	contender.prepareRead?.(job.records)
	for (let pass = 0; pass < WARM_UP_READS; pass++) await read(job.path, new Tally())
	globalThis.gc()
	const tally = new Tally()
	const start = performance.now()
	await read(job.path, tally)
	const elapsedMs = performance.now() - start
	tally.check(job.records)
	const check = new ContentCheck(0)
	await read(job.path, check)
	check.check(job.records)
	return { elapsedMs }
}

function fileIn(name) {
	const folder = join(job.folder, name)
	mkdirSync(folder)
	return join(folder, contender.fileName)
}
