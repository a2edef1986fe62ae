import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import {
	labels,
	ManualAppender,
	POISON,
	RETRYABLE,
	ScriptedAppender,
	settled,
} from '../appenders/scripted-appender.ts'
import { reports, warnings } from './observed.ts'

function publish(loop: MeshLoop, count: number): void {
	for (let index = 0; index < count; index++) loop.info('hello')
}

const pending = (loop: MeshLoop) =>
	loop
		.snapshot()
		.filter(({ chainPending }) => chainPending)
		.map(({ seq }) => seq)

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] }))
afterEach(() => void vi.useRealTimers())

describe('an asynchronous appender', () => {
	test('has one append in flight, and the ring is its queue', async () => {
		const appender = new ManualAppender()
		const loop = new MeshLoop(appender)
		publish(loop, 3)
		expect(appender.waiting).toEqual(['1'])
		expect(loop.stats().appender).toMatchObject({ inFlight: 1, pending: 3, committedSeq: 0 })
		expect(pending(loop)).toEqual([1, 2, 3])
		await appender.resolve()
		expect(appender.waiting).toEqual(['2'])
		expect([loop.committedSeq, pending(loop)]).toEqual([1, [2, 3]])
		await appender.resolve()
		await appender.resolve()
		expect(loop.stats().appender).toMatchObject({ inFlight: 0, pending: 0, appended: 3, committedSeq: 3 })
	})

	test('that rejects with a retryable error gets the same record again, in order', async () => {
		const said = warnings()
		const appender = new ManualAppender()
		const loop = new MeshLoop(appender)
		publish(loop, 2)
		await appender.reject()
		expect(appender.waiting).toEqual([])
		expect(loop.stats().appender).toMatchObject({ failing: true, pending: 2, inFlight: 0 })
		vi.advanceTimersByTime(50)
		expect(appender.waiting).toEqual(['1'])
		await appender.resolve()
		await appender.resolve()
		expect(loop.stats().appender).toMatchObject({ failing: false, appended: 2, retries: 1 })
		expect(said).toEqual(['APPENDER_FAILING', 'APPENDER_RECOVERED'])
	})

	test('that rejects for good gets a gap, then the later records', async () => {
		warnings()
		const appender = new ManualAppender()
		const loop = new MeshLoop(appender)
		publish(loop, 2)
		await appender.reject(POISON())
		expect(labels(appender.calls[0]?.records ?? [])).toEqual(['gap 1-1 appendFailed'])
		await appender.resolve()
		expect(appender.waiting).toEqual(['2'])
		await appender.resolve()
		expect([loop.committedSeq, pending(loop)]).toEqual([2, [1]])
	})

	test('that hangs does not slow publish; records evicted from the ring become a gap', async () => {
		warnings()
		const appender = new ManualAppender()
		const loop = new MeshLoop(appender, { ringCapacity: 3 })
		publish(loop, 10)
		expect(appender.waiting).toEqual(['1'])
		expect(loop.stats().appender).toMatchObject({ lost: { evicted: 6 }, pending: 4, inFlight: 1 })
		await appender.resolve()
		expect(appender.waiting).toEqual(['gap 2-7 evicted'])
		for (let call = 0; call < 4; call++) await appender.resolve()
		expect(loop.stats().appender).toMatchObject({
			appended: 4,
			lost: { evicted: 6 },
			pending: 0,
			committedSeq: 10,
		})
	})

	test('that rejects a record evicted meanwhile gets it as part of the gap', async () => {
		warnings()
		const appender = new ManualAppender()
		const loop = new MeshLoop(appender, { ringCapacity: 3 })
		publish(loop, 10)
		await appender.reject(RETRYABLE())
		expect(loop.stats().appender.lost.evicted).toBe(7)
		vi.advanceTimersByTime(50)
		expect(appender.waiting).toEqual(['gap 1-7 evicted'])
	})

	test('has its losses reported in order, including losses between two publishes', async () => {
		warnings()
		const gaps = reports<{ gap: { cause: string } }>('gap')
		const appender = new ManualAppender()
		const loop = new MeshLoop(appender, { ringCapacity: 2 })
		publish(loop, 4)
		await appender.reject(POISON())
		expect(gaps.map(({ gap }) => gap.cause)).toEqual(['evicted', 'appendFailed'])
	})

	test('whose gap was rejected gets it again, extended by later losses', async () => {
		warnings()
		const appender = new ManualAppender()
		const loop = new MeshLoop(appender, { ringCapacity: 2 })
		publish(loop, 4)
		await appender.resolve()
		expect(appender.waiting).toEqual(['gap 2-2 evicted'])
		publish(loop, 2)
		await appender.reject()
		vi.advanceTimersByTime(50)
		expect(appender.waiting).toEqual(['gap 2-4 evicted'])
	})

	test('flush throws while records are in flight, and advises to await sync()', async () => {
		const appender = new ManualAppender()
		const loop = new MeshLoop(appender)
		publish(loop, 2)
		expect(() => loop.flush()).toThrow(
			expect.objectContaining({ code: 'FLUSH_FAILED', seq: 1, message: expect.stringMatching(/sync\(\)/) }),
		)
		await appender.resolve()
		await appender.resolve()
		loop.flush()
	})

	test('sync waits for records published before it, and not for later ones', async () => {
		const appender = new ManualAppender()
		const loop = new MeshLoop(appender)
		publish(loop, 2)
		const done = vi.fn()
		void loop.sync().then(done)
		publish(loop, 1)
		await appender.resolve()
		expect(done).not.toHaveBeenCalled()
		await appender.resolve()
		expect(done).toHaveBeenCalled()
	})

	test('sync rejects when an append in flight does, and the record is kept', async () => {
		warnings()
		const appender = new ManualAppender()
		const loop = new MeshLoop(appender)
		publish(loop, 1)
		const rejected = expect(loop.sync()).rejects.toMatchObject({ code: 'SYNC_FAILED', seq: 1 })
		await appender.reject()
		await rejected
		expect(loop.stats().appender.pending).toBe(1)
	})
})

