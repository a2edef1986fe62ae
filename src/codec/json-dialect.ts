/**
 * Converts records and canonical data to JSON and back without loss. All JSON from mesh-chain uses this
 * dialect.
 *
 *   { "$bigint": "5" }  { "$bytes": "AQI=" }  { "$date": "2026-01-01T00:00:00.000Z" }  { "$number": "NaN" }
 *
 * If the only key of a map looks like one of these tags, the key is written with an additional leading `$`.
 * Control characters and all other characters that must not reach a terminal (`escape.ts`) are always written
 * as `\uXXXX`.
 */
import { show } from '../guard/show.ts'
import { MeshChainError, messageOf } from '../model/errors.ts'
import { EPOCH_MAX, SEQ_MAX } from '../model/limits.ts'
import {
	isEpoch,
	isRecordTime,
	isSeq,
	type LogRecord,
	levelIndex,
	type PublisherId,
	type RecordOrigin,
} from '../model/record.ts'
import { TIME_MAX_MS } from '../platform/time-limits.ts'
import { fieldToJson, numberToJson, TAG, valueToJson } from './json-writer.ts'

/** Converts a canonical value to one line of JSON. Undefined becomes `null`. */
export function toJson(value: unknown): string {
	return fieldToJson(value)
}

/**
 * Returns the canonical value from the JSON that {@link toJson} wrote.
 *
 * @throws {MeshChainError} `INVALID_JSON`.
 */
export function fromJson(text: string): unknown {
	return fromTagged(parse(text))
}

/** Converts one record to one line of JSON. The order of the fields is fixed. */
export function recordToJson(record: LogRecord): string {
	const { seq, epoch, tsMs, level, kind, message, data, daemonId, nodeId, origin } = record
	let text = `{"seq":${numberToJson(seq)},"epoch":${numberToJson(epoch)},"tsMs":${numberToJson(tsMs)}`
	text += `,"level":${fieldToJson(level)},"kind":${fieldToJson(kind)},"message":${fieldToJson(message)}`
	const dataText = valueToJson(data)
	if (dataText !== undefined) text += `,"data":${dataText}`
	text += `,"daemonId":${fieldToJson(daemonId)},"nodeId":${fieldToJson(nodeId)}`
	if (origin !== undefined) text += `,"origin":${fieldToJson(origin)}`
	return `${text}}`
}

/**
 * Converts one record to the object that `JSON.parse` would return for the result of {@link recordToJson}.
 */
export function recordToFields(record: LogRecord): Record<string, unknown> {
	const { seq, epoch, tsMs, level, kind, message, daemonId, nodeId, origin } = record
	return {
		seq,
		epoch,
		tsMs,
		level,
		kind,
		message,
		...('data' in record ? { data: toTagged(record.data) } : {}),
		daemonId: toTagged(daemonId),
		nodeId: toTagged(nodeId),
		...(origin === undefined ? {} : { origin }),
	}
}

/**
 * Returns the record from the JSON that {@link recordToJson} wrote.
 *
 * @throws {MeshChainError} `INVALID_JSON`, whose message names the missing or invalid field.
 */
export function recordFromJson(text: string): LogRecord {
	return recordFromFields(parse(text))
}

/** Returns the record from the fields of a parsed line. */
export function recordFromFields(fields: unknown): LogRecord {
	if (typeof fields !== 'object' || fields === null || Array.isArray(fields))
		throw invalid('a record', fields)
	const { seq, epoch, tsMs, level, kind, message, data, daemonId, nodeId, origin } = fields as Record<
		string,
		unknown
	>
	if (!isSeq(seq)) throw invalid(`seq (a whole number from 1 to ${SEQ_MAX})`, seq)
	if (!isEpoch(epoch)) throw invalid(`epoch (a whole number from 1 to ${EPOCH_MAX})`, epoch)
	if (!isRecordTime(tsMs)) throw invalid(`tsMs (whole milliseconds from 0 to ${TIME_MAX_MS})`, tsMs)
	if (levelIndex(level) < 0) throw invalid('level', level)
	if (typeof kind !== 'string') throw invalid('kind (a string)', kind)
	if (typeof message !== 'string') throw invalid('message (a string)', message)
	return {
		seq,
		epoch,
		tsMs,
		level: level as LogRecord['level'],
		kind,
		message,
		...(data === undefined ? {} : { data: fromTagged(data) }),
		daemonId: idFrom('daemonId', daemonId),
		nodeId: idFrom('nodeId', nodeId),
		chainPending: false,
		...(origin === undefined ? {} : { origin: originFrom(origin) }),
	}
}

