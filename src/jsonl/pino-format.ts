/**
 * pino's lines, `{"level":30,"time":1714200000123,"msg":…}`. Reading takes what other loggers write as JSON too: names and units of
 * level, time and message are recognised (json-line.ts), and nothing of a line is lost.
 */
import { toJson } from '../codec/json-dialect.ts'
import type { LogLevel, LogRecord } from '../model/record.ts'
import { lineOfJson } from './json-line.ts'
import { isMap, type LineFormat } from './line-format.ts'

const NUMBERS: Readonly<Record<LogLevel, number>> = { trace: 10, debug: 20, info: 30, warn: 40, error: 50 }

export const pinoFormat: LineFormat = {
	name: 'pino',
	read(_fields, text) {
		const line = lineOfJson(text)
		// Deeper than data may be: as a text nothing of it is lost.
		return { lines: [line ?? { message: text }] }
	},
	/** Fields of `data` stand beside the others, as pino puts them; where a name is taken, or data is no map, below `data`. */
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

/** Names that a reader of this format gives a meaning to. */
const TAKEN = ['level', 'time', 'kind', 'event', 'daemonId', 'nodeId', 'msg', 'message', 'data']

function isTaken(data: Readonly<Record<string, unknown>>): boolean {
	return TAKEN.some((name) => Object.hasOwn(data, name))
}
