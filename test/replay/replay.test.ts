import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { BufferingAppender } from '../../src/appenders/buffering.ts'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { JsonlAppender } from '../../src/jsonl/jsonl-appender.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { MeshChainError } from '../../src/model/errors.ts'
import { gapRecord, type LogRecord } from '../../src/model/record.ts'
import { replay } from '../../src/replay/replay.ts'
import type { ReplayOptions } from '../../src/replay/replay-options.ts'
import { AppenderTarget } from '../../src/replay/targets/appender-target.ts'
import { LoopTarget } from '../../src/replay/targets/loop-target.ts'
import { FaultyFileSystem } from '../support/faulty-file-system.ts'
import { ManualClock, settled } from '../support/manual-clock.ts'
import { collect, record } from '../support/records.ts'
import { watchStalls } from '../support/stalls.ts'
import { temporaryFolder } from '../support/temporary.ts'

async function* from(records: readonly LogRecord[]) {
	yield* records
}

const five = [1, 2, 3, 4, 5].map((seq) => record(seq))

/** Records at these milliseconds after the first one. */
function at(...times: number[]): LogRecord[] {
	return times.map((ms, index) => record(index + 1, { tsMs: 1_714_200_000_000 + ms }))
}

function pacedInto(
	clock: ManualClock,
	records: readonly LogRecord[],
	speed: number,
	options: ReplayOptions = {},
) {
	const seen: [number, number][] = []
	const take = ({ seq }: LogRecord) => void seen.push([seq, clock.now()])
	const done = replay(from(records), take, { speed, clock, ...options })
	return { seen, done }
}

test('delivers records in order and counts them; the summary is plain data', async () => {
	const seen: number[] = []
	const summary = await replay(from(five), ({ seq }) => void seen.push(seq))
	expect(seen).toEqual([1, 2, 3, 4, 5])
	expect(summary).toMatchObject({ replayed: 5, failed: 0, firstSeq: 1, lastSeq: 5, nextSeq: 6, ended: 'end' })
	expect(JSON.parse(JSON.stringify(summary))).toMatchObject({ replayed: 5, gaps: { count: 0, records: 0 } })
})

test('an inverted window fails before anything is read', async () => {
	const unread = { [Symbol.asyncIterator]: () => expect.unreachable() }
	for (const window of [
		{ since: 2, until: 1 },
		{ fromSeq: 3, toSeq: 2 },
	]) {
		await expect(replay(unread, () => {}, window)).rejects.toMatchObject({
			code: 'INVALID_FILTER',
			message: expect.stringContaining('replay window: from > to'),
		})
	}
	await expect(replay(from(five), () => {}, { since: 1, until: 1 })).resolves.toMatchObject({ replayed: 0 })
})

test.each([
	[{ speed: 0 }, 'INVALID_OPTION'],
	[{ speed: 'fast' as 'max' }, 'INVALID_OPTION'],
	[{ retries: -1 }, 'INVALID_OPTION'],
	[{ concurrency: 0 }, 'INVALID_OPTION'],
	[{ sped: 2 } as object, 'INVALID_OPTION'],
	[{ level: 'loud' as 'info' }, 'INVALID_LEVEL'],
])('%o is refused', async (options, code) => {
	await expect(replay(from(five), () => {}, options)).rejects.toMatchObject({ code })
})

test('filtered records are counted; both ends of a window are inclusive', async () => {
	const seen: number[] = []
	const summary = await replay(from(five), ({ seq }) => void seen.push(seq), {
		since: five[1]!.tsMs,
		until: five[3]!.tsMs,
		limit: 2,
	})
	expect(seen).toEqual([2, 3])
	expect(summary.skipped).toEqual({ filtered: 1 })
	expect(summary.nextSeq).toBe(4)
})

describe('identity', () => {
	test('a record keeps its time and its origin, or gets an origin', async () => {
		const origin = { chainId: 'of another', epoch: 3, seq: 77 }
		const loop = new MeshLoop(new BufferingAppender())
		await replay(from([record(4, { epoch: 2 }), record(5, { origin })]), new LoopTarget(loop), {
			sourceId: 'mine',
		})
		expect(loop.snapshot().map(({ tsMs }) => tsMs)).toEqual([record(4).tsMs, record(5).tsMs])
		expect(loop.snapshot().map((each) => each.origin)).toEqual([
			{ chainId: 'mine', epoch: 2, seq: 4 },
			origin,
		])
	})

	test('from chain to chain: every record arrives, `$` ones too, with a new seq and its origin', async () => {
		const folder = temporaryFolder()
		const loop = new MeshLoop(new FileChainAppender(join(folder, 'a.chain')))
		for (let index = 0; index < 20; index++) loop.info(`message ${index}`, { index })
		loop.publish({ kind: '$note', origin: { chainId: 'x', epoch: 1, seq: 1 } })
		await loop.close()
		const source = await openChain(join(folder, 'a.chain'))
		const target = new AppenderTarget(new FileChainAppender(join(folder, 'b.chain')))
		expect((await replay(source, target, { afterSeq: 5 })).replayed).toBe(16)
		await target.close()
		const copy = await openChain(join(folder, 'b.chain'))
		const found = await collect(copy.records())
		expect(found.map(({ seq }) => seq)).toEqual(Array.from({ length: 16 }, (_unused, index) => index + 1))
		expect(found[0]!.origin).toEqual({ chainId: source.chainId, epoch: 1, seq: 6 })
		expect(found.at(-1)).toMatchObject({ kind: '$note', origin: { chainId: 'x' } })
		await Promise.all([source.close(), copy.close()])
	})
})

