/**
 * A consumer and its cursor, within one process. Killed ones: test/crash/killed-consumer.test.ts; lost
 * records: resume.test.ts.
 */
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Chain } from '../../src/chain/chain.ts'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import type { FileChainOptions } from '../../src/chain/write/file-chain-options.ts'
import { type Consumer, consume } from '../../src/consume/consume.ts'
import type { ConsumeOptions } from '../../src/consume/consume-options.ts'
import { CursorFile } from '../../src/consume/cursor-file.ts'
import { isGap, type LogRecord } from '../../src/model/record.ts'
import { type FileSystem, nodeFileSystem } from '../../src/platform/file-system.ts'
import { FaultyFileSystem } from '../support/faulty-file-system.ts'
import { MemoryFileSystem } from '../support/memory-file-system.ts'
import { says, startModule } from '../support/process.ts'
import { record } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

const LINE_BYTES = 256
const ID = '07'.repeat(16)

/** The codes of the warnings of a test, which are not printed. */
let warnings: string[] = []

beforeEach(() => {
	warnings = []
	vi.spyOn(process, 'emitWarning').mockImplementation((_text, options) => {
		warnings.push((options as { code: string }).code)
	})
	return () => {
		vi.restoreAllMocks()
		vi.useRealTimers()
	}
})

function openAppender(path: string, options?: FileChainOptions): FileChainAppender {
	const appender = new FileChainAppender(path, options)
	onTestFinished(() => appender.close().catch(() => {}))
	return appender
}

function append(appender: FileChainAppender, count: number, fields: Partial<LogRecord> = {}): void {
	for (let left = count; left > 0; left--) {
		appender.append(record(appender.nextSeq, { epoch: appender.epoch, ...fields }))
	}
	appender.flush()
}

/** A chain with this number of records, open for writing and for reading. */
async function newChain(count: number, options?: FileChainOptions) {
	const path = join(temporaryFolder(), 'node.chain')
	const appender = openAppender(path, options)
	append(appender, count)
	const chain = await openChain(path)
	onTestFinished(() => chain.close())
	return { path, appender, chain, cursorPath: `${path}.mailer.cursor` }
}

/** Appends records in this number of turns, each of them synced; a file that is full afterwards is sealed. */
async function appendSynced(appender: FileChainAppender, count: number): Promise<void> {
	for (let left = count; left > 0; left -= 10) {
		append(appender, Math.min(10, left))
		await appender.sync()
	}
}

/** A handler that keeps the records that it gets. */
class Handed {
	readonly records: LogRecord[] = []
	readonly #waiting = new Set<{ readonly count: number; readonly resolve: () => void }>()

