/**
 * pino's lines, `{"level":30,"time":1714200000123,"msg":…}`. Lines of other JSON loggers can be read too:
 * their names and units of level, time and message are recognised (json-line.ts), and nothing in a line is
 * lost.
 */
import { toJson } from '../codec/json-dialect.ts'
import type { LogLevel, LogRecord } from '../model/record.ts'
import { lineOfJson } from './json-line.ts'
import { isMap, type LineFormat } from './line-format.ts'

const NUMBERS: Readonly<Record<LogLevel, number>> = { trace: 10, debug: 20, info: 30, warn: 40, error: 50 }

/** Lines as pino writes them. Also reads the lines of other JSON loggers without loss. */
export const pinoFormat: LineFormat = {
	name: 'pino',
	read(_fields, text) {
		const line = lineOfJson(text)
		// It is nested more deeply than data can be; as text, nothing is lost.
		return { lines: [line ?? { message: text }] }
	},
	/**
	 * Places the fields of `data` next to the others, as pino does. If a name is taken, or data is not a map,
	 * they go under `data`.
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

/** Names that have a meaning to readers of this format. */
const TAKEN = ['level', 'time', 'kind', 'event', 'daemonId', 'nodeId', 'msg', 'message', 'data']

function isTaken(data: Readonly<Record<string, unknown>>): boolean {
	return TAKEN.some((name) => Object.hasOwn(data, name))
}
