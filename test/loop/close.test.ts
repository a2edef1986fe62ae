import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { BufferingAppender } from '../../src/appenders/buffering.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import {
	labels,
	ManualAppender,
	RETRYABLE,
	ScriptedAppender,
	settled,
} from '../appenders/scripted-appender.ts'
import { reports, warnings } from './observed.ts'

function publish(loop: MeshLoop, count: number): void {
	for (let index = 0; index < count; index++) loop.info('hello')
}

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] }))
afterEach(() => void vi.useRealTimers())

describe('close', () => {
	test('Beat: close drains, syncs and closes the appender, in this order', async () => {
		const steps: string[] = []
		const appender = Object.assign(new ScriptedAppender(), {
			sync: async () => void steps.push(`sync ${appender.taken.length}`),
			close: async () => void steps.push('close'),
		})
		warnings()
		const loop = new MeshLoop(appender)
		appender.fail()
		publish(loop, 2)
		appender.heal()
		await loop.close()
		expect(steps).toEqual(['sync 2', 'close'])
		expect(vi.getTimerCount()).toBe(0)
	})

	test('is idempotent: one promise, one close of the appender', async () => {
		const close = vi.fn(async () => {})
		const loop = new MeshLoop({ append() {}, close })
		const first = loop.close()
		expect(loop.close()).toBe(first)
		await first
		await loop.close()
		expect(close).toHaveBeenCalledTimes(1)
	})

	test('later lines are counted, reported, warned about once, and dropped without a throw', async () => {
		const said = warnings()
		const late = reports('published-after-close')
		const appender = new BufferingAppender()
		const loop = new MeshLoop(appender)
		const closing = loop.close()
		expect(loop.info('late')).toBeUndefined()
		await closing
		expect(loop.publish({ kind: '*' })).toBeUndefined()
		expect(loop.stats().publishedAfterClose).toBe(2)
		expect(late).toHaveLength(2)
		expect(late[0]).toMatchObject({ source: loop, line: { level: 'info', message: 'late' } })
		expect(said).toEqual(['PUBLISHED_AFTER_CLOSE'])
		expect(appender.captured()).toEqual([])
	})

	test('works with await using', async () => {
		const close = vi.fn(async () => {})
		const loop = new MeshLoop({ append() {}, close })
		await loop[Symbol.asyncDispose]()
		expect(close).toHaveBeenCalledTimes(1)
	})

	test('waits for appends in flight and for later records', async () => {
		const appender = new ManualAppender()
		const loop = new MeshLoop(appender)
		publish(loop, 3)
		const done = vi.fn()
		void loop.close().then(done)
		for (let call = 0; call < 3; call++) {
			await settled()
			expect(done).not.toHaveBeenCalled()
			await appender.resolve()
		}
		expect(done).toHaveBeenCalled()
		expect(loop.stats().appender).toMatchObject({ appended: 3, lost: { atClose: 0 } })
	})

	test('retries pending records once after an append in flight has failed', async () => {
		warnings()
		const appender = new ManualAppender()
		const loop = new MeshLoop(appender)
		publish(loop, 1)
		const closing = loop.close()
		await settled()
		await appender.reject()
		expect(appender.waiting).toEqual(['1'])
		await appender.resolve()
		await closing
	})

	test('does not wait for a failing appender: records not taken are counted and reported', async () => {
		const said = warnings()
		const gaps = reports('gap')
		const close = vi.fn(async () => {})
		const appender = Object.assign(new ScriptedAppender(), { close })
		const loop = new MeshLoop(appender)
		publish(loop, 1)
		appender.fail()
		publish(loop, 3)
		await expect(loop.close()).rejects.toMatchObject({ code: 'CLOSE_FAILED', seq: 2 })
		expect(close).toHaveBeenCalledTimes(1)
		expect(loop.stats().appender).toMatchObject({ lost: { atClose: 3, evicted: 0 }, pending: 0 })
		expect(gaps).toEqual([
			expect.objectContaining({ gap: expect.objectContaining({ fromSeq: 2, toSeq: 4, count: 3 }) }),
		])
		expect(said).toEqual(['APPENDER_FAILING', 'RECORDS_LOST'])
		expect(loop.snapshot().map(({ chainPending }) => chainPending)).toEqual([false, true, true, true])
		expect(vi.getTimerCount()).toBe(0)
	})

	test('counts a gap that the appender never received', async () => {
		warnings()
		const appender = new ScriptedAppender()
		const loop = new MeshLoop(appender, { ringCapacity: 2 })
		appender.fail()
		publish(loop, 5)
		await expect(loop.close()).rejects.toMatchObject({ code: 'CLOSE_FAILED' })
		expect(loop.stats().appender).toMatchObject({ lost: { evicted: 3, atClose: 2 }, gapsUnwritten: 1 })
	})

	test('rejects with the error of the appender’s close, after everything else is done', async () => {
		const loop = new MeshLoop({ append() {}, close: () => Promise.reject(new Error('EIO')) })
		const next = loop.subscribe().next()
		await expect(loop.close()).rejects.toMatchObject({
			code: 'CLOSE_FAILED',
			message: expect.stringMatching(/EIO/),
		})
		expect((await next).done).toBe(true)
	})

	test('closes the appender even if it cannot sync, and reports the first failure', async () => {
		const close = vi.fn(() => {
			throw new Error('second')
		})
		const sync = () => Promise.reject(new Error('first'))
		const loop = new MeshLoop({ append() {}, sync, close })
		await expect(loop.close()).rejects.toMatchObject({
			code: 'SYNC_FAILED',
			message: expect.stringMatching(/first/),
		})
		expect(close).toHaveBeenCalledTimes(1)
	})

	test('an appender that publishes while it is drained is too late', async () => {
		warnings()
		const appender = new ScriptedAppender()
		const loop = new MeshLoop(appender)
		appender.fail()
		publish(loop, 1)
		appender.verdict = () => void loop.info('inner')
		await loop.close()
		expect(labels(appender.taken)).toEqual(['1'])
	})

	test('called from within an append, reports every loss', async () => {
		warnings()
		const gaps = reports<{ gap: { count: number } }>('gap')
		const appender = new ScriptedAppender()
		const loop = new MeshLoop(appender, { ringCapacity: 1 })
		appender.fail()
		publish(loop, 1)
		appender.verdict = () => {
			void loop.close()
			throw RETRYABLE()
		}
		expect(loop.info('late')).toBeUndefined()
		await expect(loop.close()).rejects.toMatchObject({ code: 'CLOSE_FAILED', seq: 1 })
		expect(gaps).toEqual([expect.objectContaining({ gap: expect.objectContaining({ count: 1 }) })])
		expect(loop.stats()).toMatchObject({ publishedAfterClose: 1, appender: { lost: { evicted: 1 } } })
	})

	test('flush and sync do nothing afterwards', async () => {
		const sync = vi.fn(async () => {})
		const loop = new MeshLoop({ append() {}, sync })
		await loop.close()
		loop.flush()
		await loop.sync()
		expect(sync).toHaveBeenCalledTimes(1)
	})
})

describe('the exit hook', () => {
	const exitListeners = () => process.listenerCount('exit')

	test('is present while the loop has records that the appender did not take, until close', async () => {
		warnings()
		const before = exitListeners()
		const appender = new ScriptedAppender()
		const loop = new MeshLoop(appender)
		publish(loop, 1)
		expect(exitListeners()).toBe(before)
		appender.fail()
		publish(loop, 1)
		expect(exitListeners()).toBe(before + 1)
		appender.heal()
		await loop.close()
		expect(exitListeners()).toBe(before)
	})

	test('is shared by all loops', async () => {
		warnings()
		const before = exitListeners()
		const loops = [1, 2, 3].map(() => new MeshLoop({ append: () => new Promise<void>(() => {}) }))
		for (const loop of loops) publish(loop, 1)
		expect(exitListeners()).toBe(before + 1)
	})
})
