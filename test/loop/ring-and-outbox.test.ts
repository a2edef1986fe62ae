import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { LogAppendError } from '../../src/model/errors.ts'
import { labels, POISON, RETRYABLE, ScriptedAppender } from '../appenders/scripted-appender.ts'
import { reports, warnings } from './observed.ts'

const pending = (loop: MeshLoop) =>
	loop
		.snapshot()
		.filter(({ chainPending }) => chainPending)
		.map(({ seq }) => seq)

function publish(loop: MeshLoop, count: number): void {
	for (let index = 0; index < count; index++) loop.info('hello')
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('an appender that fails temporarily', () => {
	test('Match: an append error never throws into the publisher and has a reason', () => {
		warnings()
		const appender = new ScriptedAppender()
		const loop = new MeshLoop(appender)
		appender.fail()
		expect(loop.info('hello')?.seq).toBe(1)
		expect(loop.stats().appender).toMatchObject({
			failing: true,
			failures: 1,
			pending: 1,
			lastError: 'disk full',
		})
	})

	test('Match: ring first, then the appender; on failure only the ring’s copy becomes pending', () => {
		warnings()
		const appender = new ScriptedAppender()
		const loop = new MeshLoop(appender)
		const inRing: number[] = []
		appender.verdict = () => {
			inRing.push(loop.snapshot().length)
			throw RETRYABLE()
		}
		loop.info('hello')
		expect(inRing).toEqual([1])
		expect(pending(loop)).toEqual([1])
		appender.heal()
		loop.info('hello')
		expect(appender.taken.map(({ chainPending }) => chainPending)).toEqual([false, false])
		expect(pending(loop)).toEqual([])
	})

	test('Beat: pending records are retried, in order, by the next publish', () => {
		warnings()
		const appender = new ScriptedAppender()
		const loop = new MeshLoop(appender)
		appender.fail()
		publish(loop, 3)
		expect(appender.taken).toEqual([])
		expect(loop.stats().appender).toMatchObject({ pending: 3, committedSeq: 0, retries: 2 })
		appender.heal()
		publish(loop, 1)
		expect(labels(appender.taken)).toEqual(['1', '2', '3', '4'])
		expect(loop.stats().appender).toMatchObject({ pending: 0, committedSeq: 4, failing: false })
	})

	test('Beat: pending records are retried by a timer with a back-off if nothing is published', () => {
		warnings()
		const appender = new ScriptedAppender()
		const loop = new MeshLoop(appender)
		appender.fail()
		publish(loop, 1)
		const retryTimesMs: number[] = []
		const startMs = Date.now()
		appender.verdict = () => {
			retryTimesMs.push(Date.now() - startMs)
			throw RETRYABLE()
		}
		vi.advanceTimersByTime(20_000)
		expect(retryTimesMs).toEqual([50, 150, 350, 750, 1550, 3150, 6350, 11350, 16350])
		appender.heal()
		vi.advanceTimersByTime(5_000)
		expect(labels(appender.taken)).toEqual(['1'])
		expect(vi.getTimerCount()).toBe(0)
	})

	test('the timer does not keep a process alive', () => {
		warnings()
		const appender = new ScriptedAppender()
		const loop = new MeshLoop(appender)
		const spy = vi.spyOn(globalThis, 'setTimeout')
		appender.fail()
		publish(loop, 1)
		expect(spy.mock.results[0]?.value.hasRef()).toBe(false)
	})

	test('the back-off begins anew after recovery', () => {
		warnings()
		const appender = new ScriptedAppender()
		const loop = new MeshLoop(appender)
		appender.fail()
		publish(loop, 1)
		vi.advanceTimersByTime(1000)
		appender.heal()
		publish(loop, 1)
		appender.fail()
		publish(loop, 1)
		const before = appender.calls
		vi.advanceTimersByTime(50)
		expect(appender.calls).toBe(before + 1)
	})

	test('failure and recovery are warned of once per change, and reported', () => {
		const said = warnings()
		const failing = reports('failing')
		const recovered = reports('recovered')
		const appender = new ScriptedAppender()
		const loop = new MeshLoop(appender)
		for (let round = 1; round <= 2; round++) {
			appender.fail()
			publish(loop, 5)
			appender.heal()
			publish(loop, 5)
		}
		expect(said).toEqual(['APPENDER_FAILING', 'APPENDER_RECOVERED', 'APPENDER_FAILING', 'APPENDER_RECOVERED'])
		expect(failing).toHaveLength(2)
		expect(failing[0]).toMatchObject({ source: loop, error: expect.any(LogAppendError) })
		expect(recovered).toEqual([{ source: loop }, { source: loop }])
	})

	test('an appender with its own failure causes no warning, but a report', () => {
		const said = warnings()
		const failing = reports('failing')
		const appender = Object.assign(new ScriptedAppender(), { failure: RETRYABLE() })
		const loop = new MeshLoop(appender)
		appender.fail()
		publish(loop, 1)
		appender.heal()
		publish(loop, 1)
		expect(said).toEqual([])
		expect(failing).toHaveLength(1)
	})

	test.each([
		['an Error', () => new Error('plain')],
		['a text', () => 'text'],
		['undefined', () => undefined],
		['an object that cannot be shown', () => Object.create(null)],
	])('Beat: %s thrown by an appender is caught, and retryable', (_title, thrown) => {
		warnings()
		const appender = new ScriptedAppender()
		const loop = new MeshLoop(appender)
		appender.fail(thrown)
		publish(loop, 2)
		expect(loop.stats().appender).toMatchObject({ failing: true, pending: 2 })
		appender.heal()
		publish(loop, 1)
		expect(labels(appender.taken)).toEqual(['1', '2', '3'])
	})

	test('a returned value is not treated as a promise unless it is one', () => {
		const taken: number[] = []
		const loop = new MeshLoop({ append: ({ seq }) => taken.push(seq) as never })
		publish(loop, 3)
		expect(taken).toEqual([1, 2, 3])
		expect(loop.stats().appender).toMatchObject({ pending: 0, committedSeq: 3 })
	})

	test('an appender without durability never has pending records', () => {
		warnings()
		const appender = Object.assign(new ScriptedAppender(), { durability: 'none' as const })
		const loop = new MeshLoop(appender)
		appender.fail()
		publish(loop, 2)
		expect(pending(loop)).toEqual([])
	})

	test('an appender’s own committedSeq is used', () => {
		const appender = Object.assign(new ScriptedAppender(), { committedSeq: 0, durability: 'disk' as const })
		const loop = new MeshLoop(appender)
		publish(loop, 3)
		expect(pending(loop)).toEqual([1, 2, 3])
		appender.committedSeq = 2
		expect([loop.committedSeq, pending(loop)]).toEqual([2, [3]])
		expect(loop.stats().appender.durability).toBe('disk')
	})
})

describe('a record that the appender refuses for good', () => {
	test('becomes a counted gap that the appender gets in its place, and later records follow', () => {
		const said = warnings()
		const gaps = reports('gap')
		const appender = new ScriptedAppender()
		const loop = new MeshLoop(appender, { clock: () => 77 })
		appender.poison(2)
		publish(loop, 3)
		expect(labels(appender.taken)).toEqual(['1', 'gap 2-2 appendFailed', '3'])
		expect(appender.taken[1]).toMatchObject({ kind: '$gap', seq: 2, tsMs: 77, epoch: 1, level: 'warn' })
		expect(loop.stats().appender).toMatchObject({
			appended: 2,
			failing: false,
			lost: { appendFailed: 1, evicted: 0 },
			gapsAppended: 1,
			lastError: 'poison',
		})
		expect(gaps).toEqual([{ source: loop, gap: { fromSeq: 2, toSeq: 2, count: 1, cause: 'appendFailed' } }])
		expect(said).toEqual(['RECORDS_LOST'])
	})

	test('stays pending in the ring, so that it never looks durable', () => {
		warnings()
		const appender = new ScriptedAppender()
		const loop = new MeshLoop(appender)
		appender.poison(2, 3, 5)
		publish(loop, 6)
		expect(loop.committedSeq).toBe(6)
		expect(pending(loop)).toEqual([2, 3, 5])
	})

	test('further refusals are only counted', () => {
		const said = warnings()
		const appender = new ScriptedAppender()
		const loop = new MeshLoop(appender)
		appender.poison(1, 2, 3)
		publish(loop, 3)
		expect(said).toEqual(['RECORDS_LOST'])
		expect(loop.stats().appender.lost.appendFailed).toBe(3)
	})

	test('its gap is dropped, counted, if the appender refuses the gap too', () => {
		warnings()
		const appender = new ScriptedAppender()
		const loop = new MeshLoop(appender)
		appender.fail(POISON)
		publish(loop, 2)
		appender.heal()
		publish(loop, 1)
		expect(labels(appender.taken)).toEqual(['3'])
		expect(loop.stats().appender).toMatchObject({ lost: { appendFailed: 2 }, gapsUnwritten: 2, pending: 0 })
		expect(pending(loop)).toEqual([1, 2])
	})

	test('its gap waits while the appender fails temporarily', () => {
		warnings()
		const appender = new ScriptedAppender()
		const loop = new MeshLoop(appender)
		appender.verdict = ({ kind }) => {
			throw kind === '$gap' ? RETRYABLE() : POISON()
		}
		publish(loop, 1)
		appender.heal()
		publish(loop, 1)
		expect(labels(appender.taken)).toEqual(['gap 1-1 appendFailed', '2'])
	})
})

describe('a pending record that the ring must evict', () => {
	test('Beat: becomes a counted gap, joined with adjacent ones, when the appender recovers', () => {
		const said = warnings()
		const appender = new ScriptedAppender()
		const loop = new MeshLoop(appender, { ringCapacity: 3 })
		publish(loop, 2)
		appender.fail()
		publish(loop, 8)
		expect(loop.stats().appender).toMatchObject({ pending: 3, lost: { evicted: 5 } })
		expect(pending(loop)).toEqual([8, 9, 10])
		appender.heal()
		publish(loop, 1)
		expect(labels(appender.taken)).toEqual(['1', '2', 'gap 3-7 evicted', '8', '9', '10', '11'])
		expect(loop.stats().appender).toMatchObject({
			lost: { evicted: 5 },
			appended: 6,
			pending: 0,
			gapsAppended: 1,
		})
		expect(said).toEqual(['APPENDER_FAILING', 'RECORDS_LOST', 'APPENDER_RECOVERED'])
	})

	test('each loss is reported once, and the reports add up', () => {
		warnings()
		const gaps = reports<{ gap: { count: number } }>('gap')
		const appender = new ScriptedAppender()
		const loop = new MeshLoop(appender, { ringCapacity: 3 })
		appender.fail()
		publish(loop, 100)
		expect(gaps.reduce((sum, { gap }) => sum + gap.count, 0)).toBe(97)
	})

	test('is tried once more before it is given up, because the publisher runs before the timer', () => {
		warnings()
		const appender = new ScriptedAppender()
		const loop = new MeshLoop(appender, { ringCapacity: 2 })
		appender.fail()
		publish(loop, 2)
		appender.heal()
		publish(loop, 1)
		expect(labels(appender.taken)).toEqual(['1', '2', '3'])
		expect(loop.stats().appender.lost.evicted).toBe(0)
	})

	test('keeps its cause if it was refused before', () => {
		warnings()
		const appender = new ScriptedAppender()
		const loop = new MeshLoop(appender, { ringCapacity: 2 })
		appender.verdict = ({ kind }) => {
			throw kind === '$gap' ? RETRYABLE() : POISON()
		}
		publish(loop, 4)
		appender.heal()
		publish(loop, 1)
		expect(labels(appender.taken)).toEqual(['gap 1-1 appendFailed', 'gap 2-2 evicted', '3', '4', '5'])
		expect(loop.stats().appender.lost).toMatchObject({ appendFailed: 1, evicted: 1 })
	})

	test('is not lost if the appender has it', () => {
		const appender = new ScriptedAppender()
		const loop = new MeshLoop(appender, { ringCapacity: 1 })
		publish(loop, 5)
		expect(loop.stats()).toMatchObject({ ring: { evicted: 4 }, appender: { lost: { evicted: 0 } } })
	})
})

describe('an appender that publishes while it appends', () => {
	test('gets every record once and in order, and listeners get them in order', () => {
		const appender = new ScriptedAppender()
		const loop = new MeshLoop(appender)
		const heard: number[] = []
		loop.on('*', ({ seq }) => heard.push(seq))
		appender.verdict = ({ seq }) => {
			if (seq < 4) loop.info('inner')
		}
		loop.info('outer')
		vi.advanceTimersByTime(1000)
		expect(labels(appender.taken)).toEqual(['1', '2', '3', '4'])
		expect(heard).toEqual([1, 2, 3, 4])
	})

	test('does not lose the record in its hands when the ring needs the slot', () => {
		const appender = new ScriptedAppender()
		const loop = new MeshLoop(appender, { ringCapacity: 1 })
		appender.verdict = ({ seq }) => {
			if (seq === 1) loop.info('inner')
		}
		loop.info('outer')
		vi.advanceTimersByTime(1000)
		expect(labels(appender.taken)).toEqual(['1', '2'])
		expect(loop.stats().appender.lost.evicted).toBe(0)
	})

	test('does not change the order when it is retried to make room', () => {
		warnings()
		const appender = new ScriptedAppender()
		const loop = new MeshLoop(appender, { ringCapacity: 3 })
		appender.fail()
		publish(loop, 3)
		let inner: number | undefined
		appender.verdict = () => {
			inner ??= loop.info('inner')?.seq
		}
		const outer = loop.info('outer')?.seq
		vi.advanceTimersByTime(1000)
		expect([inner, outer]).toEqual([4, 5])
		expect(labels(appender.taken)).toEqual(['1', '2', '3', '4', '5'])
		expect(loop.snapshot().map(({ seq }) => seq)).toEqual([3, 4, 5])
	})

	test('without end does not block the publisher', () => {
		const appender = new ScriptedAppender()
		const loop = new MeshLoop(appender)
		appender.verdict = () => void loop.info('inner')
		expect(loop.info('outer')?.seq).toBe(1)
		expect(appender.taken).toHaveLength(1)
	})

	test('without end does not block a publisher that needs room', () => {
		warnings()
		const appender = new ScriptedAppender()
		const loop = new MeshLoop(appender, { ringCapacity: 2 })
		appender.verdict = () => {
			loop.info('inner')
			throw RETRYABLE()
		}
		publish(loop, 5)
		const { published, appender: stats } = loop.stats()
		expect(stats.pending + stats.lost.evicted).toBe(published)
	})
})

describe('a subscriber of the reports that publishes into the same loop', () => {
	test('does not recurse, and every loss is counted', () => {
		warnings()
		const appender = new ScriptedAppender()
		const loop = new MeshLoop(appender, { ringCapacity: 2 })
		let told = 0
		const tell = () => {
			told += 1
			loop.info('a record was lost')
		}
		subscribe('mesh-chain:gap', tell)
		onTestFinished(() => void unsubscribe('mesh-chain:gap', tell))
		appender.fail()
		publish(loop, 10)
		expect(told).toBe(8)
		appender.heal()
		publish(loop, 1)
		const { published, ring, appender: stats } = loop.stats()
		expect(published).toBe(10 + told + 1)
		expect(stats.lost.evicted + stats.appended).toBe(published)
		expect(labels(appender.taken)[0]).toBe(`gap 1-${stats.lost.evicted} evicted`)
		expect(loop.snapshot().map(({ seq }) => seq)).toEqual([published - 1, published])
		expect(ring.evicted).toBe(published - 2)
	})
})

describe('flush and sync', () => {
	test('flush passes on pending records and flushes the appender', () => {
		warnings()
		const flush = vi.fn()
		const appender = Object.assign(new ScriptedAppender(), { flush })
		const loop = new MeshLoop(appender)
		appender.fail()
		publish(loop, 2)
		appender.heal()
		loop.flush()
		expect(labels(appender.taken)).toEqual(['1', '2'])
		expect(flush).toHaveBeenCalledTimes(1)
	})

	test('flush throws with the first seq and the cause while records are pending', () => {
		warnings()
		const appender = new ScriptedAppender()
		const loop = new MeshLoop(appender)
		publish(loop, 1)
		appender.fail()
		publish(loop, 2)
		expect(() => loop.flush()).toThrow(
			expect.objectContaining({ code: 'FLUSH_FAILED', seq: 2, cause: expect.any(LogAppendError) }),
		)
	})

	test('flush throws the error of the appender’s flush, with a code', () => {
		const flush = () => {
			throw new Error('no space')
		}
		const loop = new MeshLoop({ append() {}, flush })
		expect(() => loop.flush()).toThrow(
			expect.objectContaining({ code: 'FLUSH_FAILED', message: expect.stringMatching(/no space/) }),
		)
	})

	test('sync rejects with the first seq and the cause while records are pending', async () => {
		warnings()
		const appender = new ScriptedAppender()
		const loop = new MeshLoop(appender)
		appender.fail()
		publish(loop, 2)
		await expect(loop.sync()).rejects.toMatchObject({ code: 'SYNC_FAILED', seq: 1 })
		appender.heal()
		await loop.sync()
		expect(labels(appender.taken)).toEqual(['1', '2'])
	})

	test('sync rejects with the error of the appender’s sync', async () => {
		const loop = new MeshLoop({ append() {}, sync: () => Promise.reject(new Error('EIO')) })
		await expect(loop.sync()).rejects.toMatchObject({
			code: 'SYNC_FAILED',
			message: expect.stringMatching(/EIO/),
		})
	})

	test('the first flush or sync after a loss reports it, once', async () => {
		warnings()
		const appender = new ScriptedAppender()
		const loop = new MeshLoop(appender)
		appender.poison(1, 2, 4)
		publish(loop, 3)
		expect(() => loop.flush()).toThrow(
			expect.objectContaining({ code: 'FLUSH_FAILED', seq: 1, message: expect.stringMatching(/2 records/) }),
		)
		loop.flush()
		publish(loop, 1)
		await expect(loop.sync()).rejects.toMatchObject({ code: 'SYNC_FAILED', seq: 4 })
		await loop.sync()
	})

	test('an appender that always returns the same sync promise hides no later loss', async () => {
		warnings()
		const appender = Object.assign(new ScriptedAppender(), { sync: () => done })
		const done = Promise.resolve()
		const loop = new MeshLoop(appender)
		await loop.sync()
		appender.poison(1)
		publish(loop, 1)
		await expect(loop.sync()).rejects.toMatchObject({ code: 'SYNC_FAILED', seq: 1 })
		await loop.sync()
	})
})
