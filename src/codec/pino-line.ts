/** Encodes records as lines of pino: `{"level":30,"time":1714200000123,"msg":…}`. */
import { isFatal } from '../model/level.ts'
import type { LogLevel, LogRecord } from '../model/record.ts'
import { type DataMap, isMap } from './data-map.ts'
import { toJson } from './json-dialect.ts'

const NUMBERS: Readonly<Record<LogLevel, number>> = { trace: 10, debug: 20, info: 30, warn: 40, error: 50 }
/** Number of the level `fatal`, which a record stores as `error` with `data.level`. */
const FATAL_NUMBER = 60

/**
 * Returns a record as one line of pino. Writes the fields of `data` next to the other fields, as pino does.
 * If the name of a field is already in use, or if `data` is not a map, writes `data` as a single field
 * instead.
 */
export function pinoLine(record: LogRecord): string {
	const { kind, level, message, tsMs, daemonId, nodeId } = record
	const data = isFatal(record) ? withoutLevel(record.data as DataMap) : record.data
	const own = {
		level: isFatal(record) ? FATAL_NUMBER : NUMBERS[level],
		time: tsMs,
		...(kind === 'log' ? {} : { kind }),
		...(daemonId === null ? {} : { daemonId }),
		...(nodeId === null ? {} : { nodeId }),
	}
	const fields = isMap(data) && !isTaken(data) ? data : data === undefined ? {} : { data }
	return toJson({ ...own, ...fields, msg: message })
}

/** Returns data without the level that the number 60 represents. */
function withoutLevel({ level: _level, ...data }: DataMap): unknown {
	return Object.keys(data).length === 0 ? undefined : data
}

/** Field names that have a meaning to readers of this format. */
const TAKEN = ['level', 'time', 'kind', 'event', 'daemonId', 'nodeId', 'msg', 'message', 'data']

function isTaken(data: Readonly<Record<string, unknown>>): boolean {
	return TAKEN.some((name) => Object.hasOwn(data, name))
}
