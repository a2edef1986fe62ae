/** mesh-chain: a loop with its ring, and a chain file. */
import { statSync } from 'node:fs'
import { FileChainAppender, MeshLoop, openChain } from '../../dist/index.js'
import { daemonOf, NODE_ID } from '../lib/workload.mjs'

export const fileName = 'node.chain'

/** Paths as a web service has them. They select nothing in the records, which are compared when read back. */
const TEN_PATHS = [
	...['req.headers.authorization', 'req.headers.cookie', 'res.headers["set-cookie"]', 'user.email'],
	...['user.password', 'body.card', '*.password', '*.token', '*.secret', '*.apiKey'],
]

/** The options of the loop, by the setting of the contender. */
const LOOP_OPTIONS = { redact: { redact: TEN_PATHS } }

/** The end of a turn needs no call: the data reaches the kernel before the immediate that ends the turn. */
export function openAppender(path, { setting } = {}) {
	const loop = new MeshLoop(new FileChainAppender(path), { nodeId: NODE_ID, ...LOOP_OPTIONS[setting] })
	return {
		append: (index, message, level, data) => append(loop, index, message, level, data),
		endTurn() {},
		close: () => loop.close(),
	}
}

function append(loop, index, message, level, data) {
	const fields = { daemonId: daemonOf(index) }
	if (level === 'info') loop.info(message, data, fields)
	else if (level === 'warn') loop.warn(message, data, fields)
	else loop.error(message, data, fields)
}

/**
 * Runs many concurrent tasks. Each task repeatedly publishes one record and waits until the record is on
 * disk.
 */
export function openAcknowledged(path, { tasks }) {
	const loop = new MeshLoop(new FileChainAppender(path), { nodeId: NODE_ID })
	return {
		async run(lines, levelOf) {
			let next = 0
			async function task() {
				while (next < lines.length) {
					const index = next++
					append(loop, index, lines[index], levelOf(index), undefined)
					await loop.sync()
				}
			}
			await Promise.all(Array.from({ length: tasks }, task))
		},
		close: () => loop.close(),
	}
}

export function bytesOf(path) {
	return statSync(path).size
}

async function batches(path, sink, query) {
	const chain = await openChain(path)
	for await (const batch of chain.batches(query)) addAll(batch, sink)
	await chain.close()
}

/** This loop is a separate function because V8 runs loops in `async` functions much more slowly. */
function addAll(batch, sink) {
	for (const record of batch) addTo(sink, record)
}

function addTo(sink, { seq, tsMs, level, daemonId, nodeId, message, data }) {
	sink.add(seq, tsMs, level, daemonId, nodeId, message, data)
}

async function records(path, sink, query) {
	const chain = await openChain(path)
	for await (const record of chain.records(query)) addTo(sink, record)
	await chain.close()
}

export const readers = {
	batches: (path, sink) => batches(path, sink),
	records: (path, sink) => records(path, sink),
}

export const finders = {
	batches: (path, sink) => batches(path, sink, { level: 'error' }),
	records: (path, sink) => records(path, sink, { level: 'error' }),
}
