/**
 * Logs of OpenTelemetry as its file exporter writes them: OTLP in JSON, on each line a `resourceLogs` of any
 * number of log records (opentelemetry.io/docs/specs/otlp, /docs/specs/otel/protocol/file-exporter).
 *
 * kind: `eventName`. message: `body`. level: `severityNumber`. daemonId and nodeId: `service.name` and
 * `service.instance.id` of the resource. data: the attributes; what has no place elsewhere is kept below
 * `otel` in it: ids of traces, flags, counts of what was dropped, the resource's other attributes, the scope,
 * and what stands beside these (`resourceLogs`, `scopeLogs`: `schemaUrl`). Where `data` has an `otel` that
 * was read so, it is written where it was.
 */
import { isDeepStrictEqual } from 'node:util'
import { toJson } from '../codec/json-dialect.ts'
import { isId, isKind } from '../model/line-check.ts'
import { LOG_LEVELS, type LogLevel, type LogLine, type LogRecord, levelIndex } from '../model/record.ts'
import { TIME_MAX_MS } from '../platform/time-limits.ts'
import { escapeJson } from '../text/escape.ts'
import type { JsonFields } from './json-object.ts'
import { INVALID_FIELD, isMap, type LineFormat } from './line-format.ts'

const NODE_KEY = 'service.instance.id'
const DAEMON_KEY = 'service.name'
const NS_PER_MS = 1_000_000n
/** Each level has four numbers, error those above too: 1 is trace, 5 debug, 9 info, 13 warn, 17 error. */
const NUMBERS_A_LEVEL = 4

export const otelFormat: LineFormat = {
	name: 'otel',
	read({ resourceLogs }) {
		const lines: LogLine[] = []
		for (const { scopeLogs, ...resource } of objectsIn(resourceLogs)) {
			for (const { logRecords, ...scope } of objectsIn(scopeLogs)) {
				const around = surroundings(resource, scope)
				for (const record of objectsIn(logRecords)) lines.push(lineOf(record, around))
			}
		}
		return Array.isArray(resourceLogs) ? { lines } : INVALID_FIELD
	},
	write(record: LogRecord) {
		return escapeJson(restored(record) ?? JSON.stringify(logsOf(record, record.data)))
	},
}

type Values = Record<string, unknown>

/**
 * What reading puts below `otel`. A collector passes over fields that it does not know: others stay
 * attributes, which it keeps.
 */
const KEPT = new Set([
	...['timeUnixNano', 'observedTimeUnixNano', 'severityNumber', 'severityText', 'eventName'],
	...['traceId', 'spanId', 'flags', 'droppedAttributesCount', 'attributes', 'attributeList'],
	...['resource', 'resourceLogs', 'scope', 'scopeLogs'],
])

/** A line of one record. `kept` is what was below `otel` in its data. */
function logsOf(
	{ kind, level, message, tsMs, daemonId, nodeId }: LogRecord,
	data: unknown,
	kept: Values = {},
) {
	const { resource, resourceLogs, scope = { name: 'mesh-chain' }, scopeLogs, attributeList, ...fields } = kept
	const ids = {
		...(daemonId === null ? {} : { [DAEMON_KEY]: daemonId }),
		...(nodeId === null ? {} : { [NODE_KEY]: nodeId }),
		...fieldsOf(resource),
	}
	const list = data === undefined ? [] : attributesOf(isMap(data) ? data : { data })
	const attributes = Array.isArray(attributeList) ? attributeList : list
	const record = {
		timeUnixNano: String(BigInt(tsMs) * NS_PER_MS),
		severityNumber: 1 + NUMBERS_A_LEVEL * levelIndex(level),
		severityText: level.toUpperCase(),
		...(kind === 'log' ? {} : { eventName: kind }),
		body: { stringValue: message },
		...fields,
		...(attributes.length === 0 ? {} : { attributes }),
	}
	const { resource: besides, ...resourceRest } = fieldsOf(resourceLogs)
	const inScope = { ...fieldsOf(scopeLogs), scope, logRecords: [record] }
	return {
		resourceLogs: [
			{
				...resourceRest,
				resource: { attributes: attributesOf(ids), ...fieldsOf(besides) },
				scopeLogs: [inScope],
			},
		],
	}
}

/**
 * The line that a record was read from; undefined where what its data says below `otel` is no such thing, but
 * an application's.
 */
function restored(record: LogRecord): string | undefined {
	const { data, kind, level, message, tsMs, daemonId, nodeId } = record
	if (!isMap(data) || !isMap(data['otel'])) return undefined
	const { otel, body, ...own } = data
	if (!Object.keys(otel as Values).every((name) => KEPT.has(name))) return undefined
	const { attributes: clashes, ...kept } = otel as Values
	const isBody = body !== undefined && message === toJson(body)
	const attributes = { ...own, ...(isBody || body === undefined ? {} : { body }), ...fieldsOf(clashes) }
	try {
		const text = JSON.stringify(
			logsOf(record, attributes, isBody ? { ...kept, body: anyValueOf(body) } : kept),
		)
		const reading = otelFormat.read(JSON.parse(text), text)
		const line = 'lines' in reading ? reading.lines[0] : undefined
		const again = { kind: 'log', tsMs: undefined, daemonId: null, nodeId: null, ...line }
		return isDeepStrictEqual(again, { kind, level, message, tsMs, daemonId, nodeId, data }) ? text : undefined
	} catch {
		// It holds what JSON does not.
		return undefined
	}
}

interface Surroundings {
	/** Its attributes. */
	readonly resource: Values
	readonly rest: Values
}

/** What stands around a record, without what has a place of its own. */
function surroundings(resourceLogs: JsonFields, scopeLogs: JsonFields): Surroundings {
	const { resource: given, ...resourceRest } = resourceLogs
	const { scope, ...scopeRest } = scopeLogs
	const { attributes, ...others } = fieldsOf(given)
	const resource = mapOf(attributes)
	const besides = { ...others, ...(isDoubled(attributes, resource) ? { attributes } : {}) }
	const around = { ...resourceRest, ...(isEmpty(besides) ? {} : { resource: besides }) }
	const isOurs = isEmpty(fieldsOf(scope)) || isDeepStrictEqual(scope, { name: 'mesh-chain' })
	return {
		resource,
		rest: {
			...(isEmpty(around) ? {} : { resourceLogs: around }),
			...(isEmpty(scopeRest) ? {} : { scopeLogs: scopeRest }),
			...(isOurs ? {} : { scope }),
		},
	}
}

function lineOf(record: JsonFields, { resource, rest: around }: Surroundings): LogLine {
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
		...(isEmpty(resourceRest) ? {} : { resource: resourceRest }),
		...around,
	}
	const map = mapOf(attributes)
	const { otel: clashing, body: clashingBody, ...attributesRest } = map
	if (isDoubled(attributes, map)) kept['attributeList'] = attributes
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
	// Of a kind that is not known here: as it is.
	return isEmpty(any) ? undefined : any
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

/** Some of a list have one name, or none: a map does not say it all. */
function isDoubled(attributes: unknown, map: Values): boolean {
	const list = objectsIn(attributes)
	return list.length !== Object.keys(map).length || list.some(({ key }) => typeof key !== 'string')
}

function isEmpty(fields: JsonFields): boolean {
	return Object.keys(fields).length === 0
}

function objectsIn(value: unknown): readonly JsonFields[] {
	return Array.isArray(value) ? value.map(fieldsOf) : []
}

function fieldsOf(value: unknown): JsonFields {
	return typeof value === 'object' && value !== null ? (value as JsonFields) : {}
}