/** Converts a canonical value to plain JSON data. Values without a JSON type are tagged. */
export function toTagged(value: unknown): unknown {
	if (typeof value === 'number') return Number.isFinite(value) ? value : { $number: String(value) }
	if (typeof value === 'bigint') return { $bigint: value.toString() }
	if (typeof value !== 'object' || value === null) return value
	if (Array.isArray(value)) return value.map(toTagged)
	if (value instanceof Date) return { $date: value.toISOString() }
	if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString('base64') }
	const keys = Object.keys(value)
	const isLikeTag = keys.length === 1 && TAG.test(keys[0] ?? '')
	return Object.fromEntries(
		Object.entries(value).map(([key, field]) => [isLikeTag ? `$${key}` : key, toTagged(field)]),
	)
}

/**
 * Returns the canonical value from the result of {@link toTagged}.
 *
 * @throws {MeshChainError} `INVALID_JSON`.
 */
export function fromTagged(value: unknown): unknown {
	if (typeof value !== 'object' || value === null) return value
	if (Array.isArray(value)) return value.map(fromTagged)
	const entries = Object.entries(value)
	const [key, field] = entries[0] ?? ['', undefined]
	if (entries.length === 1 && TAG.test(key)) {
		return key.startsWith('$$') ? { [key.slice(1)]: fromTagged(field) } : untag(key, field)
	}
	return Object.fromEntries(entries.map(([name, inner]) => [name, fromTagged(inner)]))
}

function untag(tag: string, field: unknown): unknown {
	if (typeof field !== 'string') throw invalid(`${tag} (a string)`, field)
	switch (tag) {
		case '$bigint':
			if (!/^-?\d+$/.test(field)) throw invalid('$bigint (digits)', field)
			return BigInt(field)
		case '$bytes':
			return Uint8Array.from(Buffer.from(field, 'base64'))
		case '$date': {
			const date = new Date(field)
			if (Number.isNaN(date.getTime())) throw invalid('$date (an ISO time)', field)
			return date
		}
		default:
			if (field !== 'NaN' && field !== 'Infinity' && field !== '-Infinity') throw invalid('$number', field)
			return Number(field)
	}
}

function idFrom(name: string, value: unknown): PublisherId | null {
	const id = fromTagged(value ?? null)
	if (id === null || typeof id === 'string' || typeof id === 'number' || typeof id === 'bigint') return id
	throw invalid(`${name} (a string, a number or a bigint)`, value)
}

function originFrom(value: unknown): RecordOrigin {
	const origin = value as Partial<RecordOrigin> | null
	if (typeof origin?.chainId !== 'string' || !isEpoch(origin.epoch, 0) || !isSeq(origin.seq, 0)) {
		throw invalid('origin (chainId, epoch, seq)', value)
	}
	return { chainId: origin.chainId, epoch: origin.epoch, seq: origin.seq }
}

function parse(text: string): unknown {
	try {
		return JSON.parse(text)
	} catch (error) {
		throw new MeshChainError('INVALID_JSON', `invalid JSON: ${messageOf(error)}`, { cause: error })
	}
}

function invalid(what: string, value: unknown): MeshChainError {
	return new MeshChainError('INVALID_JSON', `expected ${what}, found ${show(value)}`)
}
