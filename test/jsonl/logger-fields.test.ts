/** JSON lines of known loggers: where they have their level, time and message. */
import { describe, expect, test } from 'vitest'
import { lineOfJson } from '../../src/jsonl/json-line.ts'
import { otelFormat } from '../../src/jsonl/otel-format.ts'
import { pinoFormat } from '../../src/jsonl/pino-format.ts'
import { parseTimeZone } from '../../src/model/time-zone.ts'
import { WrittenTimes } from '../../src/plain-text/written-time.ts'
import { record } from '../support/records.ts'

const AT = Date.UTC(2026, 5, 1, 6, 40, 0, 123)
const TIME = '2026-06-01T06:40:00.123Z'

test.each([
	[
		'ECS, flat',
		{ '@timestamp': TIME, 'log.level': 'error', message: 'm', 'ecs.version': '8' },
		{ level: 'error', tsMs: AT, message: 'm', data: { 'ecs.version': '8' } },
	],
	[
		'ECS, nested',
		{ '@timestamp': TIME, log: { level: 'error' }, message: 'm' },
		{ level: 'error', tsMs: AT, message: 'm' },
	],
	[
		'ECS, nested next to another field',
		{ log: { level: 'CRITICAL', logger: 'l' }, message: 'm' },
		{ level: 'error', message: 'm', data: { level: 'CRITICAL', log: { logger: 'l' } } },
	],
	[
		'tslog',
		{ 0: 'm', 1: { a: 1 }, _meta: { date: TIME, logLevelId: 5, logLevelName: 'ERROR' } },
		{ level: 'error', tsMs: AT, message: 'm', data: { 1: { a: 1 }, _meta: { logLevelId: 5 } } },
	],
	['winston', { level: 'silly', message: 'm' }, { level: 'trace', message: 'm', data: { level: 'silly' } }],
	[
		'winston, http',
		{ level: 'http', message: 'm' },
		{ level: 'debug', message: 'm', data: { level: 'http' } },
	],
	[
		'bunyan',
		{ name: 'n', level: 60, msg: 'm', time: TIME, v: 0 },
		{ level: 'error', tsMs: AT, message: 'm', data: { name: 'n', v: 0, level: 'fatal' } },
	],
	[
		'Google Cloud',
		{ severity: 'ALERT', message: 'm', timestamp: { seconds: AT / 1000 - 0.123, nanos: 123_000_000 } },
		{
			level: 'error',
			tsMs: AT,
			message: 'm',
			data: { level: 'ALERT', timestamp: { seconds: AT / 1000 - 0.123, nanos: 123_000_000 } },
		},
	],
	[
		'OpenTelemetry',
		{ timeUnixNano: `${AT}000000`, severityText: 'Warn3', severityNumber: 15, body: { stringValue: 'm' } },
		{
			level: 'warn',
			tsMs: AT,
			message: 'm',
			data: { timeUnixNano: `${AT}000000`, severityText: 'Warn3', severityNumber: 15 },
		},
	],
	[
		'OpenTelemetry, only a number',
		{ severityNumber: 21, body: 'm' },
		{ level: 'error', message: 'm', data: { level: 'fatal' } },
	],
	[
		'python-json-logger',
		{ asctime: '2026-06-01 08:40:00,123', levelname: 'WARNING', message: 'm' },
		{ level: 'warn', tsMs: AT, message: 'm', data: { asctime: '2026-06-01 08:40:00,123' } },
	],
	[
		'GELF',
		{ version: '1.1', short_message: 'm', level: 3, timestamp: AT / 1000 },
		{ level: 'error', tsMs: AT, message: 'm', data: { version: '1.1', level: 3, timestamp: AT / 1000 } },
	],
	[
		'journald',
		{ PRIORITY: '4', MESSAGE: 'm', __REALTIME_TIMESTAMP: `${AT}000` },
		{ level: 'warn', tsMs: AT, message: 'm', data: { PRIORITY: '4', __REALTIME_TIMESTAMP: `${AT}000` } },
	],
	[
		'log4j 2',
		{
			instant: { epochSecond: Math.floor(AT / 1000), nanoOfSecond: 123_000_000 },
			level: 'FATAL',
			message: 'm',
		},
		{
			level: 'error',
			tsMs: AT,
			message: 'm',
			data: { instant: { epochSecond: Math.floor(AT / 1000), nanoOfSecond: 123_000_000 }, level: 'fatal' },
		},
	],
	['Serilog', { '@t': TIME, '@mt': 'm', '@l': 'Warning' }, { level: 'warn', tsMs: AT, message: 'm' }],
	[
		'Docker',
		{ log: 'm\n', stream: 'stderr', time: TIME },
		{ tsMs: AT, message: 'm', data: { stream: 'stderr' } },
	],
	[
		'Docker, a part of a line',
		{ log: 'm', stream: 'stderr', time: TIME },
		{ tsMs: AT, message: 'm', data: { log: 'm', stream: 'stderr' } },
	],
])('%s', (_name, line, expected) => {
	const times = new WrittenTimes(parseTimeZone('timeZone', 'Europe/Berlin'))
	expect(lineOfJson(JSON.stringify(line), times)).toEqual(expected)
})

describe('names of levels, in any case', () => {
	test.each([
		['trace', 'TRACE Silly FINEST finer NOTSET'],
		['debug', 'DEBUG verbose HTTP fine CONFIG debug5'],
		['info', 'INFO Information informational NOTICE default info2'],
		['warn', 'WARN warning Warning'],
		['error', 'ERROR err SEVERE fatal CRITICAL crit alert emerg EMERGENCY panic'],
	])('%s: %s', (level, names) => {
		for (const name of names.split(' ')) {
			expect([name, lineOfJson(JSON.stringify({ level: name, msg: 'm' }))?.level]).toEqual([name, level])
			expect([name, lineOfJson(JSON.stringify({ severity: name, msg: 'm' }))?.level]).toEqual([name, level])
		}
	})
})

test('a level above error is in the field level, unless that field has another value', () => {
	const dataOf = (line: object) => lineOfJson(JSON.stringify(line))?.data
	expect(dataOf({ severity: 'FATAL' })).toEqual({ level: 'fatal' })
	expect(dataOf({ severity: 'EMERGENCY' })).toEqual({ level: 'EMERGENCY' })
	expect(dataOf({ severity: 'FATAL', level: 'loud' })).toEqual({ severity: 'FATAL', level: 'loud' })
})

test("pino's 60 and OpenTelemetry's FATAL are written as they were read", () => {
	const fatal = record(1, { level: 'error', data: { level: 'fatal', a: 1 } })
	const pino = pinoFormat.write(fatal)!
	expect(JSON.parse(pino)).toMatchObject({ level: 60, a: 1, msg: 'message 1' })
	expect(lineOfJson(pino)).toMatchObject({ level: 'error', data: { level: 'fatal', a: 1 } })
	const otel = otelFormat.write(fatal)!
	expect(otel).toContain('"severityNumber":21,"severityText":"FATAL"')
	expect(otelFormat.read(JSON.parse(otel), otel)).toMatchObject({
		lines: [{ level: 'error', data: { level: 'fatal', a: 1 } }],
	})
	const severe = JSON.parse(otel)
	Object.assign(severe.resourceLogs[0].scopeLogs[0].logRecords[0], {
		severityNumber: 23,
		severityText: 'Severe',
	})
	expect(otelFormat.read(severe, '')).toMatchObject({
		lines: [{ data: { level: 'fatal', otel: { severityNumber: 23, severityText: 'Severe' } } }],
	})
})
