import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { isGap, type LogLine, type LogRecord } from '../../src/model/record.ts'
import {
	labels,
	ManualAppender,
	POISON,
	RETRYABLE,
	ScriptedAppender,
} from '../appenders/scripted-appender.ts'
import { warnings } from './observed.ts'

/** Takes records in batches, and keeps each call apart. */
class BatchAppender extends ScriptedAppender {
	readonly batches: string[] = []

	appendBatch(records: readonly LogRecord[]): void {
		for (const record of records) this.verdict(record)
		this.batches.push(labels(records).join('+'))
	}

	override append(record: LogRecord): void {
		super.append(record)
		this.batches.push(labels([record])[0]!)
	}
}

const lines = (count: number): LogLine[] =>
	Array.from({ length: count }, (_unused, index) => ({ message: `m${index}` }))
const tooLarge = expect.objectContaining({ code: 'BATCH_TOO_LARGE' })

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] }))
afterEach(() => void vi.useRealTimers())

describe('publishBatch', () => {
	test('Match: an empty batch does nothing', () => {
		const appender = new BatchAppender()
		const loop = new MeshLoop(appender)
		expect(loop.publishBatch([])).toEqual([])
		expect(appender.batches).toEqual([])
	})

	test('passes the records to the appender in one call', () => {
		const appender = new BatchAppender()
		const loop = new MeshLoop(appender)
		loop.info('before')
		expect(loop.publishBatch(lines(3)).map(({ seq }) => seq)).toEqual([2, 3, 4])
		loop.info('after')
		expect(appender.batches).toEqual(['1', '2+3+4', '5'])
		expect(loop.stats().appender).toMatchObject({ appended: 5, committedSeq: 5 })
	})

	test('passes them one by one to an appender without batches', () => {
		const appender = new ScriptedAppender()
		new MeshLoop(appender).publishBatch(lines(3))
		expect(labels(appender.taken)).toEqual(['1', '2', '3'])
	})

	test('leaves out lines below the level and lines that transform drops', () => {
		const loop = new MeshLoop(undefined, {
			level: 'info',
			transform: (line) => (line.message === 'drop' ? null : line),
		})
		const records = loop.publishBatch([
			{ message: 'a' },
			{ level: 'debug' },
			{ message: 'drop' },
			{ message: 'b' },
		])
		expect(records.map(({ seq, message }) => `${seq} ${message}`)).toEqual(['1 a', '2 b'])
		expect(loop.stats()).toMatchObject({ belowLevel: 1, transformDropped: 1 })
	})

	test('refuses more than 1,024 records before anything is stamped', () => {
		const loop = new MeshLoop()
		expect(() => loop.publishBatch(lines(1025))).toThrow(tooLarge)
		expect(loop.publishBatch(lines(1024))[0]?.seq).toBe(1)
	})

	test('refuses more than 1 MiB before anything is stamped', () => {
		const loop = new MeshLoop()
		const batch = Array.from({ length: 5 }, () => ({ message: 'x'.repeat(250_000) }))
		expect(() => loop.publishBatch(batch)).toThrow(tooLarge)
		expect(loop.publishBatch(batch.slice(1))[0]?.seq).toBe(1)
	})

	test('refuses more than the ring can hold', () => {
		const loop = new MeshLoop(undefined, { ringCapacity: 3 })
		expect(() => loop.publishBatch(lines(4))).toThrow(tooLarge)
		expect(loop.publishBatch(lines(3))).toHaveLength(3)
		expect(() => new MeshLoop(undefined, { ringBytesMax: 300 }).publishBatch(lines(3))).toThrow(tooLarge)
	})

	test('refuses anything but an array', () => {
		expect(() => new MeshLoop().publishBatch('lines' as never)).toThrow(
			expect.objectContaining({ code: 'INVALID_LINE' }),
		)
	})

	test('is delivered in order, before records that its listeners publish', () => {
		const loop = new MeshLoop()
		const heard: number[] = []
		loop.on('*', ({ seq }) => {
			heard.push(seq)
			if (seq === 1) loop.info('nested')
		})
		loop.publishBatch(lines(3))
		expect(heard).toEqual([1, 2, 3, 4])
	})

	test('after close, is counted line by line and returns no records', async () => {
		warnings()
		const loop = new MeshLoop()
		await loop.close()
		expect(loop.publishBatch(lines(3))).toEqual([])
		expect(loop.stats().publishedAfterClose).toBe(3)
	})
})

