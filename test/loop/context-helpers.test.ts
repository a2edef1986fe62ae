import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { asyncContext } from '../../src/loop/async-context.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { type OtelContextApi, otelContext } from '../../src/loop/otel-context.ts'
import { warnings } from './observed.ts'

describe('asyncContext', () => {
	test('adds its fields to the lines of a call and of everything that the call starts', async () => {
		const context = asyncContext<{ requestId: string }>()
		const loop = new MeshLoop(undefined, { context })
		const handle = async (path: string) => {
			loop.info('started', { path })
			await wait(1)
			loop.info('ended')
			return path
		}
		const done = await Promise.all([
			context.run({ requestId: 'r-1' }, handle, '/a'),
			context.run({ requestId: 'r-2' }, handle, '/b'),
		])
		loop.info('outside')
		expect(done).toEqual(['/a', '/b'])
		const byId = (requestId: string) =>
			loop.snapshot().filter(({ data }) => (data as { requestId?: string })?.requestId === requestId)
		for (const id of ['r-1', 'r-2']) {
			expect(byId(id).map(({ message }) => message)).toEqual(['started', 'ended'])
		}
		expect(loop.snapshot({ grep: 'outside' })[0]?.data).toBeUndefined()
	})

	test('adds the fields of nested calls to each other', () => {
		const context = asyncContext<{ requestId?: string; user?: string }>()
		const loop = new MeshLoop(undefined, { context })
		context.run({ requestId: 'r-1', user: 'a' }, () => {
			context.run({ user: 'b' }, () => {
				expect(context.fields()).toEqual({ requestId: 'r-1', user: 'b' })
				loop.info('inner', { user: 'line' })
			})
			loop.info('outer')
		})
		expect(context.fields()).toBeUndefined()
		expect(loop.snapshot().map(({ data }) => data)).toEqual([
			{ requestId: 'r-1', user: 'line' },
			{ requestId: 'r-1', user: 'a' },
		])
	})

	test('keeps its fields from later changes, and contexts apart', () => {
		const [one, other] = [asyncContext(), asyncContext()]
		const fields = { a: 1 }
		one.run(fields, () => {
			fields.a = 2
			expect(one.fields()).toEqual({ a: 1 })
			expect(other.fields()).toBeUndefined()
		})
	})

	test.each([[null], [[1]], ['text'], [new Map()]])('refuses the fields %j', (fields) => {
		expect(() => asyncContext().run(fields as never, () => {})).toThrow(
			expect.objectContaining({ code: 'INVALID_LINE' }),
		)
	})
})

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN_ID = '00f067aa0ba902b7'

const apiWith = (traceId: unknown, spanId: unknown): OtelContextApi => ({
	getActiveSpan: () => ({ spanContext: () => ({ traceId, spanId }) as never }),
})

describe('otelContext', () => {
	const GLOBAL = Symbol.for('opentelemetry.js.api.1')
	afterEach(() => void Reflect.deleteProperty(globalThis, GLOBAL))

	test('adds the ids of the active span, from the trace API or the whole module', () => {
		for (const api of [apiWith(TRACE_ID, SPAN_ID), { trace: apiWith(TRACE_ID, SPAN_ID) }]) {
			const loop = new MeshLoop(undefined, { context: otelContext(api) })
			expect(loop.info('a', { b: 1 })?.data).toEqual({ traceId: TRACE_ID, spanId: SPAN_ID, b: 1 })
		}
	})

	test.each([
		['the ids of no span', '0'.repeat(32), '0'.repeat(16)],
		['a trace id of zeros', '0'.repeat(32), SPAN_ID],
		['a span id of zeros', TRACE_ID, '0'.repeat(16)],
		['ids of other forms', 'abc', 5],
	])('ignores %s', (_title, traceId, spanId) => {
		expect(otelContext(apiWith(traceId, spanId))()).toBeUndefined()
	})

	test('adds nothing without an active span', () => {
		expect(otelContext({ getActiveSpan: () => undefined })()).toBeUndefined()
	})

	test('finds the API that the process registered, now or later', () => {
		const loop = new MeshLoop(undefined, { context: otelContext() })
		expect(loop.info('a')?.data).toBeUndefined()
		const span = { spanContext: () => ({ traceId: TRACE_ID, spanId: SPAN_ID }) }
		const values = new Map([[Symbol.for('OpenTelemetry Context Key SPAN'), span]])
		const active = () => ({ getValue: (key: symbol) => values.get(key) })
		Object.defineProperty(globalThis, GLOBAL, { value: { context: { active } }, configurable: true })
		expect(loop.info('a')?.data).toEqual({ traceId: TRACE_ID, spanId: SPAN_ID })
		values.clear()
		expect(loop.info('a')?.data).toBeUndefined()
	})

	test('that fails is counted, and the line is published', () => {
		warnings()
		const loop = new MeshLoop(undefined, {
			context: otelContext({
				getActiveSpan: () => {
					throw new Error('mine')
				},
			}),
		})
		expect(loop.info('a', { b: 1 })?.data).toEqual({ b: 1 })
		expect(loop.stats().hookErrors).toBe(1)
	})

	test.each([[null], [{}], [{ trace: {} }], ['text'], [5]])('refuses %j', (api) => {
		expect(() => otelContext(api as never)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
	})
})
