import { describe, expect, test, vi } from 'vitest'
import { BufferingAppender } from '../../src/appenders/buffering.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { settled } from '../appenders/scripted-appender.ts'
import { reports, warnings } from './observed.ts'

describe('listeners', () => {
	test('of the kind are called before those of every kind, each in the order of registration', () => {
		const loop = new MeshLoop()
		const heard: string[] = []
		loop.on('*', () => heard.push('all 1'))
		loop.on('order', () => heard.push('order 1'))
		loop.on('order', () => heard.push('order 2'))
		loop.on('*', () => heard.push('all 2'))
		loop.on('other', () => heard.push('other'))
		loop.emit('order', 1)
		expect(heard).toEqual(['order 1', 'order 2', 'all 1', 'all 2'])
	})

	test('get the record that publish returns', () => {
		const loop = new MeshLoop()
		const listener = vi.fn()
		loop.on('log', listener)
		const record = loop.info('hello')
		expect(listener).toHaveBeenCalledExactlyOnceWith(record)
	})

	test('are typed by the kinds of the loop', () => {
		const loop = new MeshLoop<{ order: { id: number } }>()
		const ids: number[] = []
		loop.on('order', ({ data }) => ids.push(data?.id ?? 0))
		loop.emit('order', { id: 7 })
		// @ts-expect-error an order has a number
		loop.emit('order', { id: 'seven' })
		expect(ids).toEqual([7, 'seven'])
	})

	test('are called once after once, and not at all after off', () => {
		const loop = new MeshLoop()
		const once = vi.fn()
		const always = vi.fn()
		loop.once('*', once).on('*', always)
		loop.info('a')
		loop.info('b')
		loop.off('*', always)
		loop.info('c')
		expect([once.mock.calls.length, always.mock.calls.length]).toEqual([1, 2])
	})

	test('added with once can be removed before they are called', () => {
		const loop = new MeshLoop()
		const listener = vi.fn()
		loop.once('log', listener).off('log', listener)
		loop.info('a')
		expect(listener).not.toHaveBeenCalled()
	})

	test('of one kind stay when the same function is removed from another', () => {
		const loop = new MeshLoop()
		const listener = vi.fn()
		loop.on('a', listener).on('b', listener).off('a', listener)
		loop.emit('a', 1)
		loop.emit('b', 1)
		expect(listener).toHaveBeenCalledTimes(1)
	})

	test('that are not functions, and invalid kinds, are refused', () => {
		const loop = new MeshLoop()
		expect(() => loop.on('log', 5 as never)).toThrow(expect.objectContaining({ code: 'INVALID_USAGE' }))
		expect(() => loop.off('log', undefined as never)).toThrow(
			expect.objectContaining({ code: 'INVALID_USAGE' }),
		)
		expect(() => loop.on('', () => {})).toThrow(expect.objectContaining({ code: 'INVALID_KIND' }))
	})

	test('may listen to kinds named like properties of every object', () => {
		const loop = new MeshLoop()
		const heard: string[] = []
		for (const kind of ['__proto__', 'constructor', 'toString']) {
			loop.on(kind, (record) => heard.push(record.kind))
			loop.emit(kind, 1)
		}
		expect(heard).toEqual(['__proto__', 'constructor', 'toString'])
	})
})

describe('a listener that fails', () => {
	test.each([
		[
			'throws',
			() => {
				throw new Error('mine')
			},
		],
		[
			'throws undefined',
			() => {
				throw undefined
			},
		],
		[
			'rejects',
			async () => {
				throw new Error('mine')
			},
		],
	])('because it %s affects neither the loop nor the others', async (_title, listener) => {
		const said = warnings()
		const heard = reports('listener-error')
		const loop = new MeshLoop()
		const after = vi.fn()
		loop.on('log', listener).on('log', after).on('*', after)
		expect([loop.info('a')?.seq, loop.info('b')?.seq]).toEqual([1, 2])
		await settled()
		expect(after).toHaveBeenCalledTimes(4)
		expect(loop.stats().listenerErrors).toBe(2)
		expect(heard.map((message) => (message['record'] as { seq: number }).seq)).toEqual([1, 2])
		expect(said).toEqual(['LISTENER_FAILED'])
	})
})

