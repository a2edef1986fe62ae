import { describe, expect, test } from 'vitest'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { labels, settled } from '../appenders/scripted-appender.ts'

function publish(loop: MeshLoop, count: number): void {
	for (let index = 0; index < count; index++) loop.info('hello')
}

/** Reads `count` records. */
async function take(source: AsyncIterableIterator<never> | ReturnType<MeshLoop['subscribe']>, count: number) {
	const taken: string[] = []
	for (let index = 0; index < count; index++) {
		const { value, done } = await source.next()
		if (done === true) return [...taken, 'done']
		taken.push(...labels([value as never]))
	}
	return taken
}

describe('a subscription', () => {
	test('has the records published from now on, in order', async () => {
		const loop = new MeshLoop()
		publish(loop, 2)
		const subscription = loop.subscribe()
		publish(loop, 3)
		expect(await take(subscription, 3)).toEqual(['3', '4', '5'])
	})

	test('waits for later records', async () => {
		const loop = new MeshLoop()
		const next = loop.subscribe().next()
		await settled()
		const record = loop.info('hello')
		expect(await next).toEqual({ done: false, value: record })
	})

	test('has only matching records, and skips the others while it waits', async () => {
		const loop = new MeshLoop(undefined, { ringCapacity: 2 })
		const subscription = loop.subscribe({ level: 'error' })
		const next = subscription.next()
		publish(loop, 10)
		loop.error('found')
		expect((await next).value).toMatchObject({ seq: 11 })
		expect(loop.stats().lagged).toBe(0)
	})

	test('Match: its watermark moves past records that did not match', async () => {
		const loop = new MeshLoop(undefined, { ringCapacity: 4 })
		const subscription = loop.subscribe({ kind: 'a' })
		publish(loop, 3)
		loop.emit('a', 1)
		expect(await take(subscription, 1)).toEqual(['4'])
		publish(loop, 3)
		const next = take(subscription, 1)
		publish(loop, 100)
		loop.emit('a', 1)
		expect(await next).toEqual(['108'])
	})

	test('Beat: records that left the ring before they were read show as one gap, counted', async () => {
		const loop = new MeshLoop(undefined, { ringCapacity: 3, clock: () => 9 })
		const subscription = loop.subscribe({ kind: 'log' })
		publish(loop, 10)
		const { value } = await subscription.next()
		expect(value).toMatchObject({
			kind: '$gap',
			seq: 7,
			tsMs: 9,
			data: { fromSeq: 1, toSeq: 7, count: 7, cause: 'lagged' },
		})
		expect(await take(subscription, 3)).toEqual(['8', '9', '10'])
		publish(loop, 5)
		expect(await take(subscription, 2)).toEqual(['gap 11-12 lagged', '13'])
		expect(loop.stats().lagged).toBe(9)
	})

	test('ends by break, and detaches from the loop', async () => {
		const loop = new MeshLoop()
		const subscription = loop.subscribe()
		publish(loop, 3)
		for await (const record of subscription) if (record.seq === 2) break
		expect(await subscription.next()).toEqual({ done: true, value: undefined })
	})

	test('return() ends pending calls of next', async () => {
		const loop = new MeshLoop()
		const subscription = loop.subscribe()
		const waiting = [subscription.next(), subscription.next()]
		await subscription.return?.()
		expect(await Promise.all(waiting)).toEqual([
			{ done: true, value: undefined },
			{ done: true, value: undefined },
		])
		publish(loop, 1)
	})

	test('gives each of several callers a record of its own', async () => {
		const loop = new MeshLoop()
		const subscription = loop.subscribe()
		const waiting = [subscription.next(), subscription.next(), subscription.next()]
		publish(loop, 1)
		loop.publishBatch([{}, {}, {}])
		const results = await Promise.all(waiting)
		expect(labels(results.map(({ value }) => value as never))).toEqual(['1', '2', '3'])
		expect(await take(subscription, 1)).toEqual(['4'])
	})

	test('ends at close, after the records in the ring', async () => {
		const loop = new MeshLoop()
		const busy = loop.subscribe()
		const waiting = loop.subscribe({ level: 'error' })
		const next = waiting.next()
		publish(loop, 2)
		await loop.close()
		expect((await next).done).toBe(true)
		expect(await take(busy, 3)).toEqual(['1', '2', 'done'])
		expect(await take(loop.subscribe(), 1)).toEqual(['done'])
	})

	test('ends at close even if the appender hangs', async () => {
		const loop = new MeshLoop({ append: () => new Promise<void>(() => {}) })
		const next = loop.subscribe({ level: 'error' }).next()
		publish(loop, 1)
		void loop.close()
		expect((await next).done).toBe(true)
	})

	test('ends where its filter ends', async () => {
		const loop = new MeshLoop()
		const subscription = loop.subscribe({ toSeq: 2 })
		const taken = take(subscription, 5)
		publish(loop, 4)
		expect(await taken).toEqual(['1', '2', 'done'])
	})

	test('ends all pending calls when its filter has ended', async () => {
		const loop = new MeshLoop()
		const subscription = loop.subscribe({ toSeq: 1 })
		const waiting = [subscription.next(), subscription.next()]
		publish(loop, 1)
		expect((await Promise.all(waiting)).map(({ done }) => done)).toEqual([false, true])
	})

	test('has records in order when a listener publishes', async () => {
		const loop = new MeshLoop()
		loop.once('*', () => void loop.info('nested'))
		const subscription = loop.subscribe()
		const taken = take(subscription, 2)
		loop.info('outer')
		expect(await taken).toEqual(['1', '2'])
	})

	test('refuses an invalid filter at once', () => {
		const subscribe = () => new MeshLoop().subscribe({ levle: 'info' } as object)
		expect(subscribe).toThrow(expect.objectContaining({ code: 'INVALID_FILTER' }))
	})

	test('that is not being read costs the loop nothing, which does not refer to it', () => {
		const loop = new MeshLoop()
		for (let index = 0; index < 1000; index++) loop.subscribe()
		publish(loop, 10)
		expect(loop.stats().lagged).toBe(0)
	})
})
