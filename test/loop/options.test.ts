import { describe, expect, test } from 'vitest'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import type { MeshLoopOptions } from '../../src/loop/options.ts'

describe('the options of a loop', () => {
	test.each([
		['an unknown name', { ringCapasity: 5 }, 'INVALID_OPTION'],
		['a capacity of 0', { ringCapacity: 0 }, 'INVALID_OPTION'],
		['a fractional capacity', { ringCapacity: 1.5 }, 'INVALID_OPTION'],
		['no bytes', { ringBytesMax: 0 }, 'INVALID_OPTION'],
		['a clock that is not a function', { clock: 5 }, 'INVALID_OPTION'],
		['a nesting of 0', { nestedDepthMax: 0 }, 'INVALID_OPTION'],
		['an infinite nesting', { nestedDeliveriesMax: Number.POSITIVE_INFINITY }, 'INVALID_OPTION'],
		['a closing time of 0', { closeTimeoutMs: 0 }, 'INVALID_OPTION'],
		['a closing time beyond the longest timer', { closeTimeoutMs: 2 ** 31 }, 'INVALID_OPTION'],
		['a context that is not a function', { context: {} }, 'INVALID_OPTION'],
		['a transform that is not a function', { transform: null }, 'INVALID_OPTION'],
		['an unknown level', { level: 'loud' }, 'INVALID_LEVEL'],
		['an id that is an object', { nodeId: {} }, 'INVALID_ID'],
		['no object', 'fast', 'INVALID_OPTION'],
	])('%s is refused', (_title, options, code) => {
		const create = () => new MeshLoop(undefined, options as MeshLoopOptions)
		expect(create).toThrow(expect.objectContaining({ code }))
	})

	test('refused options leave the appender free for another loop', () => {
		const appender = { append() {} }
		expect(() => new MeshLoop(appender, { ringCapacity: 0 })).toThrow()
		expect(new MeshLoop(appender).info('hello')?.seq).toBe(1)
	})

	test('undefined means the default', () => {
		const loop = new MeshLoop(undefined, {
			level: undefined,
			ringCapacity: undefined,
			clock: undefined,
		} as object)
		expect(loop.level).toBe('trace')
		expect(loop.stats().ring.capacity).toBe(2048)
	})

	test('two loops on one appender: APPENDER_IN_USE', () => {
		const appender = { append() {} }
		new MeshLoop(appender)
		expect(() => new MeshLoop(appender)).toThrow(expect.objectContaining({ code: 'APPENDER_IN_USE' }))
	})

	test('an object that cannot append is not an appender', () => {
		const create = () => new MeshLoop('node.chain' as never)
		expect(create).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
	})
})

describe('Match: NoOp is the default appender', () => {
	test('always succeeds, has nothing pending, and declares the durability none', async () => {
		const loop = new MeshLoop()
		for (let count = 0; count < 3; count++) loop.info('hello')
		loop.publishBatch([{}, {}])
		expect(loop.snapshot().map(({ chainPending }) => chainPending)).toEqual([
			false,
			false,
			false,
			false,
			false,
		])
		expect(loop.stats().appender).toMatchObject({
			durability: 'none',
			failing: false,
			appended: 5,
			pending: 0,
		})
		expect(loop.committedSeq).toBe(5)
		loop.flush()
		await loop.sync()
		await loop.close()
	})
})
