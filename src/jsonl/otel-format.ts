/**
 * OpenTelemetry logs as written by the OpenTelemetry file exporter: OTLP in JSON. Each line has one
 * `resourceLogs` field, which contains any number of log records (opentelemetry.io/docs/specs/otlp,
 * /docs/specs/otel/protocol/file-exporter).
 *
 * The fields of a record correspond to these fields of a log record:
 * - `kind`: `eventName`
 * - `message`: `body`
 * - `level`: `severityNumber`
 * - `daemonId`, `nodeId`: `service.name` and `service.instance.id` of the resource
 * - `data`: `attributes`
 *
 * All other fields are stored under `otel` in `data`: trace IDs, flags, counts of dropped attributes, the
 * other resource attributes, the scope, and the fields of `resourceLogs` and `scopeLogs` such as `schemaUrl`.
 * A record whose `data` contains these `otel` fields is written with all of its original fields.
 */
import { isDeepStrictEqual } from 'node:util'
import { isMap } from '../codec/data-map.ts'
import { toJson } from '../codec/json-dialect.ts'
import { isId, isKind } from '../model/line-check.ts'
import { LOG_LEVELS, type LogLevel, type LogLine, type LogRecord, levelIndex } from '../model/record.ts'
import { TIME_MAX_MS } from '../platform/time-limits.ts'
import { escapeJson } from '../text/escape.ts'
import type { JsonFields } from './json-object.ts'
import { INVALID_FIELD, type LineFormat } from './line-format.ts'
import {
	anyValueOf,
	attributesOf,
	contentOf,
	fieldsOf,
	isDoubled,
	isEmpty,
	mapOf,
	objectsIn,
	type Values,
} from './otel-values.ts'

const NODE_KEY = 'service.instance.id'
const DAEMON_KEY = 'service.name'
const NS_PER_MS = 1_000_000n
/**
 * Each level has four severity numbers, starting at 1 for trace, 5 for debug, 9 for info, 13 for warn and
 * 17 for error. Numbers above 20 also mean error.
 */
const NUMBERS_A_LEVEL = 4
/** Lowest severity number of the level above `error`. */
const FATAL_NUMBER = 21

/**
 * OpenTelemetry logs as written by the OpenTelemetry file exporter. A line can contain several records.
 * Reading preserves every field of a line.
 */
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

/**
 * Names of the fields under `otel` that `write` restores. An `otel` value with any other field is written as
 * an attribute, because a collector drops unknown fields.
 */
const KEPT = new Set([
	...['timeUnixNano', 'observedTimeUnixNano', 'severityNumber', 'severityText', 'eventName'],
	...['traceId', 'spanId', 'flags', 'droppedAttributesCount', 'attributes', 'attributeList'],
	...['resource', 'resourceLogs', 'scope', 'scopeLogs'],
])

/**
 * Returns the `resourceLogs` object for one record. `kept` contains the fields under `otel` in the record's
 * data.
 */
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
	const isFatal = level === 'error' && isMap(data) && data['level'] === 'fatal'
	const attributeMap = isFatal ? withoutLevel(data) : isMap(data) ? data : { data }
	const list = data === undefined ? [] : attributesOf(attributeMap)
	const attributes = Array.isArray(attributeList) ? attributeList : list
	const record = {
		timeUnixNano: String(BigInt(tsMs) * NS_PER_MS),
		severityNumber: isFatal ? FATAL_NUMBER : 1 + NUMBERS_A_LEVEL * levelIndex(level),
		severityText: isFatal ? 'FATAL' : level.toUpperCase(),
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
 * Returns a line for a record that was read in this format, with the fields under `otel` in their original
 * places. Returns undefined for any other record, and if the line would be read back as a different record.
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
		// The data contains a value that JSON cannot represent.
		return undefined
	}
}

interface Surroundings {
	/** Attributes of the resource. */
	readonly resource: Values
	readonly rest: Values
}

/** Returns the resource attributes, and all other fields that surround a log record. */
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

/**
 * Converts a log record to a log line. For a severity number above 20, the level is `error`, and `data.level`
 * is `fatal`, unless an attribute has the name `level`.
 */
