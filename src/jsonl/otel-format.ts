/**
 * Logs of OpenTelemetry as its file exporter writes them: OTLP in JSON, on each line a `resourceLogs` of any number of log records
 * (opentelemetry.io/docs/specs/otlp, /docs/specs/otel/protocol/file-exporter).
 *
 * kind: `eventName`. message: `body`. level: `severityNumber`. daemonId and nodeId: `service.name` and `service.instance.id` of the
 * resource. data: the attributes; what has no place elsewhere is kept below `otel` in it.
 */

import { escapeUnsafe, toJson } from '../codec/json-dialect.ts'
import { TIME_MAX_MS } from '../limits.ts'
import { isId, isKind } from '../line-check.ts'
import { LOG_LEVELS, type LogLevel, type LogLine, type LogRecord, levelIndex } from '../record.ts'
import { INVALID_FIELD, isMap, type JsonFields, type LineFormat } from './line-format.ts'

const NODE_KEY = 'service.instance.id'
const DAEMON_KEY = 'service.name'
const NS_PER_MS = 1_000_000n
/** Each level has four numbers, error those above too: 1 is trace, 5 debug, 9 info, 13 warn, 17 error. */
const NUMBERS_A_LEVEL = 4

export const otelFormat: LineFormat = {
	name: 'otel',
	read({ resourceLogs }) {
		const lines: LogLine[] = []
		for (const { resource, scopeLogs } of objectsIn(resourceLogs)) {
			const origin = mapOf(fieldsOf(resource)['attributes'])
			for (const { scope, logRecords } of objectsIn(scopeLogs)) {
				for (const record of objectsIn(logRecords)) {
					lines.push(lineOf(record, origin, fieldsOf(scope)))
				}
			}
		}
		return Array.isArray(resourceLogs) ? { lines } : INVALID_FIELD
	},
	write({ kind, level, message, tsMs, daemonId, nodeId, data }: LogRecord) {
		const resource = attributesOf({
			...(daemonId === null ? {} : { [DAEMON_KEY]: daemonId }),
			...(nodeId === null ? {} : { [NODE_KEY]: nodeId }),
		})
		const attributes = data === undefined ? [] : attributesOf(isMap(data) ? data : { data })
		const record = {
			timeUnixNano: String(BigInt(tsMs) * NS_PER_MS),
			severityNumber: 1 + NUMBERS_A_LEVEL * levelIndex(level),
			severityText: level.toUpperCase(),
			...(kind === 'log' ? {} : { eventName: kind }),
			body: { stringValue: message },
			...(attributes.length === 0 ? {} : { attributes }),
		}
		const scopeLogs = [{ scope: { name: 'mesh-chain' }, logRecords: [record] }]
		return escapeUnsafe(JSON.stringify({ resourceLogs: [{ resource: { attributes: resource }, scopeLogs }] }))
	},
}

type Values = Record<string, unknown>

function lineOf(record: JsonFields, resource: Values, scope: JsonFields): LogLine {
	const {
		timeUnixNano,
		observedTimeUnixNano,
		severityNumber,
		severityText,
		eventName,
		body,
		attributes,
		...rest
	} = record
	const isTimed = Number(timeUnixNano ?? 0) > 0
	const tsNs = nanosecondsOf(isTimed ? timeUnixNano : observedTimeUnixNano)
	const level = levelOf(severityNumber)
	const { [DAEMON_KEY]: daemon, [NODE_KEY]: node, ...others } = resource
	const resourceRest = {
		...(daemon === undefined || isId(daemon) ? {} : { [DAEMON_KEY]: daemon }),
		...(node === undefined || isId(node) ? {} : { [NODE_KEY]: node }),
		...others,
	}
	const content = contentOf(body)
	const kind = isKind(eventName) ? eventName : undefined
	const kept: Values = {
		...(eventName === undefined || kind !== undefined ? {} : { eventName }),
		...exactTime(tsNs, timeUnixNano),
		...(isTimed && observedTimeUnixNano !== undefined ? { observedTimeUnixNano } : {}),
		...(severityNumber === undefined || severityNumber === 1 + NUMBERS_A_LEVEL * levelIndex(level)
			? {}
			: { severityNumber }),
		...(severityText === undefined || severityText === level.toUpperCase() ? {} : { severityText }),
		...rest,
		...(Object.keys(resourceRest).length === 0 ? {} : { resource: resourceRest }),
		...(scope['name'] === undefined || scope['name'] === 'mesh-chain' ? {} : { scope }),
	}
	const { otel: clashing, body: clashingBody, ...attributesRest } = mapOf(attributes)
	const clashes = {
		...(clashing === undefined ? {} : { otel: clashing }),
		...(clashingBody === undefined || content === undefined || typeof content === 'string'
			? {}
			: { body: clashingBody }),
	}
	if (Object.keys(clashes).length > 0) kept['attributes'] = clashes
	const data = {
		...attributesRest,
		...(clashingBody === undefined || 'body' in clashes ? {} : { body: clashingBody }),
		...(content === undefined || typeof content === 'string' ? {} : { body: content }),
		...(Object.keys(kept).length === 0 ? {} : { otel: kept }),
	}
	return {
		// Without a time of its own it has that of the record before it.
		...(tsNs === undefined ? {} : { tsMs: Number(tsNs / NS_PER_MS) }),
		level,
		...(kind === undefined ? {} : { kind }),
		message: typeof content === 'string' ? content : content === undefined ? (kind ?? '') : toJson(content),
		...(isId(daemon) ? { daemonId: daemon } : {}),
		...(isId(node) ? { nodeId: node } : {}),
		...(Object.keys(data).length === 0 ? {} : { data }),
	}
}

