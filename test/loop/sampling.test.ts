import { describe, expect, test } from 'vitest'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import type { MeshLoopOptions } from '../../src/loop/options.ts'
import { resolveRateLimit, resolveSampling, Sampler } from '../../src/loop/sampling.ts'
import { LOG_LEVELS, type LogLevel } from '../../src/model/record.ts'
import { randomFrom, SEED } from '../support/counts.ts'

const INFO = LOG_LEVELS.indexOf('info')
const loopWith = (options: MeshLoopOptions) => new MeshLoop(undefined, options)

function publish(loop: MeshLoop, kind: string, times: number, level: LogLevel = 'info'): number {
	let published = 0
	for (let time = 0; time < times; time++) if (loop.emit(kind, time, { level })) published++
	return published
}

describe('sampling', () => {
	test('publishes a random part of the lines of a kind, and counts the others', () => {
		const random = randomFrom(SEED)
		const options = { sampling: resolveSampling('sampling', { request: 0.25 }), rateLimit: undefined }
		const sampler = new Sampler(options, () => 0, random)
		const again = randomFrom(SEED)
		let dropped = 0
		for (let time = 0; time < 1000; time++) {
			const isDropped = sampler.drop('request', INFO) !== undefined
			expect(isDropped).toBe(again() >= 0.25)
			if (isDropped) dropped++
		}
		expect(sampler.dropped()).toEqual({ request: { sampledOut: dropped, rateLimited: 0 } })
	})

	test('uses no seq for a dropped line, and calls no hook for it', () => {
		let calls = 0
		const loop = loopWith({
			sampling: { noise: 0 },
			context: () => {
				calls++
				return undefined
			},
		})
		expect(publish(loop, 'noise', 5)).toBe(0)
		expect(calls).toBe(0)
		expect(loop.emit('signal', 1)?.seq).toBe(1)
		expect(loop.publishBatch([{ kind: 'noise' }, { kind: 'signal' }]).map(({ seq }) => seq)).toEqual([2])
		expect(loop.stats()).toMatchObject({
			sampledOut: 6,
			rateLimited: 0,
			belowLevel: 0,
			published: 2,
			droppedByKind: { noise: { sampledOut: 6, rateLimited: 0 } },
		})
	})

	test('a dropped and a published line are all lines', () => {
		const loop = loopWith({ sampling: { log: 0.5 } })
		for (let time = 0; time < 100; time++) loop.info('a')
		const { published, sampledOut } = loop.stats()
		expect(published + sampledOut).toBe(100)
	})

	test('never drops warnings and errors, unless its rule says so', () => {
		const loop = loopWith({ sampling: { a: 0, b: { rate: 0, levelMax: 'warn' } } })
		expect(publish(loop, 'a', 1, 'debug')).toBe(0)
		expect(publish(loop, 'a', 1, 'warn') + publish(loop, 'a', 1, 'error')).toBe(2)
		expect(publish(loop, 'b', 1, 'warn')).toBe(0)
		expect(publish(loop, 'b', 1, 'error')).toBe(1)
	})

	test('tells a fatal line from an error, and accepts levels in any form', () => {
		const loop = loopWith({ sampling: { log: { rate: 0, levelMax: 'ERROR' } } })
		expect([loop.error('a'), loop.fatal('b')].map((record) => record?.message)).toEqual([undefined, 'b'])
	})

	test('a line that is not valid or not readable is published or dropped, and never throws', () => {
		const loop = loopWith({ sampling: { noise: 0 } })
		const unreadable = Object.defineProperty({ message: 'a' }, 'kind', {
			enumerable: true,
			get: () => {
				throw new Error('mine')
			},
		})
		expect(loop.publish(unreadable)?.kind).toBe('log')
		expect(loop.publish({ kind: 5 as never, message: 'a' })?.data).toEqual({ kind: 5 })
		expect(loop.publish({ kind: 'noise', unknown: 1 } as never)).toBeUndefined()
	})

	test('the longest name of a rule applies', () => {
		const loop = loopWith({ sampling: { '*': 0, 'http.*': 1, 'http.health*': 0, 'http.health.db': 1 } })
		const published = ['other', 'http.request', 'http.health', 'http.health.disk', 'http.health.db'].filter(
			(kind) => publish(loop, kind, 1) === 1,
		)
		expect(published).toEqual(['http.request', 'http.health.db'])
		expect(loop.stats().droppedByKind).toEqual({
			'*': { sampledOut: 1, rateLimited: 0 },
			'http.health*': { sampledOut: 2, rateLimited: 0 },
		})
	})

	test('a child has the rules of its loop', () => {
		const loop = loopWith({ sampling: { noise: 0 } })
		expect(loop.child({ daemonId: 'd' }).emit('noise', 1)).toBeUndefined()
		expect(loop.stats().sampledOut).toBe(1)
	})

	test('keeps records of mesh-chain', () => {
		const loop = loopWith({ sampling: { '*': 0 } })
		const origin = { chainId: 'c', epoch: 1, seq: 1 }
		expect(loop.publish({ kind: '$gap', data: { cause: 'damaged' }, origin })?.seq).toBe(1)
	})
})

