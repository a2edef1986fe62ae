/**
 * The fields in which loggers write the level, the time and the message of a JSON line. Nested fields are
 * given by their path. The first field of a table that has a usable value is taken.
 */
import { timeOfNumber, timeOfText } from '../model/calendar.ts'
import { levelOfName, levelOfOtel, levelOfSyslog, type NamedLevel } from '../model/level-names.ts'
import { isRecordTime, type LogLevel } from '../model/record.ts'
import { timeOfValue } from '../plain-text/heads.ts'
import type { WrittenTime } from '../plain-text/written-time.ts'
import type { JsonFields } from './json-object.ts'

/** The path of a field: its key, and for a nested field the keys of the objects around it. */
export type FieldPath = readonly string[]

/** A level in a field. */
export interface FieldLevel extends NamedLevel {
	/** Whether the value says no more than the level, so that data need not keep it. */
	readonly isExact: boolean
}

/** A field, and a function that reads its value. The function also receives the whole object. */
type Field<T> = readonly [path: FieldPath, read: (value: unknown, fields: JsonFields) => T | undefined]

/** Level numbers in pino and bunyan. */
const PINO_LEVELS: readonly (readonly [number, LogLevel])[] = [
	[50, 'error'],
	[40, 'warn'],
	[30, 'info'],
	[20, 'debug'],
	[10, 'trace'],
]
const PINO_FATAL = 60

/**
 * Fields with a level: pino, bunyan and winston; Google Cloud; OpenTelemetry; ECS; tslog; Python's
 * python-json-logger and loguru; .NET and Serilog; journald.
 */
export const LEVEL_FIELDS: readonly Field<FieldLevel>[] = [
	[['level'], levelOfLevel],
	[['severity'], named],
	[['severityText'], named],
	[['severity_text'], named],
	[['SeverityText'], named],
	[['severityNumber'], otelNumber],
	[['severity_number'], otelNumber],
	[['SeverityNumber'], otelNumber],
	[['lvl'], named],
	[['loglevel'], named],
	[['logLevel'], named],
	[['log.level'], named],
	[['log', 'level'], named],
	[['_meta', 'logLevelName'], named],
	[['levelname'], named],
	[['record', 'level', 'name'], named],
	[['Level'], named],
	[['LogLevel'], named],
	[['@l'], named],
	[['PRIORITY'], syslogNumber],
]

/** Fields with a time. */
export const TIME_FIELDS: readonly Field<WrittenTime>[] = [
	...['time', 'timestamp', 'ts', '@timestamp', 'tsMs', 'date', 'datetime', 'asctime', '@t', 'Timestamp'].map(
		(key): Field<WrittenTime> => [[key], timeOf],
	),
	[['_meta', 'date'], timeOf],
	[['record', 'time', 'timestamp'], timeOf],
	[['timeMillis'], timeOf],
	[['timeUnixNano'], timeOf],
	[['instant'], secondsAndNanoseconds],
	[['timestampSeconds'], secondsBesideNanoseconds],
	[['__REALTIME_TIMESTAMP'], timeOf],
]

/** Fields with a message. */
export const MESSAGE_FIELDS: readonly Field<string>[] = [
	...['msg', 'message', 'short_message', '@m', '@mt', 'Message', 'MESSAGE', 'textPayload', 'Body'].map(
		(key): Field<string> => [[key], textOf],
	),
	[['0'], (value, fields) => (Object.hasOwn(fields, '_meta') ? textOf(value) : undefined)],
	[['log'], lineOfDocker],
	[['body'], textOf],
	[['body', 'stringValue'], textOf],
	[['record', 'message'], textOf],
]

interface Found<T> {
	readonly path: FieldPath
	readonly value: unknown
	readonly found: T
}

/** Fields that a reader takes from an object, without changing the object itself. */
export class RemainingFields {
	/** The fields that have not been removed. */
	readonly fields: Record<string, unknown>
	readonly #given: JsonFields

	constructor(given: JsonFields) {
		this.#given = given
		this.fields = { ...given }
	}