describe('an appender that allows several appends in flight', () => {
	test('gets as many at once as it allows, in order', async () => {
		const appender = new ManualAppender(3)
		const loop = new MeshLoop(appender)
		publish(loop, 5)
		expect(appender.waiting).toEqual(['1', '2', '3'])
		await appender.resolve()
		expect(appender.waiting).toEqual(['2', '3', '4'])
	})

	test('has committed only contiguous records', async () => {
		const appender = new ManualAppender(3)
		const loop = new MeshLoop(appender)
		publish(loop, 3)
		appender.calls.splice(1, 1)[0]?.resolve()
		await settled()
		expect(loop.committedSeq).toBe(0)
		await appender.resolve()
		expect(loop.committedSeq).toBe(2)
	})

	test('gets all records from the failed one on again, after all have settled', async () => {
		warnings()
		const appender = new ManualAppender(3)
		const loop = new MeshLoop(appender)
		publish(loop, 4)
		await appender.resolve()
		await appender.reject()
		publish(loop, 1)
		expect(appender.waiting).toEqual(['3', '4'])
		await appender.resolve()
		await appender.resolve()
		expect(loop.committedSeq).toBe(1)
		vi.advanceTimersByTime(50)
		expect(appender.waiting).toEqual(['2', '3', '4'])
	})

	test('gets a gap for a refused record, and the later records again', async () => {
		warnings()
		const appender = new ManualAppender(3)
		const loop = new MeshLoop(appender)
		publish(loop, 3)
		await appender.reject(POISON())
		await appender.resolve()
		await appender.resolve()
		expect(appender.waiting).toEqual(['gap 1-1 appendFailed', '2', '3'])
	})

	test('never loses a record that it took, and committedSeq never decreases', async () => {
		warnings()
		const appender = new ManualAppender(3)
		const loop = new MeshLoop(appender, { ringCapacity: 3 })
		publish(loop, 5)
		expect(appender.waiting).toEqual(['1', '2', '3'])
		await appender.reject()
		await appender.resolve()
		await appender.resolve()
		expect(loop.stats().appender.lost.evicted).toBe(1)
		vi.advanceTimersByTime(50)
		expect(appender.waiting).toEqual(['gap 1-1 evicted', '3', '4'])
		appender.calls.reverse()
		for (let call = 0; call < 3; call++) await appender.resolve()
		const committed = loop.committedSeq
		await appender.resolve()
		expect(committed).toBeGreaterThanOrEqual(1)
		expect(loop.stats().appender).toMatchObject({ committedSeq: 5, pending: 0, lost: { evicted: 1 } })
	})

	test.each([0, 1.5, Number.NaN])('cannot allow %s', (inFlightMax) => {
		const create = () => new MeshLoop({ append() {}, inFlightMax })
		expect(create).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
	})
})

describe('every record is in the chain, pending, or in a counted gap, with an appender that is', () => {
	test.each([
		['hanging', { append: () => new Promise<void>(() => {}) }],
		['rejecting', { append: () => Promise.reject(RETRYABLE()) }],
		[
			'throwing',
			Object.assign(new ScriptedAppender(), {
				verdict: () => {
					throw RETRYABLE()
				},
			}),
		],
	])('%s', async (_title, appender) => {
		warnings()
		const loop = new MeshLoop(appender)
		publish(loop, 20_000)
		const { pending, lost, appended } = loop.stats().appender
		expect(pending + lost.evicted + appended).toBe(20_000)
		await settled()
	})
})
