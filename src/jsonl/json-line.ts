/**
 * Recognises JSON lines from loggers such as pino, and converts them to log lines. Nothing in a line is lost:
 * fields without a counterpart in a log line are stored in `data`. If the parsed object cannot reproduce the
 * original line exactly, `data` also contains the line as a string. This module is pure and does not use
 * streams.
 */
import { isId, isKind } from '../model/line-check.ts'
import type { LogLevel, LogLine } from '../model/record.ts'
import { WrittenTimes } from '../plain-text/written-time.ts'
import { type JsonFields, jsonObjectOf } from './json-object.ts'
import { LEVEL_FIELDS, MESSAGE_FIELDS, RemainingFields, TIME_FIELDS } from './logger-fields.ts'

type Fields = Record<string, unknown>

/**
 * Maximum depth of an object. A deeper object is not converted, because the depth of `data` is limited
 * (`DATA_DEPTH_MAX`), and `data` itself counts as one level.
 */
const DEPTH_MAX = 24

const KIND_KEYS = ['kind', 'event'] as const

/**
 * Maximum length of a line that is compared with its parsed object after whitespace is removed. A longer line
 * is stored in `data` unless it equals the output of `JSON.stringify`.
 */
const COMPARED_LENGTH_MAX = 256 * 1024

/** For callers that have no zone of their own: times without an offset are local. */
const LOCAL_TIMES = new WrittenTimes()

/**
 * Converts a line to a log line. Returns undefined if the line is not a JSON object, or if the object is
 * nested too deeply.
 *
 * @param times Converts times that are written without an offset. Default: local time.
 */
export function lineOfJson(text: string, times: WrittenTimes = LOCAL_TIMES): LogLine | undefined {
	const fields = jsonObjectOf(text)
	if (fields === undefined || isDeeper(fields, DEPTH_MAX)) return undefined
	const remaining = new RemainingFields(fields)
	const rest = remaining.fields
	const line: { -readonly [Name in keyof LogLine]: LogLine[Name] } = {}
	const level = takeLevel(remaining)
	if (level !== undefined) line.level = level
	const tsMs = takeTime(remaining, times)
	if (tsMs !== undefined) line.tsMs = tsMs
	const kind = takeKind(rest)
	if (kind !== undefined) line.kind = kind
	const message = takeMessage(remaining)
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

function takeMessage(remaining: RemainingFields): string | undefined {
	const taken = remaining.find(MESSAGE_FIELDS)
	if (taken === undefined) return undefined
	const { path, value, found } = taken
	// Docker's last part of a line has no newline, unlike its other lines.
	if (path[0] !== 'log' || value !== found) remaining.remove(path)
	return found
}

/** Removes a level that the record's level represents. A level above `error` becomes the field `level`. */
function takeLevel(remaining: RemainingFields): LogLevel | undefined {
	const taken = remaining.find(LEVEL_FIELDS)
	if (taken === undefined) return undefined
	const { path, found } = taken
	const { level, name, isExact } = found
	const { fields } = remaining
	// Another field `level` without a known level must not be lost.
	const isTaken = name !== undefined && path[0] !== 'level' && Object.hasOwn(fields, 'level')
	if (isExact && !isTaken) {
		remaining.remove(path)
		if (name !== undefined) fields['level'] = name
	}
	return level
}

function takeTime(remaining: RemainingFields, times: WrittenTimes): number | undefined {
	let tsMs: number | undefined
	// A time that the calendar does not have stays in the data, and the next field is read.
	const taken = remaining.find(TIME_FIELDS, (time) => {
		tsMs = times.tsMsOf(time)
		return tsMs !== undefined
	})
	if (taken === undefined || tsMs === undefined) return undefined
	const { path, value } = taken
	if (tsMs === value || new Date(tsMs).toISOString() === value) remaining.remove(path)
	return tsMs
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
