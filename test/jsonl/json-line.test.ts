import fc from 'fast-check'
import { expect, test } from 'vitest'
import { lineOfJson } from '../../src/jsonl/json-line.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'

test.each([
	[
		'pino',
		'{"level":30,"time":1700000000123,"pid":7,"hostname":"h","msg":"up"}',
		{ level: 'info', tsMs: 1_700_000_000_123, message: 'up', data: { pid: 7, hostname: 'h' } },
	],
	[
		'pino, fatal',
		'{"level":60,"time":1700000000123,"msg":"down"}',
		{ level: 'error', message: 'down', tsMs: 1_700_000_000_123, data: { level: 'fatal' } },
	],
	[
		'pino, a level of its own',
		'{"level":35,"msg":"x"}',
		{ level: 'info', message: 'x', data: { level: 35 } },
	],
	['below trace', '{"level":5,"msg":"x"}', { level: 'trace', message: 'x', data: { level: 5 } }],
	[
		'winston',
		'{"level":"warn","message":"slow","timestamp":"2026-01-31T14:05:09.250Z"}',
		{ level: 'warn', message: 'slow', tsMs: Date.UTC(2026, 0, 31, 14, 5, 9, 250) },
	],
	[
		'a time with an offset stays as it was',
		'{"message":"m","time":"2026-01-31T14:05:09+01:00"}',
		{ message: 'm', tsMs: Date.UTC(2026, 0, 31, 13, 5, 9), data: { time: '2026-01-31T14:05:09+01:00' } },
	],
	[
		'seconds',
		'{"msg":"m","ts":1700000000.25}',
		{ message: 'm', tsMs: 1_700_000_000_250, data: { ts: 1_700_000_000.25 } },
	],
	[
		'nanoseconds',
		'{"msg":"m","ts":1700000000250000000}',
		{ message: 'm', tsMs: 1_700_000_000_250, data: { ts: 1_700_000_000_250_000_000 } },
	],
	['names of levels in any case', '{"severity":"ERROR","message":"m"}', { level: 'error', message: 'm' }],
	['a level nobody knows', '{"level":"loud","message":"m"}', { message: 'm', data: { level: 'loud' } }],
	[
		'a kind and ids',
		'{"kind":"order","daemonId":"d","nodeId":7,"orderId":1}',
		{ kind: 'order', daemonId: 'd', nodeId: 7, data: { orderId: 1 } },
	],
	[
		'a kind that a record cannot have',
		'{"event":"$gap","msg":"m"}',
		{ message: 'm', data: { event: '$gap' } },
	],
	['both message keys', '{"msg":"a","message":"b"}', { message: 'a', data: { message: 'b' } }],
	['nothing known', '{"a":1}', { message: '', data: { a: 1 } }],
	['an empty object', '{}', { message: '' }],
	['spaces between', '{ "msg": "a b", "n": [1, 2] }', { message: 'a b', data: { n: [1, 2] } }],
	[
		'a number too long for JavaScript',
		'{"msg":"m","id":12345678901234567890}',
		{ message: 'm', data: { id: 12345678901234567000, raw: '{"msg":"m","id":12345678901234567890}' } },
	],
	[
		'a key twice',
		'{"msg":"m","a":1,"a":2}',
		{ message: 'm', data: { a: 2, raw: '{"msg":"m","a":1,"a":2}' } },
	],
])('%s', (_name, text, expected) => {
	expect(lineOfJson(text)).toEqual(expected)
})

test.each([
	'',
	'plain',
	'[1]',
	'"text"',
	'7',
	'null',
	'{',
	'{"a":1',
	'{a:1}',
	'{"a":1}{"b":2}',
	`${'{"a":'.repeat(40)}1${'}'.repeat(40)}`,
])('%j is not a log line', (text) => {
	expect(lineOfJson(text)).toBeUndefined()
})

test('no object loses anything: the record reproduces it or holds its text', () => {
	const loop = new MeshLoop()
	fc.assert(
		fc.property(fc.json(), fc.boolean(), (json, spaced) => {
			const text = spaced ? JSON.stringify(JSON.parse(json), undefined, ' ').replaceAll('\n', ' ') : json
			const line = lineOfJson(text)
			if (line === undefined) return
			const record = loop.publish(line)!
			const data = (record.data ?? {}) as Record<string, unknown>
			if (data['raw'] === text) return
			const values = new Set(
				leaves([record.data, record.message, record.kind, record.level, record.tsMs]).concat(
					leaves([record.daemonId, record.nodeId]),
				),
			)
			for (const leaf of leaves(JSON.parse(text))) if (leaf !== '') expect(values, text).toContain(leaf)
		}),
		{ numRuns: 3_000 },
	)
})

function leaves(value: unknown): unknown[] {
	if (typeof value !== 'object' || value === null) return [Object.is(value, -0) ? 0 : value]
	return Object.values(value).flatMap(leaves)
}
