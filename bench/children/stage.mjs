/**
 * Measures one stage in the processing of a record, in nanoseconds per record, or one limit of the machine.
 * Each stage adds one step to another stage, and `works/stages.mjs` computes the differences.
 */
import { createHash } from 'node:crypto'
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { FileChainAppender, MeshLoop, NoOpAppender, nodeFileSystem, openChain } from '../../dist/index.js'
import { datasBetween } from '../lib/lines.mjs'
import { daemonOf, messages, NODE_ID } from '../lib/workload.mjs'

const { stage, records, folder } = JSON.parse(process.argv[2])
const TURN = 1_000
/** Size of one write, and of the data that one anchor links. */
const CHUNK_BYTES = 64 * 1024
/** Small data, as in a typical service. */
const DATA = { user: 'u-17', ms: 12.5, ok: true }
const WARM_UPS = 4

const path = join(folder, 'node.chain')
const lines = messages(records)
const requests = stage === 'request' ? datasBetween('request', 0, records) : []
const fields = Array.from({ length: 8 }, (_unused, index) => ({ daemonId: daemonOf(index) }))
/** Accepts large writes and discards them, so that only the work before the write remains. */
const nowhere = {
	...nodeFileSystem,
	writeSync(fd, bytes, offset, length, position) {
		// Writes only the end of a large write, because the writer checks that its file still contains the end.
		const skipped = Math.max(0, length - 4096)
		return (
			skipped + nodeFileSystem.writeSync(fd, bytes, offset + skipped, length - skipped, position + skipped)
		)
	},
}

const stages = {
	belowLevel: () => publish(new NoOpAppender(), { level: 'error' }),
	loop: () => publish(new NoOpAppender()),
	listener: () => publish(new NoOpAppender(), { listener: true }),
	data: () => publish(new NoOpAppender(), { data: () => DATA }),
	request: () => publish(new NoOpAppender(), { data: (index) => requests[index] }),
	chainNowhere: () => publish(newChain({ fs: nowhere })),
	chain: () => publish(newChain()),
	chainData: () => publish(newChain(), { data: () => DATA }),
	chainSingly: () => publish(newChain(), { turn: 1 }),
	emptyTurn: () => emptyTurns(),
	clock: () => repeat(records, () => Date.now()),
	freeze: () => repeat(records, (index) => Object.freeze({ seq: index, epoch: 1, tsMs: index, message: '' })),
	crc32: () => perByte((bytes) => crc32(bytes)),
	sha256: () => perByte((bytes) => createHash('sha256').update(bytes).digest()),
	write: () => write(CHUNK_BYTES),
	writeSingly: () => write(64),
	batches: () => read((chain) => countBatches(chain, {})),
	records: () => read((chain) => countRecords(chain, {})),
	errors: () => read((chain) => countBatches(chain, { level: 'error' }), 0),
}

for (let pass = 0; pass < WARM_UPS; pass++) await stages[stage]()
process.stdout.write(`${JSON.stringify(await stages[stage]())}\n`)

function newChain(options = {}) {
	for (const each of [path, `${path}.durable`]) rmSync(each, { force: true })
	return new FileChainAppender(path, options)
}

async function publish(
	appender,
	{ level = 'trace', listener = false, data = () => undefined, turn = TURN } = {},
) {
	const loop = new MeshLoop(appender, { nodeId: NODE_ID, level })
	let heard = 0
	if (listener) loop.on('*', () => heard++)
	const start = performance.now()
	for (let index = 0; index < records; index += turn) {
		publishTurn(loop, data, index, Math.min(index + turn, records))
		await new Promise(setImmediate)
	}
	const elapsedMs = performance.now() - start
	const bytes = appender.stats?.().bytes ?? 0
	await loop.close()
	if (listener && heard !== records) throw new Error(`${heard} of ${records} records reached the listener`)
	return { ns: (elapsedMs * 1e6) / records, bytesPerRecord: bytes / records }
}

/** This loop is a separate function because V8 runs loops in `async` functions much more slowly. */
function publishTurn(loop, data, from, to) {
	for (let index = from; index < to; index++) loop.info(lines[index], data(index), fields[index % 8])
}

async function emptyTurns() {
	const start = performance.now()
	for (let index = 0; index < records; index++) await new Promise(setImmediate)
	return { ns: ((performance.now() - start) * 1e6) / records }
}

async function read(count, wanted = records) {
	await publish(newChain())
	const chain = await openChain(path)
	await count(chain)
	const start = performance.now()
	const found = await count(chain)
	const elapsedMs = performance.now() - start
	await chain.close()
	if (found !== wanted) throw new Error(`${found} of ${wanted} records were read`)
	return { ns: (elapsedMs * 1e6) / records }
}

async function countBatches(chain, query) {
	let found = 0
	for await (const batch of chain.batches(query)) found += batch.length
	return found
}

async function countRecords(chain, query) {
	let found = 0
	for await (const record of chain.records(query)) found += record.epoch
	return found
}

function repeat(times, work) {
	let kept
	const start = performance.now()
	for (let index = 0; index < times; index++) kept = work(index)
	const ns = ((performance.now() - start) * 1e6) / times
	return kept === undefined ? undefined : { ns }
}

function perByte(work) {
	const bytes = Buffer.alloc(CHUNK_BYTES, 'some bytes of a chain')
	const { ns } = repeat(500, () => work(bytes))
	return { nsPerByte: ns / CHUNK_BYTES, gigabytesPerSecond: CHUNK_BYTES / ns }
}

function write(size) {
	const fd = openSync(path, 'w')
	const bytes = Buffer.alloc(size, 'x')
	let position = 0
	const { ns } = repeat(size === 64 ? 50_000 : 2_000, () => {
		position += writeSync(fd, bytes, 0, size, position)
		return position
	})
	closeSync(fd)
	return { ns, nsPerByte: ns / size, gigabytesPerSecond: size / ns }
}
