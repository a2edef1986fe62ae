/**
 * The format of pino: `{"level":30,"time":1714200000123,"msg":…}`. It also reads lines from other JSON
 * loggers without loss, and recognises their names for the level, time and message fields, and their time
 * units (json-line.ts).
 */
import { toJson } from '../codec/json-dialect.ts'
import type { LogLevel, LogRecord } from '../model/record.ts'
import { lineOfJson } from './json-line.ts'
import { isMap, type LineFormat } from './line-format.ts'

const NUMBERS: Readonly<Record<LogLevel, number>> = { trace: 10, debug: 20, info: 30, warn: 40, error: 50 }

/** The format of pino. It also reads lines from other JSON loggers without loss. */
export const pinoFormat: LineFormat = {
	name: 'pino',
	read(_fields, text) {
		const line = lineOfJson(text)
		// If an object is nested too deeply for `data`, the line becomes the message.
		return { lines: [line ?? { message: text }] }
	},
	/**
	 * Writes the fields of `data` next to the other fields, as pino does. If the name of a field is already
	 * in use, or if `data` is not a map, writes `data` as a single field instead.
	 */
	write({ kind, level, message, tsMs, daemonId, nodeId, data }: LogRecord) {
		const own = {
			level: NUMBERS[level],
			time: tsMs,
			...(kind === 'log' ? {} : { kind }),
			...(daemonId === null ? {} : { daemonId }),
			...(nodeId === null ? {} : { nodeId }),
		}
		const fields = isMap(data) && !isTaken(data) ? data : data === undefined ? {} : { data }
		return toJson({ ...own, ...fields, msg: message })
	},
}

/** Field names that have a meaning to readers of this format. */
const TAKEN = ['level', 'time', 'kind', 'event', 'daemonId', 'nodeId', 'msg', 'message', 'data']

function isTaken(data: Readonly<Record<string, unknown>>): boolean {
	return TAKEN.some((name) => Object.hasOwn(data, name))
}