describe('Match: a batch is all or nothing', () => {
	test('a batch is retried as one', () => {
		warnings()
		const appender = new BatchAppender()
		const loop = new MeshLoop(appender)
		appender.verdict = ({ seq }) => {
			if (seq === 2) throw RETRYABLE()
		}
		loop.publishBatch(lines(3))
		expect(loop.stats().appender.pending).toBe(3)
		appender.heal()
		loop.info('next')
		expect(appender.batches).toEqual(['1+2+3', '4'])
	})

	test('a batch that the appender refuses for good is one gap', () => {
		warnings()
		const appender = new BatchAppender()
		const loop = new MeshLoop(appender)
		appender.poison(2)
		loop.publishBatch(lines(3))
		loop.info('next')
		expect(appender.batches).toEqual(['gap 1-3 appendFailed', '4'])
		expect(loop.snapshot().map(({ chainPending }) => chainPending)).toEqual([true, true, true, false])
	})

	test('a batch that the ring must evict in part is one gap as a whole', () => {
		warnings()
		const appender = new BatchAppender()
		const loop = new MeshLoop(appender, { ringCapacity: 4 })
		appender.fail()
		loop.publishBatch(lines(3))
		loop.info('x')
		loop.info('y')
		expect(loop.stats().appender).toMatchObject({ lost: { evicted: 3 }, pending: 2 })
		appender.heal()
		loop.info('z')
		expect(appender.batches).toEqual(['gap 1-3 evicted', '4', '5', '6'])
		expect(loop.snapshot().map(({ seq, chainPending }) => [seq, chainPending])).toEqual([
			[3, true],
			[4, false],
			[5, false],
			[6, false],
		])
	})

	test('a pending batch stays one when earlier records are retried to make room for it', () => {
		warnings()
		const appender = new BatchAppender()
		const loop = new MeshLoop(appender, { ringCapacity: 3 })
		appender.fail()
		for (let count = 0; count < 3; count++) loop.info('x')
		let failures = 0
		appender.verdict = () => {
			if (failures++ === 0) throw RETRYABLE()
		}
		loop.publishBatch(lines(3))
		expect(appender.batches.at(-1)).toBe('4+5+6')
	})

	test('a batch in flight that is refused after the ring evicted part of it is one gap', async () => {
		warnings()
		const appender = new ManualAppender()
		const loop = new MeshLoop(appender, { ringCapacity: 3 })
		loop.publishBatch(lines(3))
		loop.info('x')
		await appender.reject()
		vi.advanceTimersByTime(50)
		expect(appender.waiting).toEqual(['gap 1-3 evicted'])
	})

	test('a rejected batch in flight is retried as one', async () => {
		warnings()
		const appender = new ManualAppender(2)
		const loop = new MeshLoop(appender)
		loop.publishBatch(lines(2))
		loop.publishBatch(lines(3))
		await appender.reject()
		await appender.reject(POISON())
		vi.advanceTimersByTime(50)
		expect(appender.waiting).toEqual(['1+2', '3+4+5'])
	})
})

test('a gap record is recognised by its kind and the absence of an origin', () => {
	const loop = new MeshLoop()
	const merged = loop.publish({ kind: '$gap', origin: { chainId: 'c', epoch: 1, seq: 1 } })
	expect(isGap(merged!)).toBe(false)
})
