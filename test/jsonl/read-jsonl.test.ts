/** JSON Lines files as left by people and killed processes. */
import { execFileSync } from 'node:child_process'
import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { recordToJson } from '../../src/codec/json-dialect.ts'
import { eventFormat } from '../../src/jsonl/event-format.ts'
import type { LineFormat } from '../../src/jsonl/line-format.ts'
import { otelFormat } from '../../src/jsonl/otel-format.ts'
import { pinoFormat } from '../../src/jsonl/pino-format.ts'
import { readJsonl } from '../../src/jsonl/read-jsonl.ts'
import { collect, record } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

const beacons = eventFormat({
	beacon_recv: { server: 'string', seq: 'number', version: 'number' },
	client_connect: { peer: 'string' },
})

function fileOf(...parts: (string | Buffer)[]): string {
	const path = join(temporaryFolder(), 'some.jsonl')
	writeFileSync(path, '')
	for (const part of parts) appendFileSync(path, part)
	return path
}

async function read(path: string, format?: LineFormat) {
	const lines = readJsonl(path, format === undefined ? {} : { format })
	const records = await collect(lines)
	const skipped = Object.fromEntries(Object.entries(lines.skipped).filter(([, count]) => count > 0))
	return { records, skipped, skippedLines: lines.skippedLines }
}

describe('lines', () => {
	const first = '{"ts":1714200000.123,"ev":"client_connect","peer":"10.0.0.6:54311"}\n'

	test.each([
		['nothing in it', '\n  \t\n\r\n', { blank: 3 }],
		['comments', '# made by hand\n  # too\n', { comment: 2 }],
		['unknown events', '{"ts":1,"ev":"sample"}\n{"ts":1,"ev":"toString"}\n', { unknownKind: 2 }],
		['a missing field', '{"ts":1,"ev":"client_connect"}\n', { invalidField: 1 }],
		['a field of the wrong type', '{"ts":1,"ev":"client_connect","peer":5}\n', { invalidField: 1 }],
		['an inherited field', '{"ts":1,"ev":"client_connect","__proto__":{"peer":"x"}}\n', { invalidField: 1 }],
		[
			'no time',
			'{"ev":"client_connect","peer":"x"}\n{"ts":"1","ev":"client_connect","peer":"x"}\n',
			{ invalidField: 2 },
		],
		[
			'a time beyond the range of dates',
			'{"ts":1e300,"ev":"client_connect","peer":"x"}\n',
			{ invalidField: 1 },
		],
		['no objects', '5\n[1]\n"x"\nnull\nhello\n', { notJson: 5 }],
		['a partial object in the middle', '{"ts":1,"ev":"client_con\n', { notJson: 1 }],
		['two objects glued together', '{"ts":1,"ev":"a"}{"ts":1,"ev":"b"}\n', { notJson: 1 }],
		['no UTF-8', Buffer.from([0x7b, 0xff, 0xfe, 0x7d, 0x0a]), { notText: 1 }],
		[
			'brackets without end',
			`${'['.repeat(200_000)}\n{"ts":1,"ev":"x","a":${'['.repeat(200_000)}\n`,
			{ notJson: 2 },
		],
	])('with %s are counted, and the lines around them are read', async (_what, bad, skipped) => {
		const last = first.replace('54311', '54312')
		const found = await read(fileOf(first, bad, last), beacons)
		expect(found.skipped).toEqual(skipped)
		expect(found.records.map(({ seq, data }) => [seq, data])).toEqual([
			[1, { peer: '10.0.0.6:54311' }],
			[2, { peer: '10.0.0.6:54312' }],
		])
		expect(found.skippedLines[0]?.line).toBe(2)
	})

	test('are trimmed, and may have any JSON spelling, key order and additional keys', async () => {
		const { records, skipped } = await read(
			fileOf(
				'\ufeff  { "peer" : "\\u0061\\"b", "other": [1], ' +
					'"ev":"client_connect" , "ts" : 1714200000.123 }  \r\n',
			),
			beacons,
		)
		expect(skipped).toEqual({})
		expect(records[0]).toMatchObject({ kind: 'client_connect', tsMs: 1_714_200_000_123 })
		expect(records[0]?.data).toEqual({ peer: 'a"b', other: [1] })
	})

	test('that are too long are counted, in no more memory than the longest allowed line', async () => {
		const path = fileOf(first)
		const piece = Buffer.alloc(1024 * 1024, 'x')
		for (let mib = 0; mib < 192; mib++) appendFileSync(path, piece)
		appendFileSync(path, `\n${first}`)
		const lines = readJsonl(path, { format: beacons, lineBytesMax: 64 * 1024 })
		const before = process.memoryUsage.rss()
		expect(await collect(lines)).toHaveLength(2)
		expect(process.memoryUsage.rss() - before).toBeLessThan(96 * 1024 * 1024)
		expect(lines.skippedLines).toEqual([{ line: 2, reason: 'tooLong' }])
	})

	test('that cannot be read are all counted, and the first hundred are listed', async () => {
		const { skipped, skippedLines } = await read(fileOf('x\n'.repeat(5000)))
		expect(skipped).toEqual({ notJson: 5000 })
		expect(skippedLines).toHaveLength(100)
	})
})

