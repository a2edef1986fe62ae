import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SampleQueue, Share } from '../../src/sources/sample-queue.ts'

const LARGE = Number.MAX_SAFE_INTEGER

describe('a queue of samples', () => {
	test('never exceeds its capacity, and is first in, first out, in total and for each source', () => {
		const step = fc.tuple(fc.constantFrom('push', 'push', 'shift', 'shiftOf'), fc.nat(4))
		fc.assert(
			fc.property(fc.array(step, { maxLength: 400 }), fc.integer({ min: 1, max: 60 }), (steps, capacity) => {
				const queue = new SampleQueue<readonly [number, number]>(capacity, LARGE)
				const shares = Array.from({ length: 5 }, () => new Share<readonly [number, number]>())
				let model: (readonly [number, number])[] = []
				for (const [index, [what, of]] of steps.entries()) {
					const share = shares[of]!
					const item = [of, index] as const
					if (what === 'push' && queue.hasRoomFor(share)) {
						queue.push(share, item, 1)
						model.push(item)
					}
					const first = what === 'shift' ? model[0] : model.find(([owner]) => owner === of)
					if (what === 'shift') expect(queue.shift()).toBe(first)
					if (what === 'shiftOf') expect(queue.shiftOf(share)).toBe(first)
					if (what !== 'push') model = model.filter((other) => other !== first)
					expect(queue.count).toBe(model.length)
					expect(queue.count).toBeLessThanOrEqual(capacity)
				}
				const counts = shares.map(({ count }) => count)
				expect(counts).toEqual(shares.map((_share, of) => model.filter(([owner]) => owner === of).length))
				while (queue.count > 0) expect(queue.shift()).toBe(model.shift())
				expect([queue.bytes, queue.shift(), model]).toEqual([0, undefined, []])
			}),
		)
	})

	test('a flooding source always leaves room for another one, in number and in bytes', () => {
		const limits = fc.tuple(fc.integer({ min: 9, max: 300 }), fc.integer({ min: 0, max: 100 }))
		fc.assert(
			fc.property(limits, ([capacity, bytes]) => {
				const bytesMax = 40 * (bytes + 200)
				const queue = new SampleQueue<number>(capacity, bytesMax)
				const [flood, other] = [new Share<number>(), new Share<number>()]
				for (let count = 0; count < 2 * capacity; count++)
					if (queue.hasRoomFor(flood)) queue.push(flood, count, bytes)
				expect(queue.hasRoomFor(flood)).toBe(false)
				expect(queue.hasRoomFor(other)).toBe(true)
				expect(queue.bytes).toBeLessThan(bytesMax)
			}),
		)
	})
})
