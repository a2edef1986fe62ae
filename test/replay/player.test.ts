import { getEventListeners } from 'node:events'
import { expect, onTestFinished, test } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { Player, type PlayerOptions } from '../../src/replay/player.ts'
import { ManualClock, settled } from '../support/manual-clock.ts'
import { MemoryFileSystem } from '../support/memory-file-system.ts'
import { record } from '../support/records.ts'

const PATH = '/service/node.chain'
const T0 = 1_714_200_000_000

/** A chain with one record per second, and a player whose deliveries are recorded. */
async function setUp(records = 10, options: PlayerOptions = {}) {
	// In memory, so that reading takes no time of any clock.
	const fs = new MemoryFileSystem()
	const appender = new FileChainAppender(PATH, { fs })
	for (let seq = 1; seq <= records; seq++) appender.append(record(seq, { tsMs: T0 + (seq - 1) * 1000 }))
	await appender.close()
	const chain = await openChain(PATH, { fs })
	onTestFinished(() => chain.close())
	const clock = new ManualClock()
	const seen: [number, number][] = []
	const player = new Player(chain, ({ seq }) => void seen.push([seq, clock.now()]), { clock, ...options })
	/** The deliveries since the last call. */
	const news = () => seen.splice(0)
	return { player, clock, news }
}

test('plays in real time to the end', async () => {
	const { player, clock, news } = await setUp(4)
	const done = player.play()
	await clock.advance(10_000)
	expect(await done).toMatchObject({ replayed: 4, ended: 'end', lateMsMax: 0 })
	expect(news()).toEqual([
		[1, 0],
		[2, 1000],
		[3, 2000],
		[4, 3000],
	])
})

test('a pause stops the time of the recording, and the rest of a wait follows it', async () => {
	const { player, clock, news } = await setUp(4)
	void player.play()
	await clock.advance(1400)
	player.pause()
	expect(player.isPaused).toBe(true)
	await clock.advance(60_000)
	expect(news()).toHaveLength(2)
	player.resume()
	await clock.advance(599)
	expect(news()).toEqual([])
	await clock.advance(2000)
	expect(news()).toEqual([
		[3, 62_000],
		[4, 63_000],
	])
})

test('the speed may change while it plays, also during a wait', async () => {
	const { player, clock, news } = await setUp(10)
	void player.play()
	await clock.advance(1500)
	player.speed = 10
	await clock.advance(150)
	player.speed = 0.5
	expect(news()).toEqual([
		[1, 0],
		[2, 1000],
		[3, 1550],
		[4, 1650],
	])
	await clock.advance(2000)
	expect(news()).toEqual([[5, 3650]])
	player.speed = 'max'
	await settled()
	expect(news().map(([seq]) => seq)).toEqual([6, 7, 8, 9, 10])
	expect(player.speed).toBe('max')
	for (const speed of [-1, 0, Number.NaN, Number.POSITIVE_INFINITY]) {
		expect(() => {
			player.speed = speed
		}).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
	}
})

test('steps, and continues from there', async () => {
	const { player, clock, news } = await setUp(10)
	await player.step()
	await player.step(3)
	expect(news().map(([seq]) => seq)).toEqual([1, 2, 3, 4])
	await clock.advance(10_000)
	expect(news()).toEqual([])
	void player.play()
	await clock.advance(1000)
	expect(news()).toEqual([[5, 11_000]])
	await player.step(100)
	expect(news()).toHaveLength(5)
})

test('seeks to any position, playing or not', async () => {
	const { player, clock, news } = await setUp(10)
	await player.seek({ seq: 7 })
	void player.play()
	await clock.advance(1000)
	expect(news().map(([seq]) => seq)).toEqual([7, 8])
	await player.seek({ tsMs: T0 + 1500 })
	await clock.advance(1000)
	expect(news()).toEqual([
		[3, 1000],
		[4, 2000],
	])
	await player.seek({ seq: 99 })
	await clock.advance(1000)
	expect(news()).toEqual([])
	await player.seek({ seq: 9 })
	const done = player.play()
	await clock.advance(10_000)
	await done
	expect(news().map(([seq]) => seq)).toEqual([9, 10])
	await expect(player.seek({ seq: Number.NaN })).rejects.toMatchObject({ code: 'INVALID_OPTION' })
})