describe('into an appender whose disk is full', () => {
	const many = Array.from({ length: 20_000 }, (_unused, index) => record(index + 11, { data: { index } }))

	test.each([
		['chain', (path: string, fs: FaultyFileSystem) => new FileChainAppender(path, { fs })],
		['jsonl', (path: string, fs: FaultyFileSystem) => new JsonlAppender(path, { fs })],
	] as const)('ends if a %s is full, and counts the records that it did not keep', async (name, make) => {
		const disk = new FaultyFileSystem()
		const target = new AppenderTarget(make(join(temporaryFolder(), `x.${name}`), disk))
		disk.roomBytes = 200_000
		const summary = await replay(from(many), target)
		const { replayed, failed, nextSeq } = summary
		expect(summary).toMatchObject({ ended: 'targetGone', nextSeq: replayed + 11 })
		expect([failed > 0, replayed > 100, replayed + failed < 20_000]).toEqual([true, true, true])
		disk.heal()
		const rest = await replay(from(many), target, { fromSeq: nextSeq! })
		expect(rest.ended).toBe('end')
		await target.close()
	})

	test('continues when the disk has room again before the last retry', async () => {
		const disk = new FaultyFileSystem()
		const target = new AppenderTarget(new JsonlAppender(join(temporaryFolder(), 'x.jsonl'), { fs: disk }))
		disk.roomBytes = 50_000
		const done = replay(from(many), target)
		setTimeout(() => disk.heal(), 50)
		expect(await done).toMatchObject({ replayed: 20_000, failed: 0, ended: 'end' })
		await target.close()
	})
})

describe('paced', () => {
	test('delivers the first record at once, and every other one at its distance from it', async () => {
		const clock = new ManualClock()
		const { seen, done } = pacedInto(clock, at(0, 10, 250, 1000), 1)
		await clock.advance(5000)
		expect((await done).lateMsMax).toBe(0)
		expect(seen).toEqual([
			[1, 0],
			[2, 10],
			[3, 250],
			[4, 1000],
		])
	})

	test('ten times as fast, and ten times as slow', async () => {
		for (const [speed, expected] of [
			[10, [0, 10, 100]],
			[0.1, [0, 1000, 10_000]],
		] as const) {
			const clock = new ManualClock()
			const { seen, done } = pacedInto(clock, at(0, 100, 1000), speed)
			await clock.advance(20_000)
			await done
			expect(seen.map(([, ms]) => ms)).toEqual(expected)
		}
	})

	test('a record with an earlier time is delivered at once, and does not shift later ones', async () => {
		const clock = new ManualClock()
		const { seen, done } = pacedInto(clock, at(0, 500, -300, 100, 800), 1)
		await clock.advance(5000)
		await done
		expect(seen.map(([, ms]) => ms)).toEqual([0, 500, 500, 500, 800])
	})

	test('a slow target catches up, from one anchor, and the summary has its delay', async () => {
		const clock = new ManualClock()
		const seen: number[] = []
		const done = replay(
			from(at(0, 100, 200, 300, 1000)),
			({ seq }) => {
				seen.push(clock.now())
				if (seq === 2) clock.jump(250)
			},
			{ speed: 1, clock },
		)
		await clock.advance(5000)
		expect(await done).toMatchObject({ replayed: 5, lateMsMax: 150 })
		expect(seen).toEqual([0, 100, 350, 350, 1000])
	})

	test('a wait longer than the longest timer is observed', async () => {
		const clock = new ManualClock()
		const days30 = 30 * 24 * 3_600_000
		const { seen, done } = pacedInto(clock, at(0, days30), 1, { gapMsMax: Number.POSITIVE_INFINITY })
		await clock.advance(2 ** 31)
		expect(seen).toHaveLength(1)
		await clock.advance(days30)
		await done
		expect(seen[1]).toEqual([2, days30])
	})

	test('in real time, within 20 ms plus the time that the machine stood still', async () => {
		const seen: number[] = []
		const stalls = watchStalls()
		const begun = performance.now()
		const summary = await replay(from(at(0, 50, 120, 300)), () => void seen.push(performance.now() - begun), {
			speed: 1,
		})
		const stalledMs = stalls()
		const late = seen.map((ms, index) => ms - [0, 50, 120, 300][index]!)
		expect(Math.min(...late)).toBeGreaterThanOrEqual(-1)
		expect(late.at(-1)).toBeLessThan(20 + late[0]! + stalledMs)
		expect(summary.lateMsMax).toBeLessThan(50 + stalledMs)
	})
})