describe('the last line', () => {
	const whole = '{"ts":1714200000.123,"ev":"beacon_recv","server":"10.0.0.5:5064","seq":42,"version":13}'

	test('is torn if cut anywhere, and never a wrong value', async () => {
		for (let length = 1; length < whole.length; length++) {
			const { records, skipped } = await read(fileOf(`${whole}\n`, whole.slice(0, length)), beacons)
			expect(records).toHaveLength(1)
			expect(skipped).toEqual({ torn: 1 })
		}
	})

	test('counts even without its newline, if its object is complete', async () => {
		const { records, skipped } = await read(fileOf(whole), beacons)
		expect(records.map(({ data }) => data)).toEqual([{ server: '10.0.0.5:5064', seq: 42, version: 13 }])
		expect(skipped).toEqual({})
	})

	test('is torn if cut within a character', async () => {
		const text = Buffer.from('{"a":"é')
		const { skipped } = await read(fileOf(`${whole}\n`, text.subarray(0, -1)), beacons)
		expect(skipped).toEqual({ torn: 1 })
	})
})

describe("mesh-chain's own format", () => {
	test('restores every field of a record, even numbers and ids without a JSON form', async () => {
		const all = [
			record(7, {
				epoch: 3,
				data: { big: 2n ** 63n, at: new Date(5), bytes: Uint8Array.of(1, 2), nan: Number.NaN },
			}),
			record(8, { epoch: 3, daemonId: 7n, nodeId: 7, origin: { chainId: 'a', epoch: 1, seq: 2 } }),
			record(9, { epoch: 4, kind: '$checkpoint', level: 'error', message: '\u001b[31m' }),
		]
		const { records } = await read(fileOf(...all.map((each) => `${recordToJson(each)}\n`)))
		expect(records).toEqual(all)
	})

	test('is checked field by field and never trusted', async () => {
		const line = (fields: object) =>
			`${JSON.stringify({ ...JSON.parse(recordToJson(record(1))), ...fields })}\n`
		const bad = [
			{ seq: 0 },
			{ seq: 1.5 },
			{ epoch: '1' },
			{ tsMs: -1 },
			{ tsMs: 9e15 },
			{ level: 'loud' },
			{ kind: '' },
			{ kind: '*' },
			{ kind: 'x'.repeat(300) },
			{ message: null },
			{ daemonId: {} },
			{ daemonId: { $bigint: '99999999999999999999' } },
			{ origin: { chainId: 'a' } },
			{ origin: { chainId: '', epoch: 1, seq: 1 } },
			{ data: { $date: 'never' } },
			{ kind: '$gap' },
			{ kind: '$gap', data: { fromSeq: 0, toSeq: 1, count: 1, cause: 'evicted' } },
			{ kind: '$gap', data: { fromSeq: 1, toSeq: 2, count: 2, cause: 'evicted' } },
		]
		const { records, skipped } = await read(fileOf(...bad.map(line), line({})))
		expect(records).toHaveLength(1)
		expect(skipped).toEqual({ invalidField: bad.length })
	})

	test('limits the size of data', async () => {
		const deep = `${'{"a":'.repeat(500)}1${'}'.repeat(500)}`
		const text = recordToJson(record(1, { data: 5 })).replace('"data":5', `"data":${deep}`)
		const { records } = await read(fileOf(`${text}\n`))
		expect(JSON.stringify(records[0]?.data)).toContain('too deep')
	})
})

