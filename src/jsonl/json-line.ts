/**
 * Recognises a line of JSON that a logger wrote, pino's among them, and makes a log line of it. Nothing of the line is lost: what
 * has no place in a log line goes into `data`, and where the object does not give the text back, the text goes there too.
 * Pure; knows no streams.
 */

import { timeOfNumber, timeOfText } from '../model/calendar.ts'
import { isId, isKind } from '../model/line-check.ts'
import { LOG_LEVELS, type LogLevel, type LogLine } from '../model/record.ts'

type Fields = Record<string, unknown>

/** Deeper ones are left as text: what goes into `data` has a bound (`DATA_DEPTH_MAX`), and `data` itself takes a level. */
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

/** pino's numbers, and those of bunyan. */
const PINO_LEVELS: readonly (readonly [number, LogLevel])[] = [
	[50, 'error'],
	[40, 'warn'],
	[30, 'info'],
	[20, 'debug'],
	[10, 'trace'],
]

/** A longer text that is not as it would be written is kept beside what it says. */
const COMPARED_LENGTH_MAX = 256 * 1024

/** The log line that a text holds as a JSON object; undefined when it holds none. */
export function lineOfJson(text: string): LogLine | undefined {
	const fields = parseObject(text)
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
	// A kind stands for its message; without either there is none.
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

function parseObject(text: string): Fields | undefined {
	if (!/^\s*\{/.test(text)) return undefined
	try {
		const value: unknown = JSON.parse(text)
		return typeof value === 'object' && value !== null && !Array.isArray(value)
			? (value as Fields)
			: undefined
	} catch {
		return undefined
	}
}

function isDeeper(value: unknown, depth: number): boolean {
	if (typeof value !== 'object' || value === null) return false
	return depth === 0 || Object.values(value).some((item) => isDeeper(item, depth - 1))
}

/** Whether the parsed object says all that the text said: not so for doubled keys, long numbers, odd escapes. */
function givesBack(fields: Fields, text: string): boolean {
	const again = JSON.stringify(fields)
	if (again === text) return true
	// The engine's stack is not made for more.
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
			// What the level's name does not tell, such as FATAL, stays.
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

/** A date alone is no time of a line. */
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
