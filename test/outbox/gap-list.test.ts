import { describe, expect, test } from 'vitest'
import { type GapCause, gapRecord, type LogRecord } from '../../src/model/record.ts'
import { type Gap, GapList, queueRangeOf } from '../../src/outbox/gap-list.ts'

function gap(from: number, to: number, cause: GapCause = 'evicted'): Gap {
	return { from, to, fromSeq: from, toSeq: to, count: to - from + 1, cause }
}

function drain(list: GapList): string[] {
	const all: string[] = []
	for (let next = list.shift(); next !== undefined; next = list.shift()) {
		all.push(`${next.from}-${next.to} ${next.cause} ${next.count}`)
	}
	return all
}

describe('GapList', () => {
	test('joins adjacent gaps with one cause, in any order of arrival', () => {
		const list = new GapList()
		for (const position of [3, 1, 5, 4, 2]) list.insert(gap(position, position))
		expect(list.positions).toBe(5)
		expect(drain(list)).toEqual(['1-5 evicted 5'])
	})

	test('keeps apart adjacent gaps of different causes, and gaps with records between them', () => {
		const list = new GapList()
		list.insert(gap(1, 1, 'appendFailed'))
		list.insert(gap(2, 2))
		list.insert(gap(4, 4))
		expect(list.count).toBe(3)
		expect(drain(list)).toEqual(['1-1 appendFailed 1', '2-2 evicted 1', '4-4 evicted 1'])
	})

	test('has the positions that it covers and its first position', () => {
		const list = new GapList()
		expect(list.first).toBe(Number.POSITIVE_INFINITY)
		list.insert(gap(4, 6))
		expect(list.first).toBe(4)
		expect([3, 4, 6, 7].map((position) => list.covers(position))).toEqual([false, true, true, false])
	})
})

describe('queueRangeOf', () => {
	test('counts a gap as the records that it stands for', () => {
		const lost = gapRecord({ fromSeq: 3, toSeq: 6, count: 4, cause: 'evicted' }, { epoch: 1, tsMs: 0 })
		const records = [lost, { seq: 7 } as LogRecord]
		expect(queueRangeOf(10, records)).toEqual({ from: 10, to: 11, fromSeq: 3, toSeq: 7, count: 5 })
	})
})
