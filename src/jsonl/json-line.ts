/**
 * Recognises JSON lines from loggers such as pino, and converts them to log lines. Nothing in a line is lost:
 * fields without a counterpart in a log line are stored in `data`. If the parsed object cannot reproduce the
 * original line exactly, `data` also contains the line as a string. This module is pure and does not use
 * streams.
 */
import { timeOfNumber, timeOfText } from '../model/calendar.ts'
import { isId, isKind } from '../model/line-check.ts'
import { LOG_LEVELS, type LogLevel, type LogLine } from '../model/record.ts'
import { type JsonFields, jsonObjectOf } from './json-object.ts'

type Fields = Record<string, unknown>

/**
 * Maximum depth of an object. A deeper object is not converted, because the depth of `data` is limited
 * (`DATA_DEPTH_MAX`), and `data` itself counts as one level.
 */
const DEPTH_MAX = 24

const LEVEL_KEYS = ['level', 'severity', 'lvl', 'loglevel'] as const
const TIME_KEYS = ['time', 'timestamp', 'ts', '@timestamp', 'tsMs', 'date'] as const
const MESSAGE_KEYS = ['msg', 'message'] as const
const KIND_KEYS = ['kind', 'event'] as const

const LEVEL_NAMES: ReadonlyMap<string, LogLevel> = new Map([
	...LOG_LEVELS.map((level) => [level, level] as const),
	['verbose', 'debug'],
	['notice', 'info'],
	['information', 'info'],
	['warning', 'warn'],
	['err', 'error'],
	['fatal', 'error'],
	['critical', 'error'],
	['alert', 'error'],
	['emergency', 'error'],
	['panic', 'error'],
])

/** Level numbers in pino and bunyan. */
const PINO_LEVELS: readonly (readonly [number, LogLevel])[] = [
	[50, 'error'],
	[40, 'warn'],
	[30, 'info'],
	[20, 'debug'],
	[10, 'trace'],
]

/**
 * Maximum length of a line that is compared with its parsed object after whitespace is removed. A longer line
 * is stored in `data` unless it equals the output of `JSON.stringify`.
 */
const COMPARED_LENGTH_MAX = 256 * 1024

/**
 * Converts a line to a log line. Returns undefined if the line is not a JSON object, or if the object is
 * nested too deeply.
 */
export function lineOfJson(text: string): LogLine | undefined {
	const fields = jsonObjectOf(text)
	if (fields === undefined || isDeeper(fields, DEPTH_MAX)) return undefined
	const rest: Fields = { ...fields }
	const line: { -readonly [Name in keyof LogLine]: LogLine[Name] } = {}
	const level = takeLevel(rest)
	if (level !== undefined) line.level = level
	const tsMs = takeTime(rest)
	if (tsMs !== undefined) line.tsMs = tsMs
	const kind = takeKind(rest)
	if (kind !== undefined) line.kind = kind
	const message = takeText(rest, MESSAGE_KEYS)
	// If there is a kind but no message, the kind becomes the message. If there is neither, the message is
	// empty.
	if (message !== undefined || kind === undefined) line.message = message ?? ''
	for (const key of ['daemonId', 'nodeId'] as const) {
		const id = rest[key]
		if (!isId(id)) continue
		line[key] = id
		delete rest[key]
	}
	if (!givesBack(fields, text)) rest['raw'] = text
	return Object.keys(rest).length === 0 ? line : { ...line, data: rest }
}

function isDeeper(value: unknown, depth: number): boolean {
	if (typeof value !== 'object' || value === null) return false
	return depth === 0 || Object.values(value).some((item) => isDeeper(item, depth - 1))
}

/**
 * Returns whether the parsed object can reproduce the line. Duplicate keys, long numbers and unusual escapes
 * make this impossible.
 */
function givesBack(fields: JsonFields, text: string): boolean {
	const again = JSON.stringify(fields)
	if (again === text) return true
	// The regular expression could overflow the stack on a longer line.
	if (text.length > COMPARED_LENGTH_MAX) return false
	return again === text.replaceAll(/("(?:[^"\\]|\\.)*")|\s+/g, '$1')
}

function takeText(rest: Fields, keys: readonly string[]): string | undefined {
	for (const key of keys) {
		const value = rest[key]
		if (typeof value !== 'string') continue
		delete rest[key]
		return value
	}
	return undefined
}

function takeLevel(rest: Fields): LogLevel | undefined {
	for (const key of LEVEL_KEYS) {
		const value = rest[key]
		if (typeof value === 'string') {
			const level = LEVEL_NAMES.get(value.toLowerCase())
			if (level === undefined) continue
			// Any other level name, such as FATAL, remains in the data.
			if (level === value.toLowerCase() || value.toLowerCase() === 'warning') delete rest[key]
			return level
		}
		if (typeof value === 'number' && key === 'level') {
			const [number, level] = PINO_LEVELS.find(([least]) => value >= least) ?? [Number.NaN, 'trace']
			if (number === value) delete rest[key]
			return level
		}
	}
	return undefined
}

function takeTime(rest: Fields): number | undefined {
	for (const key of TIME_KEYS) {
		const value = rest[key]
		const tsMs = timeOf(value)
		if (tsMs === undefined || tsMs < 0) continue
		if (tsMs === value || new Date(tsMs).toISOString() === value) delete rest[key]
		return tsMs
	}
	return undefined
}

/** Returns the time that a value represents. Ignores a date without a time of day. */
function timeOf(value: unknown): number | undefined {
	if (typeof value === 'number') return timeOfNumber(value)
	return typeof value === 'string' && value.includes(':') ? timeOfText(value) : undefined
}

function takeKind(rest: Fields): string | undefined {
	for (const key of KIND_KEYS) {
		const value = rest[key]
		if (!isKind(value)) continue
		delete rest[key]
		return value
	}
	return undefined
}
