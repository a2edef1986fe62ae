import { describe, expect, test, vi } from 'vitest'
import { BufferingAppender } from '../../src/appenders/buffering.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { warnings } from './observed.ts'

describe('the level of a loop', () => {
	test('lines below it are counted and not built', () => {
		const context = vi.fn(() => undefined)
		const transform = vi.fn((line) => line)
		const clock = vi.fn(() => 5)
		const loop = new MeshLoop(undefined, { level: 'warn', context, transform, clock })
		const data = {
			get read(): never {
				throw new Error('was read')
			},
		}
		expect(loop.info('quiet', data)).toBeUndefined()
		expect(loop.publish({ level: 'debug', data })).toBeUndefined()
		expect(loop.emit('quiet', data)).toBeUndefined()
		expect([context, transform, clock].map((mock) => mock.mock.calls.length)).toEqual([0, 0, 0])
		expect(loop.stats()).toMatchObject({ belowLevel: 3, published: 0, unserializable: 0, lastSeq: 0 })
		expect(loop.warn('loud')?.seq).toBe(1)
	})

	test('is trace by default, so that everything is kept', () => {
		const loop = new MeshLoop()
		expect(loop.level).toBe('trace')
		expect(loop.trace('detail')?.seq).toBe(1)
	})

	test('can be read, set and queried', () => {
		const loop = new MeshLoop()
		loop.level = 'warn'
		expect(loop.level).toBe('warn')
		expect([loop.isLevelEnabled('info'), loop.isLevelEnabled('warn')]).toEqual([false, true])
		const invalid = expect.objectContaining({ code: 'INVALID_LEVEL' })
		expect(() => {
			loop.level = 'loud' as never
		}).toThrow(invalid)
		expect(() => loop.isLevelEnabled('loud' as never)).toThrow(invalid)
		expect(loop.level).toBe('warn')
	})
})

describe('a child', () => {
	test('adds its fields to each line, and the line wins', () => {
		const child = new MeshLoop(undefined, { nodeId: 'root' }).child({
			daemonId: 'd',
			nodeId: 'n',
			tsMs: 5,
			data: { request: 1, user: 'u' },
		})
		expect(child.info('hello')).toMatchObject({
			daemonId: 'd',
			nodeId: 'n',
			tsMs: 5,
			data: { request: 1, user: 'u' },
		})
		expect(child.info('hello', { request: 2 }, { daemonId: null, nodeId: 'x', tsMs: 6 })).toMatchObject({
			daemonId: null,
			nodeId: 'x',
			tsMs: 6,
			data: { request: 2, user: 'u' },
		})
	})

	test.each([
		['an array', [1, 2], [1, 2]],
		['a text', 'text', 'text'],
		['null', null, null],
		['a Date', new Date(5), new Date(5)],
		['an object with toJSON', { toJSON: () => 'mine' }, 'mine'],
	])('puts %s beside its own data, under the key data', (_title, data, expected) => {
		const child = new MeshLoop().child({ data: { request: 1 } })
		expect(child.info('hello', data)?.data).toEqual({ request: 1, data: expected })
	})

	test('puts an Error beside its own data, under the key error', () => {
		const child = new MeshLoop().child({ data: { request: 1 } })
		const data = child.error('failed', new TypeError('boom'))?.data
		expect(data).toMatchObject({ request: 1, error: { name: 'TypeError', message: 'boom' } })
	})

	test('does not throw when reading the data to merge throws', () => {
		const child = new MeshLoop().child({ data: { request: 1 } })
		const data = {
			get bad(): never {
				throw new TypeError('mine')
			},
		}
		expect(child.info('hello', data)?.data).toEqual({
			request: 1,
			data: { bad: { $unserializable: 'threw TypeError' } },
		})
	})

	test('without data of its own leaves the data of a line unchanged', () => {
		expect(new MeshLoop().child({ daemonId: 'd' }).info('hello', [1])?.data).toEqual([1])
	})

	test('of a child has the fields of both, the nearer first', () => {
		const child = new MeshLoop()
			.child({ daemonId: 'd', data: { a: 1, b: 1 } })
			.child({ nodeId: 'n', data: { b: 2 } })
		expect(child.info('hello')).toMatchObject({ daemonId: 'd', nodeId: 'n', data: { a: 1, b: 2 } })
	})

	test('is not affected by later changes to its fields', () => {
		const data = { list: [1] }
		const child = new MeshLoop().child({ data })
		data.list.push(2)
		expect(child.info('hello')?.data).toEqual({ list: [1] })
	})

	test('shares ring, appender, sequence and listeners', () => {
		const appender = new BufferingAppender()
		const loop = new MeshLoop(appender)
		const child = loop.child({})
		const heard: number[] = []
		child.on('*', ({ seq }) => heard.push(seq))
		loop.info('one')
		child.info('two')
		expect(heard).toEqual([1, 2])
		expect(appender.captured()).toHaveLength(2)
		expect(loop.snapshot()).toEqual(child.snapshot())
		expect(child.stats()).toEqual(loop.stats())
	})

	test('follows the level of its parent until its own is set', () => {
		const loop = new MeshLoop()
		const child = loop.child({})
		const grandchild = child.child({})
		loop.level = 'warn'
		expect([child.level, grandchild.level]).toEqual(['warn', 'warn'])
		child.level = 'debug'
		expect([loop.level, child.level, grandchild.level]).toEqual(['warn', 'debug', 'debug'])
		expect([loop.debug('x'), child.debug('x')?.seq]).toEqual([undefined, 1])
	})

	test.each([
		['data that is not a plain object', { data: [1] }, { data: [1] }],
		['no object', 'd', { data: 'd' }],
		['a bad id', { daemonId: {} }, { daemonId: {} }],
		['a bad time', { tsMs: 'today' }, { tsMs: 'today' }],
		['unknown fields', { requestId: 'r', data: { a: 1 } }, { requestId: 'r', a: 1 }],
		['nothing', undefined, undefined],
	])('with %s as its fields adds them to the data', (_title, fields, data) => {
		const record = new MeshLoop().child(fields as never).info('hello')
		expect(record?.data).toEqual(data)
		expect(record).toMatchObject({ daemonId: null })
	})

	test('closes alone: its later lines are counted and dropped, the other loops continue', async () => {
		const said = warnings()
		const loop = new MeshLoop()
		const child = loop.child({})
		const sibling = loop.child({})
		await child.close()
		expect(child.info('late')).toBeUndefined()
		expect([loop.info('x')?.seq, sibling.info('x')?.seq]).toEqual([1, 2])
		expect(loop.stats().publishedAfterClose).toBe(1)
		expect(said).toEqual(['PUBLISHED_AFTER_CLOSE'])
	})

	test('is closed when its root is closed', async () => {
		const said = warnings()
		const loop = new MeshLoop()
		const child = loop.child({})
		await loop.close()
		expect(child.info('late')).toBeUndefined()
		await child.close()
		expect(said).toEqual(['PUBLISHED_AFTER_CLOSE'])
	})
})
