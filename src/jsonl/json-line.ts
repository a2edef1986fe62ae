/**
 * Recognises a JSON line of a logger, such as pino, and converts it to a log line. Nothing in the line is
 * lost: fields without a counterpart in a log line go into `data`. The original text is kept there too if the
 * object does not reproduce it. Pure: independent of streams.
 */
import { timeOfNumber, timeOfText } from '../model/calendar.ts'
import { isId, isKind } from '../model/line-check.ts'
import { LOG_LEVELS, type LogLevel, type LogLine } from '../model/record.ts'
import { type JsonFields, jsonObjectOf } from './json-object.ts'

type Fields = Record<string, unknown>

/**
 * Maximum depth of an object. A deeper one stays text, because the depth of `data` is limited
 * (`DATA_DEPTH_MAX`) and `data` itself is one level.
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

/** Level numbers of pino and bunyan. */
const PINO_LEVELS: readonly (readonly [number, LogLevel])[] = [
	[50, 'error'],
	[40, 'warn'],
	[30, 'info'],
	[20, 'debug'],
	[10, 'trace'],
]

/**
 * Maximum length of a text that is compared with its object. A longer text that JSON.stringify would write
 * differently is kept next to its fields.
 */
const COMPARED_LENGTH_MAX = 256 * 1024

/** Returns the log line for a text that is a JSON object; undefined for any other text. */
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
	// A kind alone is also the message. Without a kind, the message is empty.
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
 * Returns whether the parsed object holds everything in the text: false for duplicate keys, long numbers and
 * unusual escapes.
 */
function givesBack(fields: JsonFields, text: string): boolean {
	const again = JSON.stringify(fields)
	if (again === text) return true
	// A longer text could overflow the stack of the regular expression.
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
			// A level name that is more specific than the level, such as FATAL, is kept.
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

/** Returns the time of a value. A date without a time of day is not a line's time. */
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