/** A time that milliseconds cannot say, or that is none. */
function exactTime(tsNs: bigint | undefined, given: unknown): Values {
	if (tsNs === undefined) return Number(given ?? 0) === 0 ? {} : { timeUnixNano: given }
	return tsNs % NS_PER_MS === 0n ? {} : { timeUnixNano: String(tsNs) }
}

function levelOf(severityNumber: unknown): LogLevel {
	if (typeof severityNumber !== 'number' || !(severityNumber >= 1)) return 'info'
	const index = Math.floor((severityNumber - 1) / NUMBERS_A_LEVEL)
	return LOG_LEVELS[Math.min(index, LOG_LEVELS.length - 1)] ?? 'info'
}

function nanosecondsOf(value: unknown): bigint | undefined {
	const isWritten = typeof value === 'string' ? /^\d{1,24}$/.test(value) : Number.isInteger(value)
	if (!isWritten) return undefined
	const nanoseconds = BigInt(value as string | number)
	return nanoseconds >= 0n && nanoseconds / NS_PER_MS <= BigInt(TIME_MAX_MS) ? nanoseconds : undefined
}

/** What an `AnyValue` holds; undefined for an empty one. */
function contentOf(value: unknown): unknown {
	const any = fieldsOf(value)
	if ('stringValue' in any) return any['stringValue']
	if ('boolValue' in any) return any['boolValue']
	if ('doubleValue' in any) return Number(any['doubleValue'])
	if ('intValue' in any) return integerOf(any['intValue'])
	if ('bytesValue' in any) return Uint8Array.from(Buffer.from(String(any['bytesValue']), 'base64'))
	if ('arrayValue' in any) return objectsIn(fieldsOf(any['arrayValue'])['values']).map(contentOf)
	if ('kvlistValue' in any) return mapOf(fieldsOf(any['kvlistValue'])['values'])
	return undefined
}

/** A number where that holds it, and a bigint beyond. */
function integerOf(value: unknown): number | bigint {
	const number = Number(value)
	if (Number.isSafeInteger(number) || typeof value !== 'string' || !/^-?\d+$/.test(value)) return number
	return BigInt(value)
}

function anyValueOf(value: unknown): JsonFields {
	if (typeof value === 'string') return { stringValue: value }
	if (typeof value === 'boolean') return { boolValue: value }
	if (typeof value === 'bigint') return { intValue: String(value) }
	if (Number.isSafeInteger(value)) return { intValue: String(value) }
	if (typeof value === 'number') return { doubleValue: Number.isFinite(value) ? value : String(value) }
	if (value instanceof Uint8Array) return { bytesValue: Buffer.from(value).toString('base64') }
	if (value instanceof Date) return { stringValue: value.toISOString() }
	if (Array.isArray(value)) return { arrayValue: { values: value.map(anyValueOf) } }
	return isMap(value) ? { kvlistValue: { values: attributesOf(value) } } : {}
}

function attributesOf(fields: JsonFields): readonly JsonFields[] {
	return Object.entries(fields).map(([key, value]) => ({ key, value: anyValueOf(value) }))
}

function mapOf(attributes: unknown): Values {
	const entries = objectsIn(attributes).map(({ key, value }) => [String(key), contentOf(value) ?? null])
	return Object.fromEntries(entries) as Values
}

function objectsIn(value: unknown): readonly JsonFields[] {
	return Array.isArray(value) ? value.map(fieldsOf) : []
}

function fieldsOf(value: unknown): JsonFields {
	return typeof value === 'object' && value !== null ? (value as JsonFields) : {}
}
