import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { BufferingAppender } from '../../src/appenders/buffering.ts'
import { gapRecord, type LogRecord } from '../../src/model/record.ts'

function record(seq: number, fields: Partial<LogRecord> = {}): LogRecord {
	const base = { seq, epoch: 1, tsMs: seq, level: 'info', kind: 'log', message: `m${seq}` } as const
	return Object.freeze({ ...base, daemonId: null, nodeId: null, chainPending: false, ...fields })
}

const seqs = (records: readonly LogRecord[]) => records.map(({ seq }) => seq)

describe('BufferingAppender', () => {
	test('Match: capacity 2 and appends 1 to 5 leave [4, 5] and 3 dropped', () => {
		const appender = new BufferingAppender({ capacity: 2 })
		for (let seq = 1; seq <= 5; seq++) appender.append(record(seq))
		expect(seqs(appender.captured())).toEqual([4, 5])
		expect(appender.droppedCount).toBe(3)
	})

	test('Match: at capacity each append drops exactly one oldest and adds one to the dropped count', () => {
		const appender = new BufferingAppender({ capacity: 3 })
		const dropped: number[] = []
		for (let seq = 1; seq <= 6; seq++) {
			appender.append(record(seq))
			dropped.push(appender.droppedCount)
		}
		expect(dropped).toEqual([0, 0, 0, 1, 2, 3])
	})

	test('Match: the dropped count never goes down, not even with clear()', () => {
		const appender = new BufferingAppender({ capacity: 1 })
		appender.append(record(1))
		appender.append(record(2))
		appender.clear()
		expect(appender.droppedCount).toBe(1)
		expect(appender.captured()).toEqual([])
		appender.append(record(3))
		expect(appender.droppedCount).toBe(1)
	})

	test('Match: capacity is 16,384 by default', () => {
		const appender = new BufferingAppender()
		for (let seq = 1; seq <= 16_385; seq++) appender.append(record(seq))
		expect(appender.captured()).toHaveLength(16_384)
		expect(appender.droppedCount).toBe(1)
	})

	test('Match: capacity 0 acts as 1', () => {
		const appender = new BufferingAppender({ capacity: 0 })
		appender.append(record(1))
		appender.append(record(2))
		expect(seqs(appender.captured())).toEqual([2])
	})

	test.each([-1, 1.5, Number.NaN, '5'])('capacity %s is refused', (capacity) => {
		const create = () => new BufferingAppender({ capacity: capacity as number })
		expect(create).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
	})

	test('a misspelt option is refused by name', () => {
		const create = () => new BufferingAppender({ capasity: 5 } as object)
		expect(create).toThrow(/capasity/)
	})

	test('captured() returns a copy that later appends do not change', () => {
		const appender = new BufferingAppender()
		appender.append(record(1))
		const before = appender.captured()
		appender.append(record(2))
		expect(seqs(before)).toEqual([1])
	})

	test('captured() takes a filter, and a gap passes every filter', () => {
		const appender = new BufferingAppender()
		appender.append(record(1, { level: 'error' }))
		appender.append(record(2))
		appender.append(gapRecord({ fromSeq: 3, toSeq: 4, count: 2, cause: 'evicted' }, { epoch: 1, tsMs: 0 }))
		expect(seqs(appender.captured({ level: 'error' }))).toEqual([1, 4])
	})

	test('declares the durability memory, and commits what it takes', () => {
		const appender = new BufferingAppender()
		expect(appender.durability).toBe('memory')
		expect(appender.committedSeq).toBe(0)
		appender.appendBatch([record(1), record(2)])
		expect(appender.committedSeq).toBe(2)
	})

	test('after close, appends are refused for good, and the held records can still be read', async () => {
		const appender = new BufferingAppender()
		appender.append(record(1))
		await appender.close()
		await appender.close()
		const expected = { code: 'APPENDER_CLOSED', retryable: false, seq: 2 }
		expect(() => appender.append(record(2))).toThrow(expect.objectContaining(expected))
		expect(() => appender.appendBatch([record(2)])).toThrow(expect.objectContaining(expected))
		expect(seqs(appender.captured())).toEqual([1])
	})
})

