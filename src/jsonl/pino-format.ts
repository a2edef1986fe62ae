/**
 * The format of pino: `{"level":30,"time":1714200000123,"msg":…}`. It also reads lines from other JSON
 * loggers without loss, and recognises their names for the level, time and message fields, and their time
 * units (json-line.ts).
 */
import { toJson } from '../codec/json-dialect.ts'
import type { LogLevel, LogRecord } from '../model/record.ts'
import { WrittenTimes } from '../plain-text/written-time.ts'
import { lineOfJson } from './json-line.ts'
import type { JsonFields } from './json-object.ts'
import { isMap, type LineFormat } from './line-format.ts'

const NUMBERS: Readonly<Record<LogLevel, number>> = { trace: 10, debug: 20, info: 30, warn: 40, error: 50 }

/** The number of pino's level above `error`. */
const FATAL_NUMBER = 60

/** The format of pino. It also reads lines from other JSON loggers without loss. */
export const pinoFormat: LineFormat = pinoFormatIn(new WrittenTimes())

/** Returns the format of pino. @param times Converts times that are written without an offset. */
export function pinoFormatIn(times: WrittenTimes): LineFormat {
	return {
		name: 'pino',
		read(_fields, text) {
			const line = lineOfJson(text, times)
			// If an object is nested too deeply for `data`, the line becomes the message.
			return { lines: [line ?? { message: text }] }
		},
		write,
	}
}

/**
 * Writes the fields of `data` next to the other fields, as pino does. If the name of a field is already in
 * use, or if `data` is not a map, writes `data` as a single field instead. An error whose `data.level` is
 * `fatal` has pino's number of that level.
 */
function write(record: LogRecord): string {
	const { kind, level, message, tsMs, daemonId, nodeId } = record
	const isFatal = level === 'error' && isMap(record.data) && record.data['level'] === 'fatal'
	const data = isFatal ? withoutLevel(record.data as JsonFields) : record.data
	const own = {
		level: isFatal ? FATAL_NUMBER : NUMBERS[level],
		time: tsMs,
		...(kind === 'log' ? {} : { kind }),
		...(daemonId === null ? {} : { daemonId }),
		...(nodeId === null ? {} : { nodeId }),
	}
	const fields = isMap(data) && !isTaken(data) ? data : data === undefined ? {} : { data }
	return toJson({ ...own, ...fields, msg: message })
}

function withoutLevel({ level: _level, ...data }: JsonFields): JsonFields | undefined {
	return Object.keys(data).length === 0 ? undefined : data
}

/** Field names that have a meaning to readers of this format. */
const TAKEN = ['level', 'time', 'kind', 'event', 'daemonId', 'nodeId', 'msg', 'message', 'data']

function isTaken(data: Readonly<Record<string, unknown>>): boolean {
	return TAKEN.some((name) => Object.hasOwn(data, name))
}