function lineOf(record: JsonFields, around: Surroundings): LogLine {
	const { eventName, body, severityNumber } = record
	const { [DAEMON_KEY]: daemon, [NODE_KEY]: node } = around.resource
	const tsNs = nanosecondsOf(isTimed(record) ? record['timeUnixNano'] : record['observedTimeUnixNano'])
	const level = levelOf(severityNumber)
	const kind = isKind(eventName) ? eventName : undefined
	const content = contentOf(body)
	const isFatal = Number(severityNumber) >= FATAL_NUMBER && !('level' in mapOf(record['attributes']))
	const kept = keptOf(record, { tsNs, level, kind, isFatal }, around)
	const data = { ...dataOf(record, content, kept), ...(isFatal ? { level: 'fatal' } : {}) }
	return {
		...(tsNs === undefined ? {} : { tsMs: Number(tsNs / NS_PER_MS) }),
		level,
		...(kind === undefined ? {} : { kind }),
		message: typeof content === 'string' ? content : content === undefined ? (kind ?? '') : toJson(content),
		...(isId(daemon) ? { daemonId: daemon } : {}),
		...(isId(node) ? { nodeId: node } : {}),
		...(isEmpty(data) ? {} : { data }),
	}
}

/** Values from a log record that became fields of a log line. */
interface Taken {
	readonly tsNs: bigint | undefined
	readonly level: LogLevel
	readonly kind: string | undefined
	readonly isFatal: boolean
}

/**
 * Returns the fields of a log record that have no counterpart in the log line, except the body and the
 * attributes.
 */
function keptOf(
	record: JsonFields,
	{ tsNs, level, kind, isFatal }: Taken,
	{ resource, rest: around }: Surroundings,
): Values {
	const {
		timeUnixNano,
		observedTimeUnixNano,
		severityNumber,
		severityText,
		eventName,
		body: _body,
		attributes: _attributes,
		...rest
	} = record
	const usualNumber = isFatal ? FATAL_NUMBER : 1 + NUMBERS_A_LEVEL * levelIndex(level)
	const usualText = isFatal ? 'FATAL' : level.toUpperCase()
	const { [DAEMON_KEY]: daemon, [NODE_KEY]: node, ...others } = resource
	const resourceRest = {
		...(daemon === undefined || isId(daemon) ? {} : { [DAEMON_KEY]: daemon }),
		...(node === undefined || isId(node) ? {} : { [NODE_KEY]: node }),
		...others,
	}
	return {
		...(eventName === undefined || kind !== undefined ? {} : { eventName }),
		...exactTime(tsNs, timeUnixNano),
		...(isTimed(record) && observedTimeUnixNano !== undefined ? { observedTimeUnixNano } : {}),
		...(severityNumber === undefined || severityNumber === usualNumber ? {} : { severityNumber }),
		...(severityText === undefined || severityText === usualText ? {} : { severityText }),
		...rest,
		...(isEmpty(resourceRest) ? {} : { resource: resourceRest }),
		...around,
	}
}

/**
 * Returns the data of a log line: the attributes, a body that is not a string, and the remaining fields under
 * `otel`.
 */
function dataOf({ attributes }: JsonFields, content: unknown, kept: Values): Values {
	const map = mapOf(attributes)
	const { otel, body, ...others } = map
	const hasBody = content !== undefined && typeof content !== 'string'
	const clashes = {
		...(otel === undefined ? {} : { otel }),
		...(body === undefined || !hasBody ? {} : { body }),
	}
	const below = {
		...kept,
		...(isDoubled(attributes, map) ? { attributeList: attributes } : {}),
		...(isEmpty(clashes) ? {} : { attributes: clashes }),
	}
	return {
		...others,
		...(body === undefined || hasBody ? {} : { body }),
		...(hasBody ? { body: content } : {}),
		...(isEmpty(below) ? {} : { otel: below }),
	}
}

function withoutLevel({ level: _level, ...data }: JsonFields): JsonFields {
	return data
}

function isTimed({ timeUnixNano }: JsonFields): boolean {
	return Number(timeUnixNano ?? 0) > 0
}

/** Returns the time field if milliseconds cannot represent it exactly, or if it is invalid. */
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
