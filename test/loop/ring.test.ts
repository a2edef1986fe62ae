import { describe, expect, test } from 'vitest'
import { BufferingAppender } from '../../src/appenders/buffering.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'

const seqs = (loop: MeshLoop) => loop.snapshot().map(({ seq }) => seq)

function publish(loop: MeshLoop, count: number): void {
	for (let index = 0; index < count; index++) loop.info('hello')
}

describe('the ring', () => {
	test('Match: holds 2,048 records, first in first out', () => {
		const loop = new MeshLoop()
		publish(loop, 2050)
		expect(seqs(loop)).toHaveLength(2048)
		expect([seqs(loop)[0], seqs(loop).at(-1)]).toEqual([3, 2050])
		expect(loop.stats().ring).toMatchObject({ records: 2048, capacity: 2048, evicted: 2 })
	})

	test('holds as many records as the option says, down to one', () => {
		const loop = new MeshLoop(undefined, { ringCapacity: 1 })
		publish(loop, 3)
		expect(seqs(loop)).toEqual([3])
	})

	test('can be bounded in bytes, and keeps the newest record however large it is', () => {
		const loop = new MeshLoop(undefined, { ringBytesMax: 1000 })
		publish(loop, 20)
		const { bytes, bytesMax, records } = loop.stats().ring
		expect(bytes).toBeLessThanOrEqual(1000)
		expect(bytesMax).toBe(1000)
		expect(records).toBeGreaterThan(1)
		loop.info('large', 'x'.repeat(5000))
		expect(seqs(loop)).toEqual([21])
		publish(loop, 1)
		expect(seqs(loop)).toEqual([22])
	})

	test('Match: ring and appender agree on seq and content', () => {
		const appender = new BufferingAppender()
		const loop = new MeshLoop(appender)
		for (let index = 0; index < 5; index++) loop.info(`m${index}`, { index })
		expect(loop.snapshot()).toEqual(appender.captured())
	})
})

describe('Match: a filter requires all its conditions', () => {
	function filled(): MeshLoop {
		const loop = new MeshLoop()
		loop.publish({ level: 'error', daemonId: 'a', nodeId: 'n', tsMs: 10, kind: 'k1', message: 'Disk full' })
		loop.publish({ level: 'error', daemonId: 'b', nodeId: 'n', tsMs: 20, kind: 'k2', data: { text: 'disk' } })
		loop.publish({ level: 'warn', daemonId: 'a', nodeId: 'm', tsMs: 30, kind: 'k1' })
		loop.publish({ level: 'info', nodeId: 'n', tsMs: 40, kind: 'k2' })
		return loop
	}
	const found = (filter: object) =>
		filled()
			.snapshot(filter)
			.map(({ seq }) => seq)

	test('level at or above', () => expect(found({ level: 'warn' })).toEqual([1, 2, 3]))
	test('exact daemon: a record without one does not match', () =>
		expect(found({ daemonId: 'a' })).toEqual([1, 3]))
	test('exact node', () => expect(found({ nodeId: 'n' })).toEqual([1, 2, 4]))
	test('seq above a watermark, exclusive', () => expect(found({ afterSeq: 2 })).toEqual([3, 4]))
	test('time, both ends inclusive', () => expect(found({ since: 20, until: 30 })).toEqual([2, 3]))
	test('one of several kinds', () => expect(found({ kind: ['k2', 'k3'] })).toEqual([2, 4]))
	test('a text in message or data', () => expect(found({ grep: 'disk' })).toEqual([1, 2]))
	test('all of them', () =>
		expect(found({ level: 'warn', daemonId: 'a', nodeId: 'm', afterSeq: 1 })).toEqual([3]))
	test('an invalid filter is refused', () => {
		expect(() => filled().snapshot({ levle: 'warn' } as object)).toThrow(
			expect.objectContaining({ code: 'INVALID_FILTER' }),
		)
	})
})
