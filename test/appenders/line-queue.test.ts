/** The queue of a ConsoleAppender: bounded, in order, with a gap for what was dropped. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { LineQueue } from '../../src/appenders/line-queue.ts'
import { gapRecord, isGap } from '../../src/model/record.ts'
import { SEED } from '../support/counts.ts'
import { record } from '../support/records.ts'

const gapText = (fromSeq: number, toSeq: number, count: number) => `gap ${fromSeq}-${toSeq} ${count}\n`
const newQueue = (bytesMax: number) =>
	new LineQueue(bytesMax, ({ fromSeq, toSeq, count }) => gapText(fromSeq, toSeq, count))

function written(queue: LineQueue): string {
	let text = ''
	for (let chunk = queue.next(); chunk !== undefined; chunk = queue.next()) {
		text += Buffer.from(chunk.bytes.subarray(chunk.offset)).toString()
		queue.wrote(chunk.bytes.length - chunk.offset)
	}
	return text
}

describe('LineQueue', () => {
	test('drops the oldest lines, and puts one gap in their place', () => {
		const queue = newQueue(12)
		expect(queue.push(record(1), 'one\n')).toEqual([])
		expect(queue.push(record(2), 'two\n')).toEqual([])
		expect(queue.push(record(3), 'six\n')).toEqual([])
		expect(queue.push(record(4), 'ten\n').map(({ seq }) => seq)).toEqual([1])
		expect(queue.push(record(7), 'too\n').map(({ seq }) => seq)).toEqual([2])
		expect(written(queue)).toBe(`${gapText(1, 2, 2)}six\nten\ntoo\n`)
	})

	test('never drops a line of which bytes were written', () => {
		const queue = newQueue(8)
		queue.push(record(1), 'one\n')
		expect(queue.next()?.ends).toEqual([4])
		queue.wrote(2)
		queue.push(record(2), 'two\n')
		expect(queue.push(record(3), 'six\n').map(({ seq }) => seq)).toEqual([2])
		expect(written(queue)).toBe(`e\n${gapText(2, 2, 1)}six\n`)
	})

	test('replaces a line that is longer than the queue, and keeps the others', () => {
		const queue = newQueue(40)
		queue.push(record(1), 'one\n')
		expect(queue.push(record(2), 'x'.repeat(41)).map(({ seq }) => seq)).toEqual([2])
		queue.push(record(3), 'six\n')
		expect(written(queue)).toBe(`one\n${gapText(2, 2, 1)}six\n`)
	})

	test('counts a dropped gap as the records that it replaces', () => {
		const queue = newQueue(4)
		queue.push(
			gapRecord({ fromSeq: 1, toSeq: 9, count: 9, cause: 'evicted' }, { epoch: 1, tsMs: 0 }),
			'gap\n',
		)
		queue.push(record(10), 'ten\n')
		queue.push(record(11), 'two\n')
		expect(written(queue)).toBe(`${gapText(1, 10, 10)}two\n`)
	})

	test('returns what was not completely written', () => {
		const queue = newQueue(100)
		for (const seq of [1, 2, 3]) queue.push(record(seq), `${seq}..\n`)
		queue.next()
		expect(queue.wrote(6)).toBe(1)
		expect(queue.count).toBe(2)
		queue.push(record(4), '4..\n')
		expect(queue.clear().map(({ seq }) => seq)).toEqual([2, 3, 4])
		expect([queue.count, queue.bytes, queue.isEmpty]).toEqual([0, 0, true])
	})
})

test(`writes or accounts for every record, in order and within its bound (seed ${SEED})`, () => {
	const steps = fc.array(
		fc.oneof(
			fc.record({ push: fc.integer({ min: 1, max: 60 }) }),
			fc.record({ write: fc.integer({ min: 1, max: 200 }) }),
		),
		{ maxLength: 80 },
	)
	fc.assert(
		fc.property(steps, fc.integer({ min: 30, max: 200 }), (taken, bytesMax) => {
			const queue = newQueue(bytesMax)
			let text = ''
			let seq = 0
			const dropped: number[] = []
			let complete = 0
			for (const step of taken) {
				if ('push' in step) {
					seq += 1
					const line = `${`${seq} `.padEnd(step.push, 'x')}\n`
					const lost = queue.push(record(seq), line).filter((each) => !isGap(each))
					dropped.push(...lost.map((each) => each.seq))
					expect(queue.bytes).toBeLessThanOrEqual(bytesMax + gapText(1, 99, 99).length)
					continue
				}
				const chunk = queue.next()
				if (chunk === undefined) continue
				const count = Math.min(step.write, chunk.bytes.length - chunk.offset)
				text += Buffer.from(chunk.bytes.subarray(chunk.offset, chunk.offset + count)).toString()
				complete += queue.wrote(count)
			}
			expect(complete + dropped.length + queue.count).toBe(seq)
			text += written(queue)
			const seen: number[] = []
			for (const line of text.split('\n').slice(0, -1)) {
				const [, from, to] = /^gap (\d+)-(\d+) \d+$/.exec(line) ?? []
				if (from === undefined) seen.push(Number(line.split(' ')[0]))
				else for (let each = Number(from); each <= Number(to); each++) seen.push(each)
			}
			expect(seen).toEqual(Array.from({ length: seq }, (_unused, index) => index + 1))
		}),
		{ seed: SEED, numRuns: 300 },
	)
})
