import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { BufferingAppender } from '../../src/appenders/buffering.ts'
import { NoOpAppender } from '../../src/appenders/no-op.ts'
import { TeeAppender } from '../../src/appenders/tee.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { LogAppendError } from '../../src/model/errors.ts'
import { reports, warnings } from '../loop/observed.ts'
import { record } from '../support/records.ts'
import { labels, ManualAppender, ScriptedAppender } from './scripted-appender.ts'

const QUEUE_MAX = 16_384

function append(tee: TeeAppender, from: number, to: number): void {
	for (let seq = from; seq <= to; seq++) tee.append(record(seq))
}

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] }))
afterEach(() => void vi.useRealTimers())

describe('TeeAppender', () => {
	test('gives every record to every child, in order', () => {
		const children = [new BufferingAppender(), new BufferingAppender()]
		const loop = new MeshLoop(new TeeAppender(...children))
		for (let index = 0; index < 3; index++) loop.info('hello')
		for (const child of children) expect(child.captured()).toEqual(loop.snapshot())
		expect(loop.committedSeq).toBe(3)
	})

	test('needs at least one child, and no child twice or shared', () => {
		expect(() => new TeeAppender()).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
		const child = new NoOpAppender()
		new TeeAppender(child)
		const inUse = expect.objectContaining({ code: 'APPENDER_IN_USE' })
		expect(() => new TeeAppender(child)).toThrow(inUse)
		expect(() => new MeshLoop(child)).toThrow(inUse)
		const twice = new NoOpAppender()
		expect(() => new TeeAppender(twice, twice)).toThrow(inUse)
	})

	test('refuses options that are not known, and anything that is not an appender', () => {
		const invalid = expect.objectContaining({ code: 'INVALID_OPTION' })
		for (const last of [{ closeTimeout: 5 }, { closeTimeoutMs: -1 }, null, 5, 'file', []]) {
			expect(() => new TeeAppender(new NoOpAppender(), last as never)).toThrow(invalid)
		}
		expect(new TeeAppender(new NoOpAppender(), {})).toBeInstanceOf(TeeAppender)
		expect(() => new TeeAppender({})).toThrow(invalid)
	})

	test('does not take any child if it refuses one', () => {
		const [free, taken] = [new NoOpAppender(), new NoOpAppender()]
		new TeeAppender(taken)
		for (const bad of [taken, 5 as never]) expect(() => new TeeAppender(free, bad)).toThrow()
		expect(() => new TeeAppender(free)).not.toThrow()
	})

	test('starts at the highest nextSeq and epoch of its children', () => {
		const tee = new TeeAppender(
			{ append() {}, nextSeq: 5, epoch: 7 },
			{ append() {}, nextSeq: 9, epoch: 2 },
			new NoOpAppender(),
		)
		expect([tee.nextSeq, tee.epoch]).toEqual([9, 7])
		expect(new MeshLoop(tee).info('hello')).toMatchObject({ seq: 9, epoch: 7 })
	})

	test('has the durability of its strongest child, because a record is committed when all have it', () => {
		const slow = { append() {}, durability: 'disk' as const, committedSeq: 1 }
		const tee = new TeeAppender(new BufferingAppender(), slow)
		append(tee, 1, 3)
		expect([tee.durability, tee.committedSeq]).toEqual(['disk', 1])
		slow.committedSeq = 3
		expect(tee.committedSeq).toBe(3)
		expect(new TeeAppender(new NoOpAppender(), new NoOpAppender()).durability).toBe('none')
		expect(new TeeAppender(new NoOpAppender(), { append() {} }).durability).toBe('memory')
	})

	test('takes custody without a throw, and a failing child does not delay the others', () => {
		const said = warnings()
		const failing = new ScriptedAppender()
		const healthy = new ScriptedAppender()
		const tee = new TeeAppender(failing, healthy)
		failing.fail()
		append(tee, 1, 3)
		expect(labels(healthy.taken)).toEqual(['1', '2', '3'])
		expect(tee.committedSeq).toBe(0)
		expect(tee.failure).toMatchObject({ message: 'disk full' })
		expect(tee.stats()).toMatchObject({
			queued: 3,
			children: [
				{ name: 'ScriptedAppender', failing: true, pending: 3, appended: 0 },
				{ name: 'ScriptedAppender', failing: false, pending: 0, appended: 3 },
			],
		})
		failing.heal()
		vi.advanceTimersByTime(50)
		expect(labels(failing.taken)).toEqual(['1', '2', '3'])
		expect([tee.committedSeq, tee.failure]).toEqual([3, undefined])
		expect(said).toEqual(['APPENDER_FAILING', 'APPENDER_RECOVERED'])
	})

	test('a hanging child does not delay the others', () => {
		const hanging = new ManualAppender()
		const healthy = new ScriptedAppender()
		const tee = new TeeAppender(hanging, healthy)
		append(tee, 1, 100)
		expect(hanging.waiting).toEqual(['1'])
		expect(healthy.taken).toHaveLength(100)
	})

	test('keeps only records that a child still needs', async () => {
		const slow = new ManualAppender()
		const tee = new TeeAppender(new ScriptedAppender(), slow)
		append(tee, 1, 3)
		expect(tee.stats().queued).toBe(3)
		await slow.resolve()
		expect(tee.stats().queued).toBe(2)
		await slow.resolve()
		await slow.resolve()
		expect(tee.stats().queued).toBe(0)
	})

	test('keeps records in flight until they are taken, so that they can be retried', async () => {
		warnings()
		const slow = new ManualAppender()
		const tee = new TeeAppender(new ScriptedAppender(), slow)
		append(tee, 1, 1)
		await slow.reject()
		vi.advanceTimersByTime(50)
		expect(slow.waiting).toEqual(['1'])
	})

	test('at the bound, the slowest child loses the oldest records as one gap, which it gets later', () => {
		const said = warnings()
		const gaps = reports<{ gap: { count: number; cause: string } }>('gap')
		const failing = new ScriptedAppender()
		const healthy = new ScriptedAppender()
		const tee = new TeeAppender(failing, healthy)
		append(tee, 1, 1)
		failing.fail()
		append(tee, 2, QUEUE_MAX + 11)
		expect(tee.stats()).toMatchObject({
			queued: QUEUE_MAX,
			children: [
				{ lost: { overflow: 10 }, pending: QUEUE_MAX },
				{ lost: { overflow: 0 }, pending: 0 },
			],
		})
		failing.heal()
		vi.advanceTimersByTime(5000)
		expect(labels(failing.taken.slice(0, 3))).toEqual(['1', 'gap 2-11 overflow', '12'])
		expect(failing.taken).toHaveLength(QUEUE_MAX + 2)
		expect(healthy.taken).toHaveLength(QUEUE_MAX + 11)
		expect(gaps.reduce((sum, { gap }) => sum + gap.count, 0)).toBe(10)
		expect(said).toEqual(['APPENDER_FAILING', 'RECORDS_LOST', 'APPENDER_RECOVERED'])
	})

	test('a gap lost in an overflow counts as the records that it stands for', () => {
		warnings()
		const upstream = new ScriptedAppender()
		const failing = new ScriptedAppender()
		const tee = new TeeAppender(failing, upstream)
		const loop = new MeshLoop(tee)
		failing.fail()
		loop.info('hello')
		const data = { fromSeq: 2, toSeq: 5, count: 4, cause: 'evicted' as const }
		tee.append(record(5, { kind: '$gap', data }))
		append(tee, 6, QUEUE_MAX + 6)
		failing.heal()
		vi.advanceTimersByTime(5000)
		expect(labels(failing.taken.slice(0, 2))).toEqual(['gap 1-6 overflow', '7'])
	})

	test('a record that one child refuses for good is a gap for that child only', () => {
		warnings()
		const picky = new ScriptedAppender()
		const healthy = new ScriptedAppender()
		const tee = new TeeAppender(picky, healthy)
		picky.poison(2)
		append(tee, 1, 3)
		expect(labels(picky.taken)).toEqual(['1', 'gap 2-2 appendFailed', '3'])
		expect(labels(healthy.taken)).toEqual(['1', '2', '3'])
		expect(tee.stats().children.map(({ lost }) => lost.appendFailed)).toEqual([1, 0])
	})

	test('Match: a batch is all or nothing for each child that supports batches', () => {
		const batches: string[] = []
		const batching = {
			append() {},
			appendBatch: (records: readonly never[]) => void batches.push(labels(records).join('+')),
		}
		const single = new ScriptedAppender()
		const loop = new MeshLoop(new TeeAppender(batching, single))
		loop.publishBatch([{}, {}, {}])
		expect(batches).toEqual(['1+2+3'])
		expect(labels(single.taken)).toEqual(['1', '2', '3'])
	})

	test('an empty batch does nothing', () => {
		const tee = new TeeAppender(new NoOpAppender())
		tee.appendBatch([])
		expect(tee.stats().queued).toBe(0)
	})

	test('does not repeat a warning that a child issues itself', () => {
		const said = warnings()
		const child = Object.assign(new ScriptedAppender(), { failure: new LogAppendError('disk full') })
		const tee = new TeeAppender(child)
		child.fail()
		append(tee, 1, 1)
		expect(said).toEqual([])
		expect(tee.failure).toBe(child.failure)
	})

	test('a child that reports its failure through the loop does not lose that record', () => {
		warnings()
		const child = new ScriptedAppender()
		const tee = new TeeAppender(child, new NoOpAppender())
		const loop = new MeshLoop(tee)
		child.fail()
		loop.info('hello')
		let spoken = false
		child.verdict = () => {
			if (spoken) return
			spoken = true
			loop.warn('I failed')
			throw new Error('disk full')
		}
		vi.advanceTimersByTime(5000)
		expect(labels(child.taken)).toEqual(['1', '2'])
		expect(tee.stats().children[0]?.lost.overflow).toBe(0)
	})

	test('flush and sync reach all children, and name those that failed', async () => {
		warnings()
		const failing = new ScriptedAppender()
		const flush = vi.fn()
		const sync = vi.fn(async () => {})
		const tee = new TeeAppender(failing, { append() {}, flush, sync })
		failing.fail()
		append(tee, 1, 1)
		expect(() => tee.flush()).toThrow(
			expect.objectContaining({
				code: 'FLUSH_FAILED',
				seq: 1,
				message: expect.stringMatching(/^1 of 2 appenders cannot flush: ScriptedAppender: .*disk full/),
			}),
		)
		await expect(tee.sync()).rejects.toMatchObject({
			code: 'SYNC_FAILED',
			seq: 1,
			message: expect.stringMatching(/1 of 2 appenders cannot sync: ScriptedAppender: /),
		})
		expect([flush.mock.calls.length, sync.mock.calls.length]).toEqual([1, 1])
		failing.heal()
		tee.flush()
		await tee.sync()
	})

	test('close reaches all children, counts their losses, and refuses later records', async () => {
		warnings()
		const failing = Object.assign(new ScriptedAppender(), { close: vi.fn(async () => {}) })
		const healthy = new BufferingAppender()
		const tee = new TeeAppender(failing, healthy)
		failing.fail()
		append(tee, 1, 2)
		const closing = tee.close()
		expect(tee.close()).toBe(closing)
		await expect(closing).rejects.toMatchObject({
			code: 'CLOSE_FAILED',
			message: expect.stringMatching(/1 of 2 appenders cannot close: ScriptedAppender: /),
		})
		expect(failing.close).toHaveBeenCalledTimes(1)
		expect(tee.stats()).toMatchObject({
			queued: 0,
			children: [{ lost: { atClose: 2 } }, { lost: { atClose: 0 } }],
		})
		const closed = expect.objectContaining({ code: 'APPENDER_CLOSED', retryable: false })
		expect(() => tee.append(record(3))).toThrow(closed)
		expect(() => tee.appendBatch([record(3)])).toThrow(closed)
		expect(() => healthy.append(record(3))).toThrow(closed)
		expect(vi.getTimerCount()).toBe(0)
	})

	test('a loop over a tee reports the loss in one child, and continues', async () => {
		warnings()
		const picky = new ScriptedAppender()
		const loop = new MeshLoop(new TeeAppender(picky, new NoOpAppender()))
		picky.poison(1)
		loop.info('hello')
		expect(() => loop.flush()).toThrow(expect.objectContaining({ code: 'FLUSH_FAILED' }))
		loop.info('hello')
		loop.flush()
		await loop.close()
		expect(labels(picky.taken)).toEqual(['gap 1-1 appendFailed', '2'])
	})
})
