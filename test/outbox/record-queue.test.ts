import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { LogRecord } from '../../src/model/record.ts'
import { RecordQueue } from '../../src/outbox/record-queue.ts'

const record = (seq: number) => ({ seq }) as LogRecord

describe('RecordQueue', () => {
	test('positions continue from the given start', () => {
		const queue = new RecordQueue(7)
		queue.push(record(1), 10)
		queue.push(record(2), 20)
		expect([queue.first, queue.end, queue.count, queue.bytes]).toEqual([7, 9, 2, 30])
		queue.shift()
		expect([queue.first, queue.end, queue.count, queue.bytes]).toEqual([8, 9, 1, 20])
		expect(queue.at(8)).toEqual({ seq: 2 })
	})

	test('shift() of an empty queue changes nothing', () => {
		const queue = new RecordQueue(1)
		queue.shift()
		expect([queue.first, queue.end, queue.bytes]).toEqual([1, 1, 0])
	})

	test('works for positions beyond 32 bits', () => {
		const queue = new RecordQueue(2 ** 40)
		for (let index = 0; index < 100; index++) queue.push(record(index))
		expect(queue.at(2 ** 40 + 99)).toEqual({ seq: 99 })
	})

	test('agrees with an array after any pushes and shifts', () => {
		fc.assert(
			fc.property(fc.array(fc.integer({ min: -40, max: 40 })), (steps) => {
				const queue = new RecordQueue(1)
				const model: number[] = []
				let pushed = 0
				for (const step of steps) {
					for (let count = 0; count < step; count++) {
						queue.push(record(++pushed), pushed)
						model.push(pushed)
					}
					for (let count = 0; count > step; count--) {
						queue.shift()
						model.shift()
					}
					expect(queue.slice(queue.first, queue.end - 1).map(({ seq }) => seq)).toEqual(model)
					expect(queue.bytes).toBe(model.reduce((sum, bytes) => sum + bytes, 0))
					expect(queue.end).toBe(pushed + 1)
				}
			}),
		)
	})
})