describe('a listener that publishes', () => {
	test('gets its record back stamped, in the ring and appended; all listeners see one order', () => {
		const appender = new BufferingAppender()
		const loop = new MeshLoop(appender)
		const heard: string[] = []
		loop.on('*', ({ seq }) => {
			heard.push(`first ${seq}`)
			if (seq > 1) return
			const nested = loop.info('nested')
			expect(nested?.seq).toBe(2)
			expect(appender.captured().map((record) => record.seq)).toEqual([1, 2])
			expect(loop.snapshot()).toHaveLength(2)
		})
		loop.on('*', ({ seq }) => heard.push(`second ${seq}`))
		loop.info('outer')
		expect(heard).toEqual(['first 1', 'second 1', 'first 2', 'second 2'])
	})

	test('without end is cut: the records are kept, counted and reported, with one warning', () => {
		const said = warnings()
		const cut = reports('recursion-cut')
		const loop = new MeshLoop(undefined, { nestedDepthMax: 32 })
		loop.on('log', () => void loop.info('again'))
		loop.info('start')
		const { published, recursionCut } = loop.stats()
		expect([published, recursionCut]).toEqual([34, 1])
		loop.info('start')
		expect(loop.stats().recursionCut).toBe(2)
		expect(cut).toHaveLength(2)
		expect(cut[0]).toMatchObject({ source: loop, record: { seq: 34 }, bound: 'nestedDepthMax' })
		expect(said).toEqual(['RECURSION_CUT'])
	})

	test.each([1, 31, 32, 33, 100, 2_048, 5_000, 10_000])(
		'%i records deep, each from the previous one, has every record delivered',
		(depth) => {
			const loop = new MeshLoop(new BufferingAppender())
			const heard: number[] = []
			loop.on('step', ({ data }) => {
				const { left } = data as { left: number }
				heard.push(left)
				if (left > 0) loop.emit('step', { left: left - 1 })
			})
			loop.emit('step', { left: depth })
			expect(heard).toEqual(Array.from({ length: depth + 1 }, (_, index) => depth - index))
			expect(loop.stats()).toMatchObject({ published: depth + 1, recursionCut: 0 })
		},
	)

	test('deeper than the bound loses exactly the records beyond it, and the next publish none', () => {
		warnings()
		const appender = new BufferingAppender()
		const loop = new MeshLoop(appender, { nestedDepthMax: 50 })
		let heard = 0
		loop.on('step', ({ data }) => {
			heard++
			if ((data as number) > 0) loop.emit('step', (data as number) - 1)
		})
		for (const [depth, steps, cut] of [
			[50, 51, 0],
			[51, 51, 1],
			[80, 51, 2],
			[50, 51, 2],
		] as const) {
			heard = 0
			loop.emit('step', depth)
			expect([heard, loop.stats().recursionCut]).toEqual([steps, cut])
		}
		expect(appender.captured()).toHaveLength(51 + 52 + 52 + 51)
	})

	test('a hundred thousand records deep needs no more stack than one', () => {
		const deep = 100_000
		const loop = new MeshLoop(undefined, { nestedDepthMax: deep, nestedDeliveriesMax: deep, ringCapacity: 8 })
		let heard = 0
		loop.on('step', ({ data }) => {
			heard++
			if ((data as number) > 0) loop.emit('step', (data as number) - 1)
		})
		loop.emit('step', deep)
		expect([heard, loop.stats().recursionCut]).toEqual([deep + 1, 0])
	})

	test('names the bound that was reached, with its value', () => {
		const texts: string[] = []
		vi.spyOn(process, 'emitWarning').mockImplementation(((text: string) => void texts.push(text)) as never)
		for (const bounds of [{ nestedDepthMax: 3 }, { nestedDeliveriesMax: 7 }]) {
			const loop = new MeshLoop(undefined, bounds)
			loop.on('log', () => {
				loop.info('again')
				loop.info('and again')
			})
			loop.info('start')
		}
		vi.restoreAllMocks()
		expect(texts).toEqual([
			expect.stringMatching(/exceeded nestedDepthMax \(3\): record \d+ \(log\) is kept, but not delivered/),
			expect.stringMatching(
				/exceeded nestedDeliveriesMax \(7\): record \d+ \(log\) is kept, but not delivered/,
			),
		])
	})

	test('ever more is cut before memory runs out, by default at 65,536 nested deliveries a publish', () => {
		warnings()
		const loop = new MeshLoop()
		let heard = 0
		loop.on('log', () => {
			heard += 1
			loop.info('again')
			loop.info('and again')
		})
		loop.info('start')
		expect(heard).toBe(65_537)
		expect(loop.stats().recursionCut).toBeGreaterThan(0)
		heard = 0
		loop.info('start')
		expect(heard).toBe(65_537)
	})

	test('many records without a listener is not cut', () => {
		const loop = new MeshLoop()
		loop.once('start', () => {
			for (let index = 0; index < 70_000; index++) loop.info('unheard')
		})
		loop.emit('start', 1)
		expect(loop.stats().recursionCut).toBe(0)
	})
})