describe('other formats', () => {
	test("pino's lines keep level, time, message and fields", async () => {
		const { records } = await read(
			fileOf('{"level":50,"time":1714200000123,"pid":7,"hostname":"a","msg":"failed","err":{"code":"E1"}}\n'),
			pinoFormat,
		)
		expect(records[0]).toMatchObject({
			seq: 1,
			level: 'error',
			tsMs: 1_714_200_000_123,
			message: 'failed',
			data: { pid: 7, hostname: 'a', err: { code: 'E1' } },
		})
	})

	test('a record written as a pino line is read back', async () => {
		const some = [
			record(1, { level: 'warn', data: { a: 1, nested: { b: [true, null] } } }),
			record(2, { kind: 'order.created', daemonId: 'api', nodeId: 7, data: { order: 5 } }),
		]
		const { records } = await read(fileOf(...some.map((each) => `${pinoFormat.write(each)}\n`)), pinoFormat)
		expect(records).toEqual(some)
	})

	test('a field with a name that the format uses goes under data', () => {
		const line = JSON.parse(pinoFormat.write(record(1, { data: { time: 'noon', msg: 'x' } })) ?? '')
		expect(line).toEqual({
			level: 30,
			time: 1_700_000_000_001,
			data: { time: 'noon', msg: 'x' },
			msg: 'message 1',
		})
	})

	test('OpenTelemetry lines hold several records, and fields without a counterpart are kept', async () => {
		const line = JSON.stringify({
			resourceLogs: [
				{
					resource: {
						attributes: [
							{ key: 'service.name', value: { stringValue: 'api' } },
							{ key: 'host.arch', value: { stringValue: 'arm64' } },
						],
					},
					scopeLogs: [
						{
							scope: { name: 'my.library', version: '1.0.0' },
							logRecords: [
								{
									timeUnixNano: '1544712660300000123',
									observedTimeUnixNano: '1544712660300000000',
									severityNumber: 21,
									severityText: 'FATAL',
									traceId: '5B8EFFF798038103D269B633813FC60C',
									body: { stringValue: 'Example log record' },
									attributes: [
										{ key: 'count', value: { intValue: '10' } },
										{ key: 'big', value: { intValue: '9223372036854775807' } },
										{
											key: 'list',
											value: { arrayValue: { values: [{ boolValue: true }, { doubleValue: 0.5 }] } },
										},
										{
											key: 'map',
											value: { kvlistValue: { values: [{ key: 'k', value: { bytesValue: 'AQI=' } }] } },
										},
									],
								},
								{ observedTimeUnixNano: 1544712660000000000, eventName: 'browser.page_view' },
							],
						},
					],
				},
			],
		})
		const { records, skipped } = await read(fileOf(`${line}\n`, '{"resourceLogs":5}\n'), otelFormat)
		expect(skipped).toEqual({ invalidField: 1 })
		expect(records).toHaveLength(2)
		expect(records[0]).toMatchObject({
			tsMs: 1_544_712_660_300,
			level: 'error',
			message: 'Example log record',
			daemonId: 'api',
			data: {
				count: 10,
				big: 9_223_372_036_854_775_807n,
				list: [true, 0.5],
				map: { k: Uint8Array.of(1, 2) },
				level: 'fatal',
				otel: {
					timeUnixNano: '1544712660300000123',
					observedTimeUnixNano: '1544712660300000000',
					traceId: '5B8EFFF798038103D269B633813FC60C',
					resource: { 'host.arch': 'arm64' },
					scope: { name: 'my.library', version: '1.0.0' },
				},
			},
		})
		expect(records[1]).toMatchObject({
			kind: 'browser.page_view',
			message: 'browser.page_view',
			level: 'info',
		})
	})

	test('an OpenTelemetry line is kept in full and written as it was', async () => {
		const given = {
			resourceLogs: [
				{
					schemaUrl: 'https://opentelemetry.io/schemas/1.24.0',
					resource: {
						droppedAttributesCount: 3,
						entityRefs: [{ type: 'host', idKeys: ['host.id'] }],
						attributes: [
							{ key: 'service.name', value: { stringValue: 'api' } },
							{ key: 'host.cpus', value: { intValue: '9223372036854775807' } },
						],
					},
					scopeLogs: [
						{
							schemaUrl: 'https://opentelemetry.io/schemas/1.21.0',
							scope: { version: '2', attributes: [{ key: 'a', value: {} }], droppedAttributesCount: 1 },
							logRecords: [
								{
									timeUnixNano: '1544712660300000123',
									severityNumber: 18,
									severityText: 'SEVERE',
									eventName: 'order.created',
									body: { kvlistValue: { values: [{ key: 'k', value: { intValue: '5' } }] } },
									observedTimeUnixNano: '1544712660300000000',
									traceId: '5B8EFFF798038103D269B633813FC60C',
									spanId: 'EEE19B7EC3C1B174',
									flags: 1,
									droppedAttributesCount: 2,
									attributes: [
										{ key: 'count', value: { intValue: '10' } },
										{ key: 'otel', value: { stringValue: 'mine' } },
									],
								},
							],
						},
					],
				},
			],
		}
		const { records } = await read(fileOf(`${JSON.stringify(given)}\n`), otelFormat)
		const { schemaUrl, resource, scopeLogs } = given.resourceLogs[0]!
		const { droppedAttributesCount, entityRefs } = resource
		expect(records[0]?.data).toMatchObject({
			otel: {
				resourceLogs: { schemaUrl, resource: { droppedAttributesCount, entityRefs } },
				scopeLogs: { schemaUrl: scopeLogs[0]!.schemaUrl },
				scope: scopeLogs[0]!.scope,
				spanId: 'EEE19B7EC3C1B174',
				flags: 1,
				droppedAttributesCount: 2,
			},
		})
		expect(JSON.parse(otelFormat.write(records[0]!)!)).toEqual(given)
	})

	test('OpenTelemetry attributes with equal names or unknown value types are not lost', async () => {
		const attributes = [
			{ key: 'a', value: { stringValue: 'one' } },
			{ key: 'a', value: { stringValue: 'two' } },
			{ key: 'b', value: { stringValueStrindex: 7 } },
		]
		const scopeLogs = [{ logRecords: [{ timeUnixNano: '5000000', attributes }] }]
		const line = JSON.stringify({ resourceLogs: [{ resource: { attributes }, scopeLogs }] })
		const { records } = await read(fileOf(`${line}\n`), otelFormat)
		expect(records[0]?.data).toMatchObject({
			b: { stringValueStrindex: 7 },
			otel: { attributeList: attributes, resourceLogs: { resource: { attributes } } },
		})
		const [again] = JSON.parse(otelFormat.write(records[0]!)!).resourceLogs
		expect([again.resource.attributes, again.scopeLogs[0].logRecords[0].attributes]).toEqual([
			attributes,
			attributes,
		])
	})

	test.each([
		{ otel: { traceId: 5n } },
		{ otel: { severityNumber: 1 } },
		{ otel: { timeUnixNano: '5' } },
		{ otel: { resourceLogs: 'mine' } },
		{ otel: { at: new Date(5) }, body: 'text' },
		{ otel: { scope: { name: 'mesh-chain' } } },
		{ otel: 'mine' },
		{ otel: { mine: 5 } },
	])("an application's own data under otel is an ordinary attribute (%#)", async (data) => {
		const line = otelFormat.write(record(1, { data }))
		const { records } = await read(fileOf(`${line}\n`), otelFormat)
		expect(records[0]).toMatchObject({ tsMs: record(1).tsMs, level: 'info', message: 'message 1' })
		expect(JSON.parse(line!).resourceLogs[0].scopeLogs[0].logRecords[0].attributes[0].key).toBe('otel')
	})

	test('a record written as an OpenTelemetry line is read back', async () => {
		const some = [
			record(1, {
				level: 'trace',
				data: { a: 1, big: 2n ** 60n, nested: { b: [true, null, 0.5] }, bytes: Uint8Array.of(1) },
			}),
			record(2, {
				level: 'error',
				kind: 'order.created',
				daemonId: 'api',
				nodeId: 7n ** 20n % 2n ** 63n,
				data: { order: 5 },
			}),
		]
		const { records } = await read(fileOf(...some.map((each) => `${otelFormat.write(each)}\n`)), otelFormat)
		expect(records).toEqual(some)
	})

	test('an event keeps the three decimals of its time', async () => {
		const some = record(1, { kind: 'client_connect', tsMs: 1_714_200_000_100, data: { peer: 'a' } })
		const text = beacons.write(some)
		expect(text).toBe('{"ts":1714200000.100,"ev":"client_connect","peer":"a"}')
		expect((await read(fileOf(`${text}\n`), beacons)).records).toEqual([
			{ ...some, message: 'client_connect' },
		])
	})

	test('a record that a format cannot represent has no line', () => {
		expect(beacons.write(record(1, { kind: 'sample' }))).toBeUndefined()
		expect(beacons.write(record(1, { kind: '$gap' }))).toBeUndefined()
		expect(eventFormat().write(record(1, { data: 5 }))).toBeUndefined()
		expect(eventFormat().write(record(1, { data: { ts: 5 } }))).toBeUndefined()
	})

	test('an event with a field name that the format uses is refused', () => {
		expect(() => eventFormat({ x: { ts: 'number' } })).toThrow(
			expect.objectContaining({ code: 'INVALID_OPTION' }),
		)
	})
})

