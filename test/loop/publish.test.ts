import { describe, expect, test } from 'vitest'
import { BufferingAppender } from '../../src/appenders/buffering.ts'
import { coreOf } from '../../src/loop/core-of.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import type { LogLine } from '../../src/model/record.ts'
import { warnings } from './observed.ts'

describe('a published line', () => {
	test('becomes a frozen record with exactly the fields that it has', () => {
		const loop = new MeshLoop(undefined, { clock: () => 1_714_200_000_123.9, nodeId: 'n1' })
		const record = loop.publish({ message: 'hello' })
		expect(record).toStrictEqual({
			seq: 1,
			epoch: 1,
			tsMs: 1_714_200_000_123,
			level: 'info',
			kind: 'log',
			message: 'hello',
			daemonId: null,
			nodeId: 'n1',
			chainPending: false,
		})
		expect(Object.isFrozen(record)).toBe(true)
	})

	test('has data and origin if the line has them', () => {
		const loop = new MeshLoop()
		const origin = { chainId: 'c', epoch: 2, seq: 9 }
		expect(loop.publish({ data: { a: 1 } })).toMatchObject({ data: { a: 1 } })
		expect(loop.publish({ data: null })).toHaveProperty('data', null)
		expect(loop.publish({ data: undefined })).not.toHaveProperty('data')
		expect(loop.publish({ origin })).toMatchObject({ origin })
		const both = loop.publish({ origin, data: [1] })
		expect(both).toMatchObject({ origin, data: [1] })
		expect(Object.isFrozen(both) && Object.isFrozen(both?.origin)).toBe(true)
	})

	test('uses its kind as message if it has none', () => {
		const loop = new MeshLoop()
		expect(loop.publish({ kind: 'order' })?.message).toBe('order')
		expect(loop.publish({ kind: 'order', message: '' })?.message).toBe('')
		expect(loop.publish({})?.message).toBe('log')
	})

	test('is in the appender on the next line', () => {
		const appender = new BufferingAppender()
		const record = new MeshLoop(appender).info('hello')
		expect(appender.captured()).toEqual([record])
		expect(appender.captured()[0]).toBe(record)
	})

	test('is not affected by later changes to its data', () => {
		const loop = new MeshLoop()
		const data = { list: [1], when: new Date(5) }
		const record = loop.info('hello', data)
		data.list.push(2)
		data.when.setTime(9)
		expect(record?.data).toEqual({ list: [1], when: new Date(5) })
		expect(loop.snapshot()[0]?.data).toEqual({ list: [1], when: new Date(5) })
	})

	test('has its own time, whole and not before 1970', () => {
		const loop = new MeshLoop(undefined, { clock: () => 7 })
		const timesMs = [12.9, -5, 0, 8_640_000_000_000_000].map((tsMs) => loop.publish({ tsMs })?.tsMs)
		expect(timesMs).toEqual([12, 0, 0, 8_640_000_000_000_000])
		expect(loop.publish({})?.tsMs).toBe(7)
	})

	test('keeps ids with their type, up to 64 bits', () => {
		const loop = new MeshLoop()
		for (const id of ['7', 7, 7n, -(2n ** 63n), 2n ** 64n - 1n, 1.5, '', null]) {
			expect(loop.publish({ daemonId: id, nodeId: id })).toMatchObject({ daemonId: id, nodeId: id })
		}
	})

	test('with data that cannot be serialised is published with markers, counted', () => {
		const loop = new MeshLoop()
		const data = {
			get bad() {
				throw new TypeError('mine')
			},
			call: () => {},
		}
		const record = loop.info('hello', data)
		expect(record?.data).toEqual({
			bad: { $unserializable: 'threw TypeError' },
			call: { $unserializable: 'function' },
		})
		expect(loop.stats()).toMatchObject({ published: 1, unserializable: 2 })
	})

	test('has lone surrogates replaced everywhere, counted', () => {
		const loop = new MeshLoop()
		const bad = 'a\ud800b'
		const origin = { chainId: bad, epoch: 1, seq: 1 }
		const record = loop.publish({
			kind: bad,
			message: bad,
			daemonId: bad,
			nodeId: bad,
			data: { [bad]: bad },
			origin,
		})
		const good = 'a\ufffdb'
		expect(record).toMatchObject({
			kind: good,
			message: good,
			daemonId: good,
			nodeId: good,
			data: { [good]: good },
			origin: { chainId: good },
		})
		expect(loop.stats().replacedSurrogates).toBe(7)
	})

	test('with a message that is too long is cut, states the missing length, and is counted', () => {
		const loop = new MeshLoop()
		const record = loop.info('x'.repeat(300_000))
		const [, more] = /… \((\d+) more\)$/.exec(record?.message ?? '') ?? []
		expect(record?.message.length).toBeLessThanOrEqual(262_144)
		expect(record?.message.indexOf('…')).toBe(300_000 - Number(more))
		expect(loop.info('x'.repeat(262_144))?.message).toHaveLength(262_144)
		expect(loop.info(record?.message ?? '')?.message).toBe(record?.message)
		expect(loop.stats().truncatedMessages).toBe(1)
	})

	test('is never cut within a surrogate pair', () => {
		const loop = new MeshLoop()
		for (const lead of ['', 'a']) {
			const message = loop.info(lead + '😀'.repeat(140_000))?.message ?? ''
			expect(message).not.toContain('\ufffd')
		}
		expect(loop.stats().replacedSurrogates).toBe(0)
	})

	test('may be published while its own data is copied, and seq stays in order', () => {
		const appender = new BufferingAppender()
		const loop = new MeshLoop(appender)
		const data = {
			get inner() {
				return loop.info('inner')?.seq
			},
		}
		expect(loop.info('outer', data)).toMatchObject({ seq: 2, data: { inner: 1 } })
		expect(appender.captured().map(({ seq }) => seq)).toEqual([1, 2])
	})

	test('has unknown fields in its data', () => {
		const record = new MeshLoop().publish({ message: 'm', seq: 99, extra: 1 } as LogLine)
		expect(record).toMatchObject({ seq: 1, data: { seq: 99, extra: 1 } })
		expect(record).not.toHaveProperty('extra')
	})
})