describe('a target that fails', () => {
	const failing = (
		seqs: readonly number[],
		tries: Map<number, number>,
		until = Number.POSITIVE_INFINITY,
	) => ({
		write({ seq }: LogRecord) {
			const count = (tries.get(seq) ?? 0) + 1
			tries.set(seq, count)
			if (seqs.includes(seq) && count < until) throw new Error(`no room for ${seq}`)
		},
	})

	test('is retried, then the record is counted and the replay continues', async () => {
		const clock = new ManualClock()
		const tries = new Map<number, number>()
		const done = replay(from(five), failing([2, 3], tries), { clock, retries: 2 })
		await clock.advance(1000)
		expect(await done).toMatchObject({
			replayed: 3,
			failed: 2,
			retries: 2,
			firstError: { seq: 2, message: 'no room for 2' },
			ended: 'end',
			nextSeq: 6,
		})
		// While it fails, the next records are tried once.
		expect([...tries.values()]).toEqual([1, 3, 1, 1, 1])
	})

	test('that recovers in time loses nothing', async () => {
		const clock = new ManualClock()
		const done = replay(from(five), failing([2], new Map(), 3), { clock })
		await clock.advance(1000)
		expect(await done).toMatchObject({ replayed: 5, failed: 0, retries: 2, firstError: undefined })
	})

	test('ends the replay with stopOnError, and another can resume there', async () => {
		const summary = await replay(from(five), failing([3], new Map()), { retries: 0, stopOnError: true })
		expect(summary).toMatchObject({ replayed: 2, failed: 1, ended: 'error', nextSeq: 3 })
	})

	test('that hangs is given up after the time limit', async () => {
		const clock = new ManualClock()
		const done = replay(from(five), () => new Promise(() => {}), { clock, retries: 5, timeoutMs: 100 })
		await clock.advance(60_000)
		expect(await done).toMatchObject({
			replayed: 0,
			failed: 1,
			ended: 'targetGone',
			nextSeq: 1,
			firstError: { code: 'TARGET_TIMEOUT' },
		})
	})

	test('that reports that it is gone ends the replay', async () => {
		const gone = new MeshChainError('TARGET_GONE', 'it left')
		const target = ({ seq }: LogRecord) => (seq === 3 ? Promise.reject(gone) : undefined)
		expect(await replay(from(five), target)).toMatchObject({
			replayed: 2,
			failed: 1,
			retries: 0,
			ended: 'targetGone',
			nextSeq: 3,
		})
	})

	test('a failed flush is not a success', async () => {
		const target = { write() {}, flush: () => Promise.reject(new Error('the disk is full')) }
		expect(await replay(from(five), target)).toMatchObject({
			ended: 'targetGone',
			firstError: { message: 'the disk is full' },
		})
	})
})

test('gaps are counted, and delivered only to targets that keep them', async () => {
	const gap = gapRecord({ fromSeq: 3, toSeq: 6, count: 4, cause: 'damaged' }, record(6))
	const records = [record(1), record(2), gap, record(7)]
	const seen: string[] = []
	const summary = await replay(from(records), ({ kind }) => void seen.push(kind))
	expect([summary.gaps, seen]).toEqual([{ count: 1, records: 4 }, ['log', 'log', 'log']])
	const kept: string[] = []
	await replay(from(records), { keepsGaps: true, write: ({ kind }) => void kept.push(kind) })
	expect(kept).toEqual(['log', 'log', '$gap', 'log'])
})

test('a dry run reads, filters, paces and counts, and delivers nothing', async () => {
	const clock = new ManualClock()
	const done = replay(from(at(0, 100)), () => expect.unreachable(), { dryRun: true, speed: 1, clock })
	await clock.advance(1000)
	expect(await done).toMatchObject({ replayed: 2, elapsedMs: 100, lateMsMax: 0 })
})