describe('a rate limit', () => {
	test('lets a burst pass, then the rate, and counts the others', () => {
		let nowMs = 1_000_000
		const loop = loopWith({ clock: () => nowMs, rateLimit: { miss: { perSecond: 10, burst: 3 } } })
		expect(publish(loop, 'miss', 5)).toBe(3)
		nowMs += 100
		expect(publish(loop, 'miss', 5)).toBe(1)
		nowMs += 10_000
		expect(publish(loop, 'miss', 5)).toBe(3)
		expect(publish(loop, 'other', 5)).toBe(5)
		expect(loop.stats()).toMatchObject({
			rateLimited: 8,
			published: 12,
			lastSeq: 12,
			droppedByKind: { miss: { sampledOut: 0, rateLimited: 8 } },
		})
	})

	test('has a burst of one second by default', () => {
		const loop = loopWith({ clock: () => 0, rateLimit: { a: { perSecond: 2.5 }, b: { perSecond: 0.1 } } })
		expect(publish(loop, 'a', 9)).toBe(3)
		expect(publish(loop, 'b', 9)).toBe(1)
	})

	test('survives a clock that steps back', () => {
		let nowMs = 1_000_000
		const loop = loopWith({ clock: () => nowMs, rateLimit: { a: { perSecond: 1 } } })
		expect(publish(loop, 'a', 2)).toBe(1)
		nowMs = 5_000
		expect(publish(loop, 'a', 2)).toBe(0)
		nowMs += 1_000
		expect(publish(loop, 'a', 2)).toBe(1)
	})

	test('is shared by all kinds of a rule, and does not apply to warnings and errors', () => {
		const loop = loopWith({ clock: () => 0, rateLimit: { '*': { perSecond: 2 } } })
		expect(publish(loop, 'a', 2) + publish(loop, 'b', 2)).toBe(2)
		expect(publish(loop, 'a', 2, 'warn') + publish(loop, 'a', 2, 'error')).toBe(4)
	})

	test('applies to the lines that sampling selects', () => {
		const loop = loopWith({ clock: () => 0, sampling: { a: 0 }, rateLimit: { a: { perSecond: 1 } } })
		publish(loop, 'a', 5)
		expect(loop.stats()).toMatchObject({ sampledOut: 5, rateLimited: 0 })
	})
})

describe('wrong options are refused', () => {
	test.each<[MeshLoopOptions, RegExp]>([
		[{ sampling: { a: 1.5 } }, /rate of sampling of "a" must be a number from 0 to 1, not 1.5/],
		[{ sampling: { a: Number.NaN } }, /rate of sampling of "a"/],
		[{ sampling: { a: '0.5' as never } }, /sampling of "a" must be an object/],
		[{ sampling: { a: { rate: -1 } } }, /rate of sampling of "a"/],
		[{ sampling: { a: {} as never } }, /rate of sampling of "a" must be a number from 0 to 1, not undefined/],
		[{ sampling: { a: { rate: 1, burst: 1 } as never } }, /no such option: "burst"/],
		[{ sampling: { '': 1 } }, /sampling contains "", which is not a kind/],
		[{ sampling: { 'a*b': 1 } }, /"a\*b", which is not a kind/],
		[{ sampling: { $crash: 1 } }, /"\$crash", which is not a kind/],
		[{ sampling: [] as never }, /sampling must be an object/],
		[{ sampling: null as never }, /sampling must be an object/],
		[{ rateLimit: { a: 5 as never } }, /rateLimit of "a" must be an object/],
		[{ rateLimit: { a: { perSecond: 0 } } }, /perSecond of rateLimit of "a" must be a number above 0, not 0/],
		[{ rateLimit: { a: { perSecond: Infinity } } }, /perSecond/],
		[{ rateLimit: { a: { perSecond: 1, burst: 0 } } }, /burst of rateLimit of "a"/],
		[{ rateLimit: { a: { perSecond: 1, burst: 1.5 } } }, /burst of rateLimit of "a"/],
		[{ rateLimit: null as never }, /rateLimit must be an object/],
	])('%j', (options, expected) => {
		expect(() => loopWith(options)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
		expect(() => loopWith(options)).toThrow(expected)
	})

	test('an unknown level', () => {
		expect(() => loopWith({ sampling: { a: { rate: 1, levelMax: 'loud' as never } } })).toThrow(
			expect.objectContaining({ code: 'INVALID_LEVEL' }),
		)
	})

	test('undefined means no rule', () => {
		expect(resolveSampling('sampling', { a: undefined })).toBeUndefined()
		expect(resolveRateLimit('rateLimit', {})).toBeUndefined()
	})
})