test('a pipe is read like a file', async () => {
	const path = join(temporaryFolder(), 'pipe')
	execFileSync('mkfifo', [path])
	const reading = collect(readJsonl(path))
	writeFileSync(path, `${recordToJson(record(1))}\n${recordToJson(record(2))}\n`)
	expect((await reading).map(({ seq }) => seq)).toEqual([1, 2])
})

test('an OpenTelemetry record without a time says so, and harms no other record', async () => {
	vi.spyOn(Date, 'now').mockReturnValue(1_700_000_000_000)
	onTestFinished(() => void vi.restoreAllMocks())
	const logRecords = [
		{ timeUnixNano: '5000000' },
		{ body: { stringValue: 'untimed' } },
		{ timeUnixNano: 'noon' },
	]
	const { records, skipped } = await read(
		fileOf(JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords }] }] })),
		otelFormat,
	)
	expect(skipped).toEqual({})
	expect(records.map(({ tsMs, data }) => [tsMs, data])).toEqual([
		[5, undefined],
		[1_700_000_000_000, { noTime: true }],
		[1_700_000_000_000, { noTime: true, otel: { timeUnixNano: 'noon' } }],
	])
})

test("attributes named like mesh-chain's own are kept next to them", async () => {
	const attributes = [
		{ key: 'otel', value: { stringValue: 'mine' } },
		{ key: 'body', value: { stringValue: 'mine too' } },
	]
	const logRecords = [{ timeUnixNano: '5000000', attributes, body: { intValue: '5' } }]
	const { records } = await read(
		fileOf(JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords }] }] })),
		otelFormat,
	)
	expect(records[0]?.data).toEqual({ body: 5, otel: { attributes: { otel: 'mine', body: 'mine too' } } })
})

describe('bad calls', () => {
	test('a missing file is named when it is read', async () => {
		await expect(collect(readJsonl('/nowhere/x.jsonl'))).rejects.toMatchObject({
			code: 'FILE_UNREADABLE',
			message: 'cannot read "/nowhere/x.jsonl": the file does not exist',
		})
	})

	test('a folder is refused', async () => {
		await expect(collect(readJsonl(temporaryFolder()))).rejects.toMatchObject({ code: 'FILE_UNREADABLE' })
	})

	test.each([{ form: 'x' }, { format: 'pino' }, { lineBytesMax: 5 }])(
		'options such as %j are refused',
		(options) => {
			expect(() => readJsonl('x', options as never)).toThrow(
				expect.objectContaining({ code: 'INVALID_OPTION' }),
			)
		},
	)
})
