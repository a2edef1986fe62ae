/**
 * Performs one measurement of one contender: warms up, collects garbage, runs, checks the result, and prints
 * one line of JSON. `lib/processes.mjs` runs it with `--expose-gc` and the job as its argument.
 */
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { checkData, dataOf, datasBetween, PROBES } from '../lib/lines.mjs'
import { summary } from '../lib/statistics.mjs'
import { ContentCheck, levels, messages, Tally } from '../lib/workload.mjs'

const job = JSON.parse(process.argv[2])
const contender = await import(`../contenders/${job.contender}.mjs`)
const { record = 'plain' } = job
const levelOf = record === 'error' ? () => 'error' : levels(job.errors, job.records)
const newTally = () => new Tally(PROBES[record])
const startedMs = Date.now()

/**
 * Readers reach full speed late, because V8 optimizes code only after it has run for some time. Fast readers
 * need the most passes.
 */
const WARM_UP_READS_MIN = 3

const kinds = {
	append: measureAppend,
	killed: appendUntilKilled,
	check: checkContent,
	read: measureRead,
	find: measureFind,
	acknowledged: measureAcknowledged,
}
process.stdout.write(`${JSON.stringify(await kinds[job.kind]())}\n`)

/**
 * The first records warm up the process. They are in the same file as the others, as in a service that has
 * been running for a while. The clock runs from the first record of a turn until the turn has ended, because
 * a killed process then loses nothing. The data of a turn is created before it, so that it is as recent as
 * the data that a service logs. Closing is timed separately.
 */
async function measureAppend() {
	const path = fileIn('measured')
	const total = job.warmUpRecords + job.records
	const lines = messages(total)
	const appender = await contender.openAppender(path, { ...job, record })
	await appendAll(appender, lines, 0, job.warmUpRecords)
	globalThis.gc()
	const elapsedMs = await appendAll(appender, lines, job.warmUpRecords, total)
	const closeStart = performance.now()
	await appender.close()
	const closeMs = performance.now() - closeStart
	await readBack(path, startedMs, total)
	return {
		recordsPerSecond: (job.records / elapsedMs) * 1000,
		bytesPerRecord: contender.bytesOf(path) / total,
		closeMs,
		...(job.gzip ? { gzipBytesPerRecord: gzipBytesOf(path) / total } : {}),
		path,
	}
}

/** Returns the time that the turns took, in milliseconds. */
async function appendAll(appender, lines, from, to) {
	let elapsedMs = 0
	for (let index = from; index < to; ) {
		const turnEnd = Math.min(index + job.turn, to)
		const data = datasBetween(record, index, turnEnd)
		const start = performance.now()
		appendTurn(appender, lines, data, index, turnEnd)
		index = turnEnd
		const ended = appender.endTurn()
		if (ended !== undefined) await ended
		await new Promise(setImmediate)
		elapsedMs += performance.now() - start
	}
	return elapsedMs
}

/** This loop is a separate function because V8 runs loops in `async` functions much more slowly. */
function appendTurn(appender, lines, data, from, to) {
	for (let index = from; index < to; index++)
		appender.append(index, lines[index], levelOf(index), data === undefined ? undefined : data[index - from])
}

/** Does not close the file, so reading it afterwards shows whether the promise was kept. */
async function appendUntilKilled() {
	const appender = await contender.openAppender(job.path, { ...job, record })
	await appendAll(appender, messages(job.records), 0, job.records)
	process.kill(process.pid, 'SIGKILL')
}

async function checkContent() {
	await readBack(job.path, 0)
	return {}
}

async function readBack(path, sinceMs, records = job.records) {
	contender.prepareRead?.(records)
	const check = new ContentCheck(sinceMs, levelOf, (index, data) => checkData(record, index, data))
	await contender.readers[Object.keys(contender.readers)[0]](path, check)
	check.check(records)
}

/** The measured time includes opening and closing. */
async function measureRead() {
	const result = await measureReader(contender.readers[job.reader], () => true)
	await readBack(job.path, 0)
	return result
}

function measureFind() {
	return measureReader(contender.finders[job.reader], (index) => levelOf(index) === 'error')
}

async function measureReader(read, wanted) {
	contender.prepareRead?.(job.records)
	globalThis.gc()
	const warmUntil = performance.now() + job.warmUpMs
	for (let pass = 0; pass < WARM_UP_READS_MIN || performance.now() < warmUntil; pass++) {
		await read(job.path, newTally())
	}
	const passesMs = []
	for (let pass = 0; pass < job.passes; pass++) {
		const tally = newTally()
		const start = performance.now()
		await read(job.path, tally)
		passesMs.push(performance.now() - start)
		tally.check(job.records, wanted, (index) => dataOf(record, index))
	}
	const ms = summary(passesMs).median
	return { recordsPerSecond: (job.records / ms) * 1000, ms }
}

/** Writes records to disk and notifies the writer of each record. */
async function measureAcknowledged() {
	const path = fileIn('measured')
	const lines = messages(job.records)
	const appender = await contender.openAcknowledged(path, job)
	const start = performance.now()
	await appender.run(lines, levelOf)
	const elapsedMs = performance.now() - start
	await appender.close()
	const check = newTally()
	await contender.readers[Object.keys(contender.readers)[0]](path, check)
	check.check(job.records)
	return { recordsPerSecond: (job.records / elapsedMs) * 1000 }
}

function gzipBytesOf(path) {
	return gzipSync(readFileSync(path), { level: 6 }).length
}

function fileIn(name) {
	const folder = join(job.folder, name)
	mkdirSync(folder)
	return join(folder, contender.fileName)
}