describe('concurrency', () => {
	test('bounds the deliveries in flight, and keeps records of one key in order', async () => {
		const records = Array.from({ length: 400 }, (_unused, index) =>
			record(index + 1, { nodeId: `n${index % 7}` }),
		)
		const order = new Map<unknown, number[]>()
		let running = 0
		let most = 0
		const summary = await replay(
			from(records),
			async ({ nodeId, seq }) => {
				running++
				most = Math.max(most, running)
				await new Promise((resolve) => setTimeout(resolve, seq % 3))
				order.set(nodeId, [...(order.get(nodeId) ?? []), seq])
				running--
			},
			{ concurrency: 4 },
		)
		expect(summary).toMatchObject({ replayed: 400, nextSeq: 401 })
		expect(most).toBe(4)
		for (const seqs of order.values()) expect(seqs).toEqual([...seqs].sort((a, b) => a - b))
	})

	test('bounds the waiting records', async () => {
		let read = 0
		async function* endless() {
			for (;;) yield record(++read)
		}
		const controller = new AbortController()
		const done = replay(endless(), () => new Promise(() => {}), {
			concurrency: 3,
			signal: controller.signal,
			timeoutMs: 100,
			retries: 0,
		})
		await settled()
		expect(read).toBeLessThanOrEqual(3 * 16 + 1)
		controller.abort()
		await done
	})
})

describe('a signal', () => {
	test('ends a wait for a time, a wait for the source, and a wait for a retry', async () => {
		const clock = new ManualClock()
		async function* never() {
			yield record(1)
			await new Promise(() => {})
		}
		const cases = [
			[from(at(0, 1_000_000)), () => {}, 2],
			[never(), () => {}, 2],
			[from(five), ({ seq }: LogRecord) => (seq === 2 ? Promise.reject(new Error('no')) : undefined), 3],
		] as const
		for (const [source, target, nextSeq] of cases) {
			const controller = new AbortController()
			const done = replay(source, target, { speed: 1, clock, signal: controller.signal })
			await clock.advance(10)
			controller.abort()
			const summary = await done
			expect(summary).toMatchObject({ replayed: 1, ended: 'aborted' })
			expect(summary.nextSeq).toBeLessThanOrEqual(nextSeq)
		}
	})

	test('that was aborted before the replay prevents every delivery', async () => {
		const summary = await replay(from(five), () => expect.unreachable(), { signal: AbortSignal.abort() })
		expect(summary).toMatchObject({ replayed: 0, ended: 'aborted', nextSeq: undefined })
	})
})

test('progress is reported', async () => {
	const clock = new ManualClock()
	const told: unknown[] = []
	const done = replay(from(at(0, 1500, 1600, 3000)), () => {}, {
		speed: 1,
		clock,
		onProgress: ({ seq, waitsFor }) => void told.push([clock.now(), seq, waitsFor?.seq, waitsFor?.waitMs]),
	})
	await clock.advance(10_000)
	await done
	expect(told).toEqual([
		[1000, 1, 2, 500],
		[2000, 3, 4, 1000],
		[3000, 4, undefined, undefined],
	])
})

test('a failed source is reported after the deliveries in flight', async () => {
	let arrived = 0
	async function* failing() {
		for (let seq = 1; seq <= 5; seq++) yield record(seq, { nodeId: seq })
		throw new Error('gone')
	}
	const target = async () => {
		await new Promise((resolve) => setTimeout(resolve, 20))
		arrived++
	}
	await expect(replay(failing(), target, { concurrency: 5 })).rejects.toThrow('after 5 records')
	expect(arrived).toBe(5)
})

test('an invalid source or target is refused before anything is read', async () => {
	for (const source of ['node.chain', null, {}, Promise.resolve()]) {
		await expect(replay(source as never, () => {})).rejects.toMatchObject({ code: 'INVALID_OPTION' })
	}
	const targets = [undefined, {}, new MeshLoop(), new BufferingAppender(), new PassThrough()]
	for (const target of targets) {
		await expect(replay((async function* () {})(), target as never)).rejects.toMatchObject({
			code: 'INVALID_OPTION',
			message: expect.stringContaining('new LoopTarget(loop)'),
		})
	}
})

test('gaps of merged chains, which have an origin, are counted as gaps', async () => {
	async function* merged() {
		const data = { fromSeq: 2, toSeq: 9, count: 8, cause: 'evicted' }
		yield record(1, { kind: '$gap', data, origin: { chainId: 'a', epoch: 1, seq: 9 } })
	}
	const seen: unknown[] = []
	expect(await replay(merged(), (each) => seen.push(each))).toMatchObject({ gaps: { count: 1, records: 8 } })
	expect(seen).toEqual([])
})

test('the error for a failed source has the progress of the replay', async () => {
	async function* breaking() {
		yield record(1)
		yield record(2)
		throw new Error('the tape broke')
	}
	await expect(replay(breaking(), () => {})).rejects.toMatchObject({
		code: 'REPLAY_FAILED',
		seq: 3,
		message: expect.stringMatching(/after 2 records .* the tape broke/),
	})
})
