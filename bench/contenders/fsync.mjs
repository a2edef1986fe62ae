/**
 * Ensures without a library that each record is on disk: writes a line, syncs, and continues with the next
 * line.
 */
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs'
import { daemonOf, NODE_ID } from '../lib/workload.mjs'
import { readers as ndjsonReaders } from './pino.mjs'

export const fileName = 'records.ndjson'
const LEVELS = { info: 30, warn: 40, error: 50 }

export function openAcknowledged(path) {
	const fd = openSync(path, 'w')
	return {
		run(lines, levelOf) {
			for (const [index, msg] of lines.entries()) {
				const level = LEVELS[levelOf(index)]
				const row = {
					seq: index + 1,
					time: Date.now(),
					level,
					daemonId: daemonOf(index),
					nodeId: NODE_ID,
					msg,
				}
				writeSync(fd, `${JSON.stringify(row)}\n`)
				fdatasyncSync(fd)
			}
		},
		close: () => closeSync(fd),
	}
}

export const readers = ndjsonReaders