describe('waitFor', () => {
	beforeEach(() => void vi.useFakeTimers())
	afterEach(() => void vi.useRealTimers())

	test('resolves at once with the oldest held record that matches', async () => {
		const appender = new BufferingAppender()
		appender.append(record(1, { kind: 'a' }))
		appender.append(record(2, { kind: 'a' }))
		await expect(appender.waitFor({ kind: 'a' })).resolves.toMatchObject({ seq: 1 })
	})

	test('resolves with the first matching record to arrive', async () => {
		const appender = new BufferingAppender()
		const waiting = appender.waitFor(({ message }) => message === 'm2')
		for (const seq of [1, 2, 3]) appender.append(record(seq))
		await expect(waiting).resolves.toMatchObject({ seq: 2 })
		expect(vi.getTimerCount()).toBe(0)
	})

	test('resolves all callers that wait for the same record', async () => {
		const appender = new BufferingAppender()
		const waiting = [appender.waitFor({ kind: 'log' }), appender.waitFor({ kind: 'log' })]
		appender.append(record(1))
		expect(seqs(await Promise.all(waiting))).toEqual([1, 1])
	})

	test('rejects after 1,000 ms, naming the match and the number of held records', async () => {
		const appender = new BufferingAppender()
		appender.append(record(1))
		const waiting = expect(appender.waitFor({ kind: ['a', 'b'], grep: /x/i })).rejects.toMatchObject({
			code: 'WAIT_TIMEOUT',
			message: 'no record matched { kind: ["a", "b"], grep: /x/i } within 1000 ms; records held: 1',
		})
		await vi.advanceTimersByTimeAsync(999)
		expect(vi.getTimerCount()).toBe(1)
		await vi.advanceTimersByTimeAsync(1)
		await waiting
	})

	test('waits for timeoutMs, and without limit for Infinity', async () => {
		const appender = new BufferingAppender()
		const short = expect(appender.waitFor({ kind: 'a' }, { timeoutMs: 5 })).rejects.toThrow(/within 5 ms/)
		const ever = appender.waitFor({ kind: 'a' }, { timeoutMs: Number.POSITIVE_INFINITY })
		await vi.advanceTimersByTimeAsync(5)
		await short
		expect(vi.getTimerCount()).toBe(0)
		appender.append(record(1, { kind: 'a' }))
		await expect(ever).resolves.toMatchObject({ seq: 1 })
	})

	test('refuses a time-out that Node would fire at once', async () => {
		const appender = new BufferingAppender()
		await expect(appender.waitFor({}, { timeoutMs: 2 ** 31 })).rejects.toMatchObject({
			code: 'INVALID_OPTION',
		})
		await expect(appender.waitFor({}, { timeoutMs: -1 })).rejects.toMatchObject({ code: 'INVALID_OPTION' })
	})

	test('a predicate that throws rejects its own wait, and affects no other wait and no append', async () => {
		const appender = new BufferingAppender()
		const bad = expect(
			appender.waitFor(() => {
				throw new Error('mine')
			}),
		).rejects.toThrow('mine')
		const good = appender.waitFor({ kind: 'log' })
		appender.append(record(1))
		await bad
		await expect(good).resolves.toMatchObject({ seq: 1 })
	})

	test('pending waits reject when the appender is closed', async () => {
		const appender = new BufferingAppender()
		const waiting = expect(appender.waitFor({ kind: 'a' })).rejects.toMatchObject({ code: 'APPENDER_CLOSED' })
		await appender.close()
		await waiting
		await expect(appender.waitFor({ kind: 'a' })).rejects.toMatchObject({ code: 'APPENDER_CLOSED' })
	})
})
