/**
 * pino to a file, synchronously, in the settings that keep the promise; which is fastest depends on the turn.
 *
 * - `sync`: each line is written at once.
 * - `flushSync`: 4 KiB are gathered before a write, and the rest is written at the turn's end. sonic-boom also syncs the file
 *   to disk there.
 * - `flush`: the same without that sync. pino documents `flush` as fire and forget; with `sync: true` it writes before it
 *   returns.
 */
import { closeSync, createReadStream, openSync, readSync, statSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { StringDecoder } from 'node:string_decoder'
import pino from 'pino'
import { daemonOf, levelOf, NODE_ID } from '../lib/workload.mjs'

export const fileName = 'pino.ndjson'
const CHUNK_BYTES = 256 * 1024

const settings = {
	sync: { minLength: 0, endTurn() {} },
	flushSync: { minLength: 4096, endTurn: (stream) => stream.flushSync() },
	flush: { minLength: 4096, endTurn: (stream) => stream.flush() },
}

export function openAppender(path, { setting = 'flush' }) {
	const { minLength, endTurn } = settings[setting]
	const stream = pino.destination({ dest: path, sync: true, minLength })
	const logger = pino({ base: { nodeId: NODE_ID } }, stream)
	return {
		append(index, message) {
			const fields = { seq: index + 1, daemonId: daemonOf(index) }
			if (levelOf(index) === 'info') logger.info(fields, message)
			else logger.warn(fields, message)
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

function addLine(line, sink) {
	const { seq, time, level, daemonId, nodeId, msg } = JSON.parse(line)
	sink.add(seq, time, level === 30 ? 'info' : 'warn', daemonId, nodeId, msg)
}

export const readers = {
	async readline(path, sink) {
		const lines = createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })
		for await (const line of lines) addLine(line, sink)
	},
	/** The same by `'line'` events, which spares the iterator its queue. */
	async 'readline-events'(path, sink) {
		const lines = createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })
		await new Promise((resolve, reject) => {
			lines.on('line', (line) => addLine(line, sink))
			lines.once('close', resolve).once('error', reject)
		})
	},
	/** What one would write by hand to beat readline: large synchronous reads, split at newlines. */
	split(path, sink) {
		const fd = openSync(path)
		const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
		const decoder = new StringDecoder('utf8')
		let rest = ''
		for (let bytes = readSync(fd, chunk); bytes > 0; bytes = readSync(fd, chunk)) {
			const lines = (rest + decoder.write(chunk.subarray(0, bytes))).split('\n')
			rest = lines.pop()
			for (const line of lines) addLine(line, sink)
		}
		closeSync(fd)
	},
}