test('plays up to a position and pauses there', async () => {
	const { player, clock, news } = await setUp(10)
	const there = player.playUntil({ seq: 3 })
	await clock.advance(60_000)
	await there
	expect([news().length, player.isPaused]).toEqual([3, true])
	const byTime = player.playUntil({ tsMs: T0 + 4500 })
	await clock.advance(60_000)
	await byTime
	expect(news().map(([seq]) => seq)).toEqual([4, 5])
	expect(clock.now()).toBe(120_000)
	const end = player.playUntil({ seq: 1000 })
	await clock.advance(60_000)
	await end
	expect(news()).toHaveLength(5)
})

test('at a position that it has already passed, a player delivers nothing and pauses at once', async () => {
	const { player, clock, news } = await setUp(10)
	const reached = [
		[{ seq: 4 }, 3000],
		[{ seq: 4 }, 3000],
		[{ seq: 1 }, 3000],
		[{ seq: 0 }, 3000],
		[{ tsMs: T0 + 3999 }, 3999],
		[{ tsMs: T0 + 3999 }, 3999],
		[{ tsMs: 0 }, 3999],
	] as const
	for (const [until, atMs] of reached) {
		await clock.runUntil(player.playUntil(until))
		expect([until, player.isPaused, clock.now()]).toEqual([until, true, atMs])
	}
	expect(news().map(([seq]) => seq)).toEqual([1, 2, 3, 4])
})

test('with loop it starts again at the end, until it is stopped', async () => {
	const { player, clock, news } = await setUp(3, { loop: true, fromSeq: 2 })
	const done = player.play()
	await clock.advance(2500)
	player.stop()
	expect(await done).toMatchObject({ ended: 'aborted' })
	expect(news()).toEqual([
		[2, 0],
		[3, 1000],
		[2, 1000],
		[3, 2000],
		[2, 2000],
	])
})

test('an empty window ends at once, also with loop', async () => {
	const { player } = await setUp(3, { loop: true, since: 0, until: 1 })
	expect(await player.play()).toMatchObject({ replayed: 0, ended: 'end' })
})

test('the summary has the largest delay', async () => {
	const { player, clock } = await setUp(5)
	const done = player.play()
	await clock.advance(500)
	clock.jump(700)
	await clock.advance(10_000)
	expect((await done).lateMsMax).toBe(200)
})

test('invalid positions and options that do not apply to a player are refused', async () => {
	const player = new Player({ records: async function* () {} } as never, () => {})
	for (const place of [null, {}, { seq: 1.5 }, { seq: -1 }, { tsMs: Number.NaN }, { seq: 1, tsMs: 1 }]) {
		await expect(player.seek(place as never)).rejects.toMatchObject({ code: 'INVALID_OPTION' })
	}
	for (const option of ['dryRun', 'stopOnError', 'concurrency', 'key']) {
		expect(() => new Player({} as never, () => {}, { [option]: 1 } as never)).toThrow(
			expect.objectContaining({ code: 'INVALID_OPTION' }),
		)
	}
})

test('a signal ends it, and does not retain a player that has ended or never played', async () => {
	const { signal } = new AbortController()
	const listeners = () => getEventListeners(signal, 'abort').length
	const { player, clock } = await setUp(3, { signal })
	expect(listeners()).toBe(0)
	for (const round of [1, 2]) {
		const done = player.play()
		expect(listeners()).toBe(1)
		await clock.advance(10_000)
		expect(await done).toMatchObject({ replayed: 3 * round, ended: 'end' })
		expect(listeners()).toBe(0)
		await player.seek({ seq: 1 })
	}
	const aborted = new AbortController()
	const second = await setUp(3, { signal: aborted.signal })
	const done = second.player.play()
	await settled()
	aborted.abort()
	expect(await done).toMatchObject({ replayed: 1, ended: 'aborted' })
	const third = await setUp(3, { signal: aborted.signal })
	expect(await third.player.play()).toMatchObject({ replayed: 0, ended: 'aborted' })
	expect(getEventListeners(aborted.signal, 'abort')).toEqual([])
})