	/** Returns the first value that is usable, with the path and the value of its field. */
	find<T>(table: readonly Field<T>[], isUsable: (found: T) => boolean = () => true): Found<T> | undefined {
		for (const [path, read] of table) {
			const value = valueAt(this.fields, path)
			const found = value === undefined ? undefined : read(value, this.#given)
			if (found !== undefined && isUsable(found)) return { path, value, found }
		}
		return undefined
	}

	/** Removes a field, and the objects around it that become empty. */
	remove(path: FieldPath): void {
		removeFrom(this.fields, path)
	}
}

function valueAt(fields: JsonFields, path: FieldPath): unknown {
	let value: unknown = fields
	for (const key of path) {
		if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
		value = (value as JsonFields)[key]
	}
	return value
}

/** Removes a field from a copy of the objects around it, because the original line is compared later. */
function removeFrom(fields: Record<string, unknown>, [key = '', ...path]: FieldPath): void {
	if (path.length > 0) {
		const inner = { ...(fields[key] as JsonFields) }
		removeFrom(inner, path)
		fields[key] = inner
		if (Object.keys(inner).length > 0) return
	}
	delete fields[key]
}

function levelOfLevel(value: unknown, fields: JsonFields): FieldLevel | undefined {
	if (typeof value !== 'number') return named(value)
	// GELF has the numbers of syslog in a field with the same name.
	if (Object.hasOwn(fields, 'short_message')) return exactIf(false, levelOfSyslog(value))
	if (value === PINO_FATAL) return { level: 'error', name: 'fatal', isExact: true }
	const [number, level] = PINO_LEVELS.find(([least]) => value >= least) ?? [Number.NaN, 'trace' as const]
	return { level, isExact: number === value }
}

function named(value: unknown): FieldLevel | undefined {
	if (typeof value !== 'string') return undefined
	const found = levelOfName(value)
	const lower = value.toLowerCase()
	return exactIf(found?.level === lower || lower === 'warning' || found?.name !== undefined, found)
}

function otelNumber(value: unknown): FieldLevel | undefined {
	return typeof value === 'number' ? exactIf(value === 21, levelOfOtel(value)) : undefined
}

/** A severity of journald is a digit in a string. */
function syslogNumber(value: unknown): FieldLevel | undefined {
	const isDigit = typeof value === 'string' && /^[0-7]$/.test(value)
	return isDigit ? exactIf(false, levelOfSyslog(Number(value))) : undefined
}

function exactIf(isExact: boolean, found: NamedLevel | undefined): FieldLevel | undefined {
	return found === undefined ? undefined : { ...found, isExact }
}

/** Returns the time that a value represents. Ignores a date without a time of day. */
function timeOf(value: unknown): WrittenTime | undefined {
	if (typeof value === 'number') return pointInTime(timeOfNumber(value))
	if (typeof value === 'string') return timeOfValue(value) ?? pointInTime(zonedTime(value))
	return secondsAndNanoseconds(value)
}

/** The notation of `calendar.ts` with an offset. A time without an offset depends on the zone of the log. */
function zonedTime(text: string): number | undefined {
	return /[zc\d]$/i.test(text) && /(?:Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)$/i.test(text) && text.includes(':')
		? timeOfText(text)
		: undefined
}

/** `{ seconds, nanos }` of Google Cloud, and `{ epochSecond, nanoOfSecond }` of log4j 2. */
function secondsAndNanoseconds(value: unknown): WrittenTime | undefined {
	if (typeof value !== 'object' || value === null) return undefined
	const { seconds, nanos, epochSecond, nanoOfSecond } = value as JsonFields
	return fromSeconds(seconds ?? epochSecond, nanos ?? nanoOfSecond)
}

function secondsBesideNanoseconds(value: unknown, fields: JsonFields): WrittenTime | undefined {
	return fromSeconds(value, fields['timestampNanos'])
}

function fromSeconds(given: unknown, nanoseconds: unknown): WrittenTime | undefined {
	// Google Cloud writes 64-bit integers as strings.
	const seconds = typeof given === 'string' && /^\d{1,12}$/.test(given) ? Number(given) : given
	if (typeof seconds !== 'number' || !Number.isInteger(seconds)) return undefined
	const nanos = typeof nanoseconds === 'number' && nanoseconds >= 0 && nanoseconds < 1e9 ? nanoseconds : 0
	return pointInTime(seconds * 1000 + Math.floor(nanos / 1e6))
}

function pointInTime(tsMs: number | undefined): WrittenTime | undefined {
	return isRecordTime(tsMs) ? { tsMs } : undefined
}

/** A line in a file of Docker's `json-file` driver, without its newline. */
function lineOfDocker(value: unknown, fields: JsonFields): string | undefined {
	const isDocker = typeof value === 'string' && typeof fields['stream'] === 'string'
	return isDocker ? value.replace(/\n$/, '') : undefined
}

function textOf(value: unknown): string | undefined {
	return typeof value === 'string' ? value : undefined
}