	readonly handle = (record: LogRecord): void => {
		this.records.push(record)
		for (const waiting of this.#waiting) if (this.records.length >= waiting.count) waiting.resolve()
	}

	get seqs(): number[] {
		return this.records.map(({ seq }) => seq)
	}

	/** Resolves within the handler that gets the `count`th record. */
	until(count: number): Promise<void> {
		if (this.records.length >= count) return Promise.resolve()
		return new Promise((resolve) => void this.#waiting.add({ count, resolve }))
	}
}

function begin(
	chain: Chain,
	handler: (record: LogRecord) => unknown,
	options: ConsumeOptions = {},
): Consumer {
	const consumer = consume(chain, 'mailer', handler, { pollIntervalMs: 5, ...options })
	onTestFinished(() => consumer.close().catch(() => {}))
	return consumer
}

/** Consumes until this number of records was handled, and closes. */
async function consumed(chain: Chain, count: number, options: ConsumeOptions = {}) {
	const handed = new Handed()
	const consumer = begin(chain, handed.handle, options)
	await handed.until(count)
	await consumer.close()
	return { seqs: handed.seqs, records: handed.records, stats: consumer.stats(), cursor: consumer.cursor }
}

function range(from: number, to: number): number[] {
	return Array.from({ length: to - from + 1 }, (_unused, index) => from + index)
}

/** The seq in the newest line of a cursor. */
function savedSeq(cursorPath: string): number {
	const bytes = readFileSync(cursorPath)
	const lines = [bytes.subarray(0, LINE_BYTES), bytes.subarray(LINE_BYTES)]
	const written = lines.filter(({ length }) => length > 0).map((line) => JSON.parse(line.toString()))
	return written.sort((a, b) => b.turn - a.turn)[0].seq
}

describe('the records that a consumer gets', () => {
	test('history first, then new records, in order, once each and one at a time', async () => {
		const { appender, chain } = await newChain(500)
		const handed = new Handed()
		let underWay = 0
		let most = 0
		const consumer = begin(chain, async (each) => {
			most = Math.max(most, ++underWay)
			await new Promise((resolve) => setImmediate(resolve))
			underWay--
			handed.handle(each)
		})
		await handed.until(400)
		append(appender, 150)
		await handed.until(600)
		append(appender, 50)
		await handed.until(700)
		await consumer.close()
		expect(handed.seqs).toEqual(range(1, 700))
		expect(handed.records[699]).toEqual(record(700))
		expect(most).toBe(1)
		expect(consumer.stats()).toMatchObject({ handled: 700, filtered: 0, gaps: 0, absent: 0, failures: 0 })
		expect(consumer.cursor).toEqual({ epoch: 1, seq: 700 })
		await expect(consumer.done).resolves.toBeUndefined()
		expect(warnings).toEqual([])
	})

	test('a second consumer of the name resumes where the first was closed', async () => {
		const { appender, chain, cursorPath } = await newChain(10)
		expect((await consumed(chain, 4)).cursor.seq).toBeGreaterThanOrEqual(4)
		const saved = savedSeq(cursorPath)
		expect(saved).toBeGreaterThanOrEqual(4)
		append(appender, 10)
		expect((await consumed(chain, 20 - saved)).seqs).toEqual(range(saved + 1, 20))
		const handed = new Handed()
		const third = begin(chain, handed.handle)
		expect(third.cursor).toEqual({ epoch: 1, seq: 20 })
		append(appender, 1)
		await handed.until(1)
		await third.close()
		expect(handed.seqs).toEqual([21])
	})

	test('close waits for the record in the handler, and passes no other', async () => {
		const { chain, cursorPath } = await newChain(10)
		let finish = () => {}
		const seqs: number[] = []
		let third = () => {}
		const inThird = new Promise<void>((resolve) => {
			third = resolve
		})
		const consumer = begin(chain, async ({ seq }) => {
			seqs.push(seq)
			if (seq !== 3) return
			third()
			await new Promise<void>((resolve) => {
				finish = resolve
			})
		})
		await inThird
		let isClosed = false
		const closing = consumer.close().then(() => {
			isClosed = true
		})
		await new Promise((resolve) => setImmediate(resolve))
		expect(isClosed).toBe(false)
		finish()
		await closing
		expect(consumer.close()).toBe(consumer.close())
		expect(seqs).toEqual([1, 2, 3])
		expect(savedSeq(cursorPath)).toBe(3)
	})

	test('it is closed by await using, and the chain stays open', async () => {
		const { chain, cursorPath } = await newChain(3)
		const handed = new Handed()
		{
			await using consumer = begin(chain, handed.handle)
			await handed.until(3)
			expect(consumer.name).toBe('mailer')
		}
		expect(savedSeq(cursorPath)).toBe(3)
		expect(await chain.info()).toMatchObject({ records: 3 })
	})

	test("from 'end' starts after the last record, and does so once", async () => {
		const { appender, chain } = await newChain(5)
		const first = begin(chain, () => {}, { from: 'end' })
		await first.close()
		expect(first.cursor).toEqual({ epoch: 1, seq: 5 })
		append(appender, 3)
		expect((await consumed(chain, 3, { from: 'end' })).seqs).toEqual([6, 7, 8])
		append(appender, 2)
		expect((await consumed(chain, 2, { from: 'end' })).seqs).toEqual([9, 10])
	})

	test("from 'end' of an empty chain delivers the first record, also to a later consumer", async () => {
		const { appender, chain } = await newChain(0)
		await begin(chain, () => {}, { from: 'end' }).close()
		append(appender, 2)
		expect((await consumed(chain, 2, { from: 'end' })).seqs).toEqual([1, 2])
	})

	test('a filter skips records, and the cursor still moves', async () => {
		const { appender, chain, cursorPath } = await newChain(0)
		for (let index = 0; index < 10; index++) {
			append(appender, 1, { kind: 'order' })
			append(appender, 2, { level: 'debug' })
		}
		const handed = new Handed()
		const consumer = begin(chain, handed.handle, { kind: 'order', level: 'info' })
		await vi.waitFor(() => expect(consumer.cursor.seq).toBe(30), 30_000)
		await consumer.close()
		expect(handed.seqs).toEqual(range(0, 9).map((index) => 3 * index + 1))
		expect(consumer.stats()).toMatchObject({ handled: 10, filtered: 20 })
		expect(savedSeq(cursorPath)).toBe(30)
		append(appender, 1)
		expect((await consumed(chain, 1)).seqs).toEqual([31])
	})

	test('a gap passes every filter, and is counted', async () => {
		const { path, appender } = await newChain(0)
		for (let turn = 0; turn < 30; turn++) append(appender, 10)
		await appender.close()
		const bytes = readFileSync(path)
		bytes[Math.floor(bytes.length / 2)]! ^= 0xff
		writeFileSync(path, bytes)
		append(openAppender(path), 10, { kind: 'order' })
		const chain = await openChain(path)
		onTestFinished(() => chain.close())
		const { records, stats } = await consumed(chain, 11, { kind: 'order' })
		const gaps = records.filter(isGap)
		expect(gaps.map(({ data }) => data)).toMatchObject([{ count: 10, cause: 'damaged' }])
		expect(records.filter((each) => !isGap(each)).map(({ seq }) => seq)).toEqual(range(301, 310))
		expect(stats).toMatchObject({ handled: 10, filtered: 290, gaps: 1, absent: 10, failures: 0 })
	})

	test('with durableOnly a record is delivered once it is on disk, and not before', async () => {
		const { appender, chain } = await newChain(3)
		const handed = new Handed()
		const consumer = begin(chain, handed.handle, { durableOnly: true })
		// It has looked, and has found nothing: its cursor exists.
		await vi.waitFor(() => expect(statSync(`${chain.path}.mailer.cursor`).size).toBe(LINE_BYTES), 30_000)
		expect(await consumer.lag()).toBe(3)
		expect(handed.seqs).toEqual([])
		await appender.sync()
		await handed.until(3)
		expect(handed.seqs).toEqual([1, 2, 3])
	})

	test('lag returns how many seqs are still to be handled', async () => {
		const { appender, chain } = await newChain(7)
		const handed = new Handed()
		let isBusy = true
		const consumer = begin(chain, (each) => {
			if (isBusy && each.seq === 3) throw new Error('busy')
			handed.handle(each)
		})
		await vi.waitFor(() => expect(consumer.stats().failures).toBeGreaterThan(0), 30_000)
		expect(await consumer.lag()).toBe(5)
		append(appender, 2)
		expect(await consumer.lag()).toBe(7)
		isBusy = false
		await handed.until(9)
		await consumer.close()
		expect(await consumer.lag()).toBe(0)
	})
})

describe('a chain that changes', () => {
	const RETAINING = { rotateRecords: 20, retain: { records: 60 } }

	test('it is followed from file to file while retention removes handled records', async () => {
		const { appender, chain } = await newChain(0, RETAINING)
		const handed = new Handed()
		const consumer = begin(chain, handed.handle)
		for (let total = 10; total <= 500; total += 10) {
			await appendSynced(appender, 10)
			await handed.until(total)
		}
		await consumer.close()
		expect(handed.seqs).toEqual(range(1, 500))
		expect(consumer.stats()).toMatchObject({ handled: 500, gaps: 0, absent: 0 })
		expect((await chain.info()).firstSeq).toBeGreaterThan(200)
	})

	test('records removed by retention are one gap, and only unhandled ones count as absent', async () => {
		const { path, appender, chain } = await newChain(10, RETAINING)
		await appendSynced(appender, 40)
		const before = await consumed(chain, 50)
		expect(before.seqs).toEqual(range(1, 50))
		// Two epochs later: nothing is left of the records of the cursor's own epoch.
		for (let epoch = 2; epoch <= 3; epoch++) {
			await appender.close()
			const next = openAppender(path, RETAINING)
			await appendSynced(next, 100)
			await next.close()
		}
		const firstSeq = (await chain.info()).firstSeq!
		expect(firstSeq).toBeGreaterThan(150)
		const { records, stats } = await consumed(chain, 250 - firstSeq + 2)
		expect(records[0]?.data).toEqual({
			fromSeq: 1,
			toSeq: firstSeq - 1,
			count: firstSeq - 1,
			cause: 'retained',
		})
		expect(records.slice(1).map(({ seq }) => seq)).toEqual(range(firstSeq, 250))
		expect(stats).toMatchObject({
			gaps: 1,
			absent: firstSeq - 1 - 50,
			handled: 250 - firstSeq + 1,
			setBack: 0,
		})
	})

	test('a handled gap is not passed again', async () => {
		const { path, appender, chain } = await newChain(10, RETAINING)
		await appender.close()
		await appendSynced(openAppender(path, RETAINING), 200)
		const refuse = (each: LogRecord) => {
			if (!isGap(each)) throw new Error('not now')
		}
		const first = begin(chain, refuse, { retries: 0 })
		await expect(first.done).rejects.toMatchObject({ code: 'CONSUMER_FAILED' })
		expect(first.stats()).toMatchObject({ gaps: 1, handled: 0 })
		expect(first.stats().absent).toBe(first.cursor.seq)
		const { records, stats } = await consumed(chain, 1)
		expect(records[0]?.seq).toBe(first.cursor.seq + 1)
		expect(stats).toMatchObject({ gaps: 0, setBack: 0 })
	})

	test('nothing is passed again from a chain without records after retention', async () => {
		let nowMs = 1_700_000_000_000
		const options = { rotateAgeMs: 1_000, retain: { ageMs: 5_000 }, clock: () => nowMs }
		const { path, appender, chain } = await newChain(10, options)
		expect((await consumed(chain, 10)).seqs).toEqual(range(1, 10))
		nowMs += 2_000
		append(appender, 1)
		// The file is sealed, and the live file has no record.
		await vi.waitFor(async () => expect((await chain.info()).segments).toHaveLength(2), 30_000)
		expect((await consumed(chain, 1)).seqs).toEqual([11])
		await appender.close()
		nowMs += 10_000
		const next = openAppender(path, options)
		await vi.waitFor(async () => expect((await chain.info()).segments).toHaveLength(1), 30_000)
		expect(await chain.info()).toMatchObject({ records: 0 })
		const handed = new Handed()
		const consumer = begin(chain, handed.handle)
		expect(await consumer.lag()).toBe(0)
		expect(consumer.cursor.seq).toBe(11)
		append(next, 1)
		await handed.until(1)
		expect(handed.seqs).toEqual([12])
		expect(consumer.stats()).toMatchObject({ gaps: 0, absent: 0, setBack: 0 })
	})

	test('closing the chain ends it, with its cursor saved', async () => {
		const { path, appender, chain, cursorPath } = await newChain(3)
		const handed = new Handed()
		const consumer = begin(chain, handed.handle)
		await handed.until(3)
		await chain.close()
		await expect(consumer.done).rejects.toMatchObject({ code: 'CHAIN_CLOSED' })
		await expect(consumer.close()).rejects.toMatchObject({ code: 'CHAIN_CLOSED' })
		expect(warnings).toEqual(['MESH_CHAIN_CONSUMER_ENDED'])
		expect(savedSeq(cursorPath)).toBe(3)
		append(appender, 1)
		const again = await openChain(path)
		onTestFinished(() => again.close())
		expect((await consumed(again, 1)).seqs).toEqual([4])
	})

	test('a chain that is already closed is reported', async () => {
		const { chain } = await newChain(3)
		await chain.close()
		await expect(begin(chain, () => {}, { from: 'end' }).done).rejects.toMatchObject({ code: 'CHAIN_CLOSED' })
	})
})

describe('a handler that fails', () => {
	test('gets the record again until it accepts it, and no later one', async () => {
		const { chain } = await newChain(5)
		const tried: number[] = []
		const handed = new Handed()
		const errors: unknown[] = []
		const consumer = begin(chain, async (each) => {
			tried.push(each.seq)
			errors.push(consumer.stats().lastError)
			if (each.seq === 3 && tried.length < 5) throw new Error('no connection')
			handed.handle(each)
		})
		await handed.until(5)
		await consumer.close()
		expect(tried).toEqual([1, 2, 3, 3, 3, 4, 5])
		expect(errors).toEqual([
			undefined,
			undefined,
			undefined,
			'no connection',
			'no connection',
			undefined,
			undefined,
		])
		expect(consumer.stats()).toMatchObject({ handled: 5, failures: 2, lastError: undefined })
		expect(warnings).toEqual(['MESH_CHAIN_CONSUMER_FAILING'])
	})

	test('is retried after 50 ms, then after twice as long, up to 5 s', async () => {
		const { chain } = await newChain(1)
		vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
		let tries = 0
		let tried = () => {}
		const first = new Promise<void>((resolve) => {
			tried = resolve
		})
		begin(chain, () => {
			tries++
			tried()
			throw new Error('no')
		})
		await first
		for (const [index, waitMs] of [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000].entries()) {
			await vi.advanceTimersByTimeAsync(waitMs - 1)
			expect(tries).toBe(index + 1)
			await vi.advanceTimersByTimeAsync(1)
			expect(tries).toBe(index + 2)
		}
	})

	test('ends the consumer after its last retry; the cursor stays before the record', async () => {
		const { path, chain, cursorPath } = await newChain(5)
		const tried: number[] = []
		const cause = new Error('no such customer')
		const consumer = begin(
			chain,
			({ seq }) => {
				tried.push(seq)
				if (seq === 3) throw cause
			},
			{ retries: 2 },
		)
		const expected = { code: 'CONSUMER_FAILED', seq: 3, path, cause }
		await expect(consumer.done).rejects.toMatchObject(expected)
		await expect(consumer.close()).rejects.toMatchObject(expected)
		expect(tried).toEqual([1, 2, 3, 3, 3])
		expect(consumer.stats()).toMatchObject({ handled: 2, failures: 3, lastError: 'no such customer' })
		expect(consumer.cursor).toEqual({ epoch: 1, seq: 2 })
		expect(savedSeq(cursorPath)).toBe(2)
		expect(warnings).toEqual(['MESH_CHAIN_CONSUMER_FAILING', 'MESH_CHAIN_CONSUMER_ENDED'])
		expect((await consumed(chain, 3)).seqs).toEqual([3, 4, 5])
	})

	test('retries are counted anew for each record', async () => {
		const { chain } = await newChain(4)
		const handed = new Handed()
		let failedAt = 0
		const consumer = begin(
			chain,
			(each) => {
				if (failedAt !== each.seq) {
					failedAt = each.seq
					throw new Error('once')
				}
				handed.handle(each)
			},
			{ retries: 1 },
		)
		await handed.until(4)
		await consumer.close()
		expect(consumer.stats()).toMatchObject({ handled: 4, failures: 4 })
	})

	test('does not delay close, and the record is handled again', async () => {
		const { chain, cursorPath } = await newChain(3)
		// None of these timers ever fires, so a wait for one would never end.
		vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
		const consumer = begin(chain, ({ seq }) => {
			if (seq === 2) throw new Error('no')
		})
		await vi.waitUntil(() => consumer.stats().failures > 0, { interval: 1 })
		await consumer.close()
		vi.useRealTimers()
		expect(savedSeq(cursorPath)).toBe(1)
		expect((await consumed(chain, 2)).seqs).toEqual([2, 3])
	})
})

describe('saving the cursor', () => {
	test('after saveIntervalRecords records, and not before', async () => {
		const { appender, chain, cursorPath } = await newChain(9)
		const handed = new Handed()
		const consumer = begin(chain, handed.handle, { saveIntervalRecords: 10, saveIntervalMs: 600_000 })
		await vi.waitFor(() => expect(consumer.cursor.seq).toBe(9), 30_000)
		expect(consumer.stats().saves).toBe(0)
		expect(savedSeq(cursorPath)).toBe(0)
		append(appender, 1)
		await vi.waitFor(() => expect(consumer.stats().saves).toBe(1), 30_000)
		expect(savedSeq(cursorPath)).toBe(10)
	})

	test('after saveIntervalMs, if no more records arrive', async () => {
		const { chain, cursorPath } = await newChain(3)
		const consumer = begin(chain, () => {}, { saveIntervalMs: 20 })
		await vi.waitFor(() => expect(consumer.stats().saves).toBeGreaterThan(0), 30_000)
		await vi.waitFor(() => expect(savedSeq(cursorPath)).toBe(3), 30_000)
	})

	test('after saveIntervalMs also for records handled during a save', async () => {
		let letGo = () => {}
		let syncs = 0
		const slow: FileSystem = {
			...nodeFileSystem,
			fdatasync: async (fd) => {
				if (++syncs === 2) {
					await new Promise<void>((resolve) => {
						letGo = resolve
					})
				}
				return nodeFileSystem.fdatasync(fd)
			},
		}
		const { appender, chain, cursorPath } = await newChain(1)
		const handed = new Handed()
		const consumer = begin(chain, handed.handle, { fs: slow, saveIntervalRecords: 2, saveIntervalMs: 20 })
		await vi.waitFor(() => expect(syncs).toBe(2), 30_000)
		// The second record makes two unsaved ones: it waits for the save in flight, which is of the first.
		append(appender, 1)
		await handed.until(2)
		await vi.waitFor(() => expect(consumer.cursor.seq).toBe(2), 30_000)
		letGo()
		await vi.waitFor(() => expect(savedSeq(cursorPath)).toBe(2), 30_000)
	})

	test('a failing disk does not stop it: failures are counted, and saves resume with the disk', async () => {
		const { appender, chain, cursorPath } = await newChain(0)
		const disk = new FaultyFileSystem()
		const handed = new Handed()
		const consumer = begin(chain, handed.handle, {
			fs: disk,
			saveIntervalRecords: 5,
			saveIntervalMs: 600_000,
		})
		append(appender, 5)
		await vi.waitFor(() => expect(consumer.stats().saves).toBe(1), 30_000)
		disk.failSyncs('EIO')
		append(appender, 12)
		await handed.until(17)
		await vi.waitFor(() => expect(consumer.cursor.seq).toBe(17), 30_000)
		const failing = consumer.stats()
		expect(failing).toMatchObject({ handled: 17, saves: 1 })
		expect(failing.saveFailures).toBeGreaterThan(0)
		expect(failing.lastError).toMatch(/^cannot save .*EIO/)
		expect(warnings).toEqual(['MESH_CHAIN_CURSOR_FAILING'])
		disk.heal()
		append(appender, 1)
		await vi.waitFor(() => expect(consumer.stats()).toMatchObject({ saves: 2, lastError: undefined }), 30_000)
		expect(savedSeq(cursorPath)).toBe(18)
		await consumer.close()
		expect(handed.seqs).toEqual(range(1, 18))
	})

	test('a failed save is retried after saveIntervalMs, also without more records', async () => {
		const { chain, cursorPath } = await newChain(0)
		const disk = new FaultyFileSystem()
		const appender = openAppender(join(temporaryFolder(), 'other.chain'))
		append(appender, 3)
		const other = await openChain(appender.path)
		onTestFinished(() => other.close())
		const consumer = begin(other, () => disk.failWrites('ENOSPC'), {
			fs: disk,
			saveIntervalMs: 20,
			cursorPath,
		})
		await vi.waitFor(() => expect(consumer.stats().saveFailures).toBeGreaterThan(1), 30_000)
		expect(savedSeq(cursorPath)).toBe(0)
		disk.heal()
		await vi.waitFor(() => expect(savedSeq(cursorPath)).toBe(3), 30_000)
		await consumer.close()
		expect(chain.chainId).not.toBe(other.chainId)
	})

	test('close rejects if the cursor could not be saved, and releases it anyway', async () => {
		const { chain, cursorPath } = await newChain(3)
		const disk = new FaultyFileSystem()
		const handed = new Handed()
		const consumer = begin(chain, handed.handle, { fs: disk })
		await handed.until(3)
		disk.failWrites('ENOSPC')
		await expect(consumer.close()).rejects.toMatchObject({ code: 'CURSOR_FAILED', path: cursorPath })
		await expect(consumer.done).resolves.toBeUndefined()
		expect((await consumed(chain, 3)).seqs).toEqual([1, 2, 3])
	})

	test('nothing is passed before a new cursor is on disk', async () => {
		const { appender, chain, cursorPath } = await newChain(3)
		const handed = new Handed()
		for (let attempt = 0; attempt < 2; attempt++) {
			for (const call of ['writeSync', 'fdatasync', 'fsyncSync'] as const) {
				const disk = new FaultyFileSystem()
				// The lock is written first.
				disk.fail(call, 'EIO', call === 'writeSync' ? 1 : 0)
				const consumer = begin(chain, handed.handle, { fs: disk, from: 'end' })
				await expect(consumer.done, call).rejects.toMatchObject({ code: 'CURSOR_FAILED', path: cursorPath })
			}
		}
		expect(handed.seqs).toEqual([])
		// The cursor of the first consumer exists, although it may not be on disk.
		append(appender, 2)
		expect((await consumed(chain, 2, { from: 'end' })).seqs).toEqual([4, 5])
	})

	test('a new cursor that a full disk cut short is started anew', async () => {
		const { chain } = await newChain(3)
		const disk = new FaultyFileSystem()
		// Enough for the text of the lock, and for a part of the line.
		disk.roomBytes = 400
		await expect(begin(chain, () => {}, { fs: disk }).done).rejects.toMatchObject({ code: 'CURSOR_FAILED' })
		const { size } = statSync(`${chain.path}.mailer.cursor`)
		expect(size).toBeGreaterThan(0)
		expect(size).toBeLessThan(LINE_BYTES)
		expect((await consumed(chain, 3)).seqs).toEqual([1, 2, 3])
	})

	test('a cursor that cannot be opened is reported at once', async () => {
		const { chain, cursorPath } = await newChain(3)
		for (const passing of [0, 1]) {
			const disk = new FaultyFileSystem()
			disk.fail('openSync', 'EACCES', passing)
			expect(() => begin(chain, () => {}, { fs: disk })).toThrow(
				expect.objectContaining({ code: 'CURSOR_FAILED', path: cursorPath }),
			)
		}
		expect((await consumed(chain, 3)).seqs).toEqual([1, 2, 3])
	})
})

describe('exclusive use of a cursor', () => {
	test('two consumers of a name do not run at the same time', async () => {
		const { chain } = await newChain(3)
		const first = begin(chain, () => {})
		expect(() => begin(chain, () => {})).toThrow(
			expect.objectContaining({
				code: 'CURSOR_IN_USE',
				message: expect.stringContaining(`process ${process.pid} `),
			}),
		)
		const other = consume(chain, 'other', () => {})
		await other.close()
		await first.close()
		await begin(chain, () => {}).close()
	})

	test('two consumers of a name do not run at the same time in two processes either', async () => {
		const { path, chain } = await newChain(3)
		const child = startModule(
			`
			import { openChain } from 'mesh-chain'
			import { consume } from 'mesh-chain/consume'
			const chain = await openChain(process.argv.at(-1))
			consume(chain, 'mailer', ({ seq }) => console.log('seq', seq), { saveIntervalRecords: 1 })
			`,
			[path],
		)
		await says(child, 'seq 3')
		expect(() => begin(chain, () => {})).toThrow(
			expect.objectContaining({
				code: 'CURSOR_IN_USE',
				message: expect.stringContaining(`process ${child.pid} `),
			}),
		)
		const ended = new Promise((resolve) => child.once('close', resolve))
		child.kill('SIGKILL')
		await ended
		// A kill may cost two saves and the record in flight.
		expect(begin(chain, () => {}).cursor.seq).toBeGreaterThanOrEqual(2)
	})

	test('a cursor of another chain is refused and left as it is', async () => {
		const { chain, cursorPath } = await newChain(3)
		const { chain: other } = await newChain(5)
		await consumed(chain, 3)
		const before = readFileSync(cursorPath)
		expect(() => begin(other, () => {}, { cursorPath })).toThrow(
			expect.objectContaining({
				code: 'CURSOR_MISMATCH',
				path: cursorPath,
				message: expect.stringContaining(chain.chainId),
			}),
		)
		expect(readFileSync(cursorPath)).toEqual(before)
		await begin(chain, () => {}).close()
	})

	test('a cursor without a readable line is refused and left as it is', async () => {
		const { appender, chain, cursorPath } = await newChain(3)
		await consumed(chain, 3)
		append(appender, 3)
		await consumed(chain, 3)
		const bytes = readFileSync(cursorPath)
		expect(bytes).toHaveLength(2 * LINE_BYTES)
		for (const at of [10, LINE_BYTES + 10]) bytes[at]! ^= 1
		writeFileSync(cursorPath, bytes)
		expect(() => begin(chain, () => {})).toThrow(
			expect.objectContaining({ code: 'CURSOR_DAMAGED', path: cursorPath }),
		)
		expect(readFileSync(cursorPath)).toEqual(bytes)
	})

	test('with one damaged line, the other one is used', async () => {
		const { appender, chain, cursorPath } = await newChain(3)
		await consumed(chain, 3, { saveIntervalRecords: 3 })
		append(appender, 3)
		await consumed(chain, 3, { saveIntervalRecords: 3 })
		expect(savedSeq(cursorPath)).toBe(6)
		const bytes = readFileSync(cursorPath)
		const newest = bytes.indexOf('"seq":6')
		bytes[newest + 6]! = '9'.charCodeAt(0)
		writeFileSync(cursorPath, bytes)
		expect((await consumed(chain, 3)).seqs).toEqual([4, 5, 6])
	})

	test('a file that is something else is refused and left as it is', async () => {
		const { chain, cursorPath } = await newChain(3)
		for (const text of ['something else', `${'{}'.padEnd(LINE_BYTES - 1)}\n`, 'x'.repeat(LINE_BYTES + 1)]) {
			writeFileSync(cursorPath, text)
			expect(() => begin(chain, () => {}), text).toThrow(expect.objectContaining({ code: 'CURSOR_DAMAGED' }))
			expect(readFileSync(cursorPath).toString()).toBe(text)
		}
	})
})

describe('the lines of a cursor', () => {
	const PATH = '/chains/node.chain.mailer.cursor'

	/** A cursor that was saved for the seqs 10, 20 and so on. */
	async function savedTimes(saves: number): Promise<Buffer> {
		const memory = new MemoryFileSystem()
		for (let save = 1; save <= saves; save++) {
			const file = new CursorFile(memory, PATH, ID)
			expect(file.found).toEqual(save === 1 ? undefined : { epoch: save - 1, seq: 10 * (save - 1) })
			await file.save({ epoch: save, seq: 10 * save })
			file.close()
		}
		return memory.get(PATH)
	}

	/** The cursor that a file of these bytes holds; 'damaged' if it is refused. */
	function foundIn(bytes: Buffer): number | 'damaged' | undefined {
		const memory = new MemoryFileSystem()
		memory.put(PATH, bytes)
		try {
			const file = new CursorFile(memory, PATH, ID)
			file.close()
			return file.found?.seq
		} catch (error) {
			expect(error).toMatchObject({ code: 'CURSOR_DAMAGED' })
			expect(memory.get(PATH)).toEqual(bytes)
			return 'damaged'
		}
	}

	function flipped(bytes: Buffer, at: number, bits: number): Buffer {
		const copy = Buffer.from(bytes)
		copy[at]! ^= bits
		return copy
	}

	test('a bit or a byte flipped anywhere in the newest line costs that one save', async () => {
		for (const saves of [2, 3, 10]) {
			const bytes = await savedTimes(saves)
			expect(foundIn(bytes)).toBe(10 * saves)
			const start = ((saves - 1) % 2) * LINE_BYTES
			for (let at = start; at < start + LINE_BYTES; at++) {
				for (const bits of [1, 2, 4, 8, 16, 32, 64, 128, 255]) {
					expect(foundIn(flipped(bytes, at, bits)), `byte ${at}`).toBe(10 * (saves - 1))
				}
			}
		}
	})

	test('a bit flipped in the older line costs nothing', async () => {
		const bytes = await savedTimes(3)
		for (let at = LINE_BYTES; at < 2 * LINE_BYTES; at++) expect(foundIn(flipped(bytes, at, 1))).toBe(30)
	})

	test('a bit flipped in the only line is detected, and the consumer does not start anew', async () => {
		const bytes = await savedTimes(1)
		for (let at = 0; at < LINE_BYTES; at++)
			expect(foundIn(flipped(bytes, at, 1)), `byte ${at}`).toBe('damaged')
	})

	test('a file cut anywhere has the newest save or the previous one, or is refused', async () => {
		for (const saves of [3, 4, 11]) {
			const bytes = await savedTimes(saves)
			const newestAt = ((saves - 1) % 2) * LINE_BYTES
			// A file of a few bytes may also be of the very first line: it has no turn.
			for (let length = '{"turn":1'.length; length <= bytes.length; length++) {
				const seq = foundIn(bytes.subarray(0, length))
				const allowed: unknown[] = [10 * saves]
				if (length < newestAt + LINE_BYTES) allowed.push(10 * (saves - 1))
				if (length < LINE_BYTES) allowed.push('damaged')
				expect(allowed, `${length} bytes`).toContain(seq)
			}
		}
	})

	test('an incomplete first line is not yet a cursor', async () => {
		const bytes = await savedTimes(1)
		for (let length = 0; length < bytes.toString().trimEnd().length; length++) {
			expect(foundIn(bytes.subarray(0, length)), `${length} bytes`).toBeUndefined()
		}
		for (const length of [1, 100, LINE_BYTES]) expect(foundIn(Buffer.alloc(length))).toBeUndefined()
		expect(foundIn(Buffer.alloc(2 * LINE_BYTES))).toBe('damaged')
	})

	test('a power loss at any moment leaves the acknowledged save, or the one in flight', async () => {
		const memory = new MemoryFileSystem()
		let acknowledged = 0
		let checks = 0
		memory.onOperation = (operation) => {
			const point = memory.crashPoint(operation)
			for (let kept = 0; kept < 2 ** point.bits; kept++) {
				for (const left of [point.afterPowerLoss((bit) => (kept & (1 << bit)) !== 0), point.afterKill()]) {
					const file = new CursorFile(left, PATH, ID)
					expect([acknowledged, acknowledged + 1], operation).toContain(file.found?.seq ?? 0)
					file.close()
					checks++
				}
			}
		}
		const file = new CursorFile(memory, PATH, ID)
		for (let seq = 1; seq <= 5; seq++) {
			await file.save({ epoch: 1, seq })
			acknowledged = seq
		}
		expect(checks).toBeGreaterThan(50)
	})

	test('failed saves leave the previous one, and the next one is used', async () => {
		const memory = new MemoryFileSystem()
		const disk = new FaultyFileSystem(memory)
		const file = new CursorFile(disk, PATH, ID)
		await file.save({ epoch: 1, seq: 1 })
		await file.save({ epoch: 1, seq: 2 })
		for (const fail of [() => disk.failWrites('EIO'), () => disk.failSyncs('EIO')]) {
			fail()
			for (let seq = 3; seq < 6; seq++) {
				await expect(file.save({ epoch: 1, seq })).rejects.toMatchObject({ code: 'CURSOR_FAILED' })
			}
			// The acknowledged line is not the one that the failed save wrote to.
			expect(JSON.parse(memory.get(PATH).subarray(LINE_BYTES).toString()).seq).toBe(2)
			disk.heal()
		}
		await file.save({ epoch: 1, seq: 7 })
		file.close()
		expect(foundIn(memory.get(PATH))).toBe(7)
	})
})

describe('arguments refused at once', () => {
	test('a name that cannot be part of a file name', async () => {
		const { chain } = await newChain(1)
		const bad: unknown[] = ['', 'a b', 'a/b', '..', 'ä', 'a\n', 'x'.repeat(65), 7, null, undefined]
		for (const name of bad) {
			expect(() => consume(chain, name as string, () => {}), String(name)).toThrow(
				expect.objectContaining({ code: 'INVALID_OPTION' }),
			)
		}
		for (const name of ['a', 'Mailer-2_x', 'x'.repeat(64)]) await consume(chain, name, () => {}).close()
	})

	test('invalid options, leaving no lock and no file', async () => {
		const { chain, cursorPath } = await newChain(1)
		const bad: [string, object | null][] = [
			['INVALID_OPTION', null],
			['INVALID_OPTION', { form: 'end' }],
			['INVALID_OPTION', { from: 'middle' }],
			['INVALID_OPTION', { fromSeq: 3 }],
			['INVALID_OPTION', { afterSeq: 3 }],
			['INVALID_OPTION', { toSeq: 3 }],
			['INVALID_OPTION', { retries: -1 }],
			['INVALID_OPTION', { retries: 1.5 }],
			['INVALID_OPTION', { saveIntervalRecords: 0 }],
			['INVALID_OPTION', { saveIntervalMs: 0 }],
			['INVALID_OPTION', { saveIntervalMs: 2 ** 31 }],
			['INVALID_OPTION', { pollIntervalMs: 0 }],
			['INVALID_OPTION', { pollIntervalMs: 2 ** 31 }],
			['INVALID_OPTION', { durableOnly: 'yes' }],
			['INVALID_OPTION', { cursorPath: 7 }],
			['INVALID_OPTION', { cursorPath: '' }],
			['INVALID_FILTER', { kind: 7 }],
			['INVALID_LEVEL', { level: 'loud' }],
		]
		for (const [code, options] of bad) {
			const attempt = () => consume(chain, 'mailer', () => {}, options as ConsumeOptions)
			expect(attempt, JSON.stringify(options)).toThrow(expect.objectContaining({ code }))
		}
		expect(() => consume(chain, 'mailer', 'print' as never)).toThrow(
			expect.objectContaining({ code: 'INVALID_OPTION' }),
		)
		for (const path of [cursorPath, `${cursorPath}.lock`]) {
			expect(() => statSync(path)).toThrow(expect.objectContaining({ code: 'ENOENT' }))
		}
	})
})
