/**
 * pino to a file, synchronously, with the settings that keep the promise. The fastest setting depends on the
 * size of the turn.
 *
 * - `sync`: each line is written immediately.
 * - `flushSync`: 4 KiB are collected before a write, and the rest is written at the end of the turn. At that
 *   point, sonic-boom also syncs the file to disk.
 * - `flush`: the same without that sync. pino documents `flush` as fire and forget. With `sync: true`, it
 *   writes before it returns.
 */
import { closeSync, createReadStream, openSync, readSync, statSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { StringDecoder } from 'node:string_decoder'
import pino from 'pino'
import split2 from 'split2'
import { plainData } from '../lib/lines.mjs'
import { daemonOf, NODE_ID } from '../lib/workload.mjs'

export const fileName = 'pino.ndjson'
const CHUNK_BYTES = 256 * 1024

const settings = {
	sync: { minLength: 0, endTurn() {} },
	flushSync: { minLength: 4096, endTurn: (stream) => stream.flushSync() },
	flush: { minLength: 4096, endTurn: (stream) => stream.flush() },
}

/** pino writes an error as `{}` unless a serializer names its fields. */
const errors = { serializers: { data: (data) => plainData('error', data) } }

export function openAppender(path, { setting = 'flush', record }) {
	const { minLength, endTurn } = settings[setting]
	const stream = pino.destination({ dest: path, sync: true, minLength })
	const logger = pino({ base: { nodeId: NODE_ID }, ...(record === 'error' ? errors : {}) }, stream)
	return {
		append(index, message, level, data) {
			const seq = index + 1
			const daemonId = daemonOf(index)
			const fields = data === undefined ? { seq, daemonId } : { seq, daemonId, data }
			if (level === 'info') logger.info(fields, message)
			else if (level === 'warn') logger.warn(fields, message)
			else logger.error(fields, message)
		},
		endTurn() {
			endTurn(stream)
		},
		close() {
			return new Promise((resolve, reject) => {
				stream.once('close', resolve).once('error', reject)
				stream.end()
			})
		},
	}
}

export function bytesOf(path) {
	return statSync(path).size
}

const LEVELS = { 30: 'info', 40: 'warn', 50: 'error' }
const ERROR = 50

function addTo(sink) {
	return ({ seq, time, level, daemonId, nodeId, msg, data }) =>
		sink.add(seq, time, LEVELS[level], daemonId, nodeId, msg, data)
}

function addErrorsTo(sink) {
	const add = addTo(sink)
	return (record) => {
		if (record.level >= ERROR) add(record)
	}
}

async function readline(path, add) {
	const lines = createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })
	for await (const line of lines) add(JSON.parse(line))
}

/** Uses `'line'` events instead, which avoids the queue of the iterator. */
async function readlineEvents(path, add) {
	const lines = createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })
	await new Promise((resolve, reject) => {
		lines.on('line', (line) => add(JSON.parse(line)))
		lines.once('close', resolve).once('error', reject)
	})
}

async function throughSplit2(path, add) {
	await new Promise((resolve, reject) => {
		createReadStream(path)
			.on('error', reject)
			.pipe(split2(JSON.parse))
			.on('data', add)
			.once('end', resolve)
			.once('error', reject)
	})
}

/** A hand-written reader that is meant to be the fastest: large synchronous reads, split at newlines. */
function byHand(path, add) {
	const fd = openSync(path)
	const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
	const decoder = new StringDecoder('utf8')
	let rest = ''
	for (let bytes = readSync(fd, chunk); bytes > 0; bytes = readSync(fd, chunk)) {
		const lines = (rest + decoder.write(chunk.subarray(0, bytes))).split('\n')
		rest = lines.pop()
		for (const line of lines) add(JSON.parse(line))
	}
	closeSync(fd)
}

const ways = { 'by hand': byHand, readline, 'readline events': readlineEvents, split2: throughSplit2 }

function eachWay(addOf) {
	return Object.fromEntries(
		Object.entries(ways).map(([name, read]) => [name, (path, sink) => read(path, addOf(sink))]),
	)
}

export const readers = eachWay(addTo)
export const finders = eachWay(addErrorsTo)