describe('an invalid field becomes part of the data, counted', () => {
	const cases: [string, Record<string, unknown>][] = [
		['kind *', { kind: '*' }],
		['a kind with $', { kind: '$gap' }],
		['an empty kind', { kind: '' }],
		['a kind of 257 characters', { kind: 'k'.repeat(257) }],
		['a kind that is a number', { kind: 5 }],
		['an unknown level', { level: 'loud' }],
		['a level for loops only', { level: 'silent' }],
		['a message that is an array', { message: [5] }],
		['an id that is an object', { daemonId: { a: 1 } }],
		['an id of 257 characters', { nodeId: 'n'.repeat(257) }],
		['an infinite id', { daemonId: Number.POSITIVE_INFINITY }],
		['a bigint beyond 64 bits', { daemonId: 2n ** 64n }],
		['a bigint below 64 bits', { daemonId: -(2n ** 63n) - 1n }],
		['a time that is NaN', { tsMs: Number.NaN }],
		['a time that is a Date', { tsMs: new Date(5) }],
		['a time too late', { tsMs: 8_640_000_000_000_001 }],
		['an origin without a chain', { origin: { epoch: 1, seq: 1 } }],
		['an origin with seq 0', { origin: { chainId: 'c', epoch: 1, seq: 0 } }],
		['an origin that is null', { origin: null }],
	]
	const valid = { level: 'info', kind: 'log', message: 'log', daemonId: null, nodeId: null, tsMs: 7 }

	test.each(cases)('%s', (_title, line) => {
		const said = warnings()
		const loop = new MeshLoop(undefined, { clock: () => 7 })
		expect(loop.publish(line as LogLine)).toMatchObject({ ...valid, seq: 1, data: line })
		const batch = loop.publishBatch([{ message: 'good' }, { ...line, data: { a: 1 } } as LogLine])
		expect(batch[1]).toMatchObject({ ...valid, seq: 3, data: { ...line, a: 1 } })
		expect(loop.stats()).toMatchObject({ published: 3, invalidLines: 2 })
		expect(said).toEqual(['INVALID_LINE'])
	})

	test.each([
		['a text', 'text', { message: 'text' }],
		['null', null, { message: 'null' }],
		['an array', [1], { message: 'log', data: [1] }],
	])('and so does a line that is %s', (_title, line, expected) => {
		warnings()
		const loop = new MeshLoop()
		expect(loop.publish(line as never)).toMatchObject(expected)
		expect(loop.stats()).toMatchObject({ published: 1, invalidLines: 1 })
	})

	test('a kind with $ is accepted if the line has an origin', () => {
		const origin = { chainId: 'c', epoch: 1, seq: 1 }
		expect(new MeshLoop().publish({ kind: '$gap', origin })).toMatchObject({ kind: '$gap', origin })
	})

	test('mesh-chain itself publishes kinds with $, whatever the level', () => {
		const loop = new MeshLoop(undefined, { level: 'error' })
		const child = loop.child({ daemonId: 'd', data: { request: 1 } })
		const record = coreOf(child).publishOwn({ kind: '$checkpoint', data: { state: 1 } })
		expect(record).toMatchObject({ kind: '$checkpoint', level: 'info', daemonId: 'd', data: { state: 1 } })
		expect(record?.data).not.toHaveProperty('request')
	})
})

describe('emit', () => {
	test('publishes data under a kind', () => {
		const loop = new MeshLoop<{ order: { id: number } }>()
		const fields = { level: 'warn', message: 'late', daemonId: 'd', nodeId: 'n', tsMs: 5 } as const
		expect(loop.emit('order', { id: 7 })).toMatchObject({ kind: 'order', level: 'info', message: 'order' })
		expect(loop.emit('order', { id: 7 }, fields)).toMatchObject({ ...fields, kind: 'order', data: { id: 7 } })
	})
})

describe('the level methods', () => {
	test('publish at their level, with data and fields', () => {
		const loop = new MeshLoop()
		for (const level of ['trace', 'debug', 'info', 'warn', 'error'] as const) {
			const record = loop[level]('hello', { a: 1 }, { daemonId: 5, nodeId: 6n, tsMs: 7 })
			expect(record).toMatchObject({
				level,
				message: 'hello',
				data: { a: 1 },
				daemonId: 5,
				nodeId: 6n,
				tsMs: 7,
			})
		}
	})
})

describe('a loop over a used appender', () => {
	test('Beat: seq continues after the last record of the chain, in the epoch of this opening', () => {
		const loop = new MeshLoop({ append() {}, nextSeq: 41, epoch: 3 })
		expect(loop.stats()).toMatchObject({ lastSeq: 40, epoch: 3 })
		expect(loop.info('hello')).toMatchObject({ seq: 41, epoch: 3 })
	})

	test.each([0, 1.5, Number.NaN, '1'])('a nextSeq of %s is refused', (nextSeq) => {
		const create = () => new MeshLoop({ append() {}, nextSeq: nextSeq as number })
		expect(create).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
	})
})
