/** Tails of a live chain within one process. For several processes see test/process/tail.test.ts. */
import { appendFileSync, readFileSync, renameSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs'
import { expect, onTestFinished, test } from 'vitest'
import type { Chain, TailQuery } from '../../../src/chain/chain.ts'
import { openChain } from '../../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../../src/chain/write/file-chain-appender.ts'
import type { FileChainOptions } from '../../../src/chain/write/file-chain-options.ts'
import type { LogRecord } from '../../../src/model/record.ts'
import { nodeFileSystem } from '../../../src/platform/file-system.ts'
import { newChainPath, range } from '../../support/chains.ts'
import { FaultyFileSystem } from '../../support/faulty-file-system.ts'
import { record } from '../../support/records.ts'

const FAST = { pollIntervalMs: 5 }

function openAppender(path: string, options?: FileChainOptions): FileChainAppender {
	const appender = new FileChainAppender(path, options)
	onTestFinished(() => appender.close().catch(() => {}))
	return appender
}

async function openReader(path: string, options?: Parameters<typeof openChain>[1]): Promise<Chain> {
	const chain = await openChain(path, options)
	onTestFinished(() => chain.close())
	return chain
}

function append(appender: FileChainAppender, count: number, fields: Partial<LogRecord> = {}): void {
	for (let left = count; left > 0; left--) {
		appender.append(record(appender.nextSeq, { epoch: appender.epoch, ...fields }))
	}
	appender.flush()
}

/** Returns the seqs of the next `count` records. */
async function take(tail: AsyncIterator<LogRecord>, count: number): Promise<number[]> {
	const seqs: number[] = []
	while (seqs.length < count) {
		const { value, done } = await tail.next()
		if (done) throw new Error(`the tail ended after ${seqs.length} of ${count} records`)
		seqs.push(value.seq)
	}
	return seqs
}

function follow(chain: Chain, query: TailQuery = {}): AsyncIterator<LogRecord> {
	const tail = chain.tail({ ...FAST, ...query })[Symbol.asyncIterator]()
	onTestFinished(async () => void (await tail.return?.()))
	return tail
}

test('a tail returns history first and then new records, without a seam', async () => {
	const path = newChainPath()
	const appender = openAppender(path)
	append(appender, 5_000)
	const tail = follow(await openReader(path))
	expect(await take(tail, 4_000)).toEqual(range(1, 4_000))
	append(appender, 10)
	expect(await take(tail, 1_010)).toEqual(range(4_001, 5_010))
	append(appender, 3)
	expect(await take(tail, 3)).toEqual([5_011, 5_012, 5_013])
})

test('a tail from a seq, a time or a level skips the history that does not match', async () => {
	const path = newChainPath()
	const appender = openAppender(path)
	append(appender, 20_000)
	const chain = await openReader(path)
	const bySeq = follow(chain, { fromSeq: 19_999 })
	const byTime = follow(chain, { since: record(20_000).tsMs })
	const byLevel = follow(chain, { level: 'warn' })
	expect(await take(bySeq, 2)).toEqual([19_999, 20_000])
	expect(await take(byTime, 1)).toEqual([20_000])
	append(appender, 1, { level: 'error' })
	expect(await take(bySeq, 1)).toEqual([20_001])
	expect(await take(byTime, 1)).toEqual([20_001])
	expect(await take(byLevel, 1)).toEqual([20_001])
})

test('a tail with an upper seq ends when it passes that seq', async () => {
	const path = newChainPath()
	const appender = openAppender(path)
	append(appender, 3_000)
	const chain = await openReader(path)
	const seqs: number[] = []
	for await (const { seq } of chain.tail({ fromSeq: 10, toSeq: 12, ...FAST })) seqs.push(seq)
	expect(seqs).toEqual([10, 11, 12])
	const live = follow(chain, { fromSeq: 3_000, toSeq: 3_002 })
	expect(await take(live, 1)).toEqual([3_000])
	append(appender, 5)
	expect(await take(live, 2)).toEqual([3_001, 3_002])
	expect((await live.next()).done).toBe(true)
})

test('a tail continues across restarts of the writer, even if a torn tail is cut', async () => {
	const path = newChainPath()
	let appender = openAppender(path)
	append(appender, 100)
	const tail = follow(await openReader(path))
	expect(await take(tail, 100)).toEqual(range(1, 100))
	for (let restart = 0; restart < 3; restart++) {
		const from = appender.nextSeq
		await appender.close()
		// A writer killed in the middle of a frame leaves its first bytes.
		const whole = nodeFileSystem.readFileSync(path)
		writeFileSync(path, Buffer.concat([whole, Buffer.from([0x97, 0xce, 0, 0, 0x40, 0, 0xce, 1, 2])]))
		appender = openAppender(path)
		append(appender, 50)
		expect(await take(tail, 50)).toEqual(range(from, from + 49))
	}
})

test('a tail returns the records of a failed and repeated write once', async () => {
	const path = newChainPath()
	const system = new FaultyFileSystem()
	const appender = openAppender(path, { fs: system })
	append(appender, 10)
	const tail = follow(await openReader(path))
	expect(await take(tail, 10)).toEqual(range(1, 10))
	for (let left = 2_000; left > 0; left--) {
		appender.append(record(appender.nextSeq))
		if (left === 1_000) system.roomBytes = 20_000
	}
	// The half-written bytes stay, as on a disk that refuses all changes.
	system.failTruncates('EIO')
	expect(() => appender.flush()).toThrow(/ENOSPC/)
	const first = await take(tail, 1)
	system.heal()
	appender.flush()
	append(appender, 5)
	expect([...first, ...(await take(tail, 2_004))]).toEqual(range(11, 2_015))
})

test('a durableOnly tail returns a record once it is on disk, not earlier', async () => {
	const path = newChainPath()
	const appender = openAppender(path)
	append(appender, 10)
	const chain = await openReader(path)
	const tail = follow(chain, { durableOnly: true })
	const first = tail.next()
	const none = await Promise.race([first, new Promise((resolve) => setTimeout(resolve, 60, 'none'))])
	expect(none).toBe('none')
	await appender.sync()
	expect((await first).value?.seq).toBe(1)
	expect(await take(tail, 9)).toEqual(range(2, 10))
	append(appender, 5)
	await appender.close()
	expect(await take(tail, 5)).toEqual(range(11, 15))
	const again = follow(chain, { durableOnly: true, fromSeq: 15 })
	expect(await take(again, 1)).toEqual([15])
})

test('a signal ends a tail, also while it waits and before it begins', async () => {
	const path = newChainPath()
	append(openAppender(path), 3)
	const chain = await openReader(path)
	const stop = new AbortController()
	const tail = follow(chain, { signal: stop.signal, pollIntervalMs: 60_000 })
	expect(await take(tail, 3)).toEqual([1, 2, 3])
	const waiting = tail.next()
	stop.abort()
	expect((await waiting).done).toBe(true)
	expect((await follow(chain, { signal: stop.signal }).next()).done).toBe(true)
})

test('return ends a tail while next is waiting', async () => {
	const path = newChainPath()
	append(openAppender(path), 1)
	const tail = follow(await openReader(path), { pollIntervalMs: 60_000 })
	expect(await take(tail, 1)).toEqual([1])
	const waiting = tail.next()
	expect((await tail.return?.())?.done).toBe(true)
	expect((await waiting).done).toBe(true)
})

test('a tail reports that the chain was closed', async () => {
	const path = newChainPath()
	append(openAppender(path), 1)
	const chain = await openChain(path)
	const tail = follow(chain)
	expect(await take(tail, 1)).toEqual([1])
	const waiting = expect(tail.next()).rejects.toMatchObject({ code: 'CHAIN_CLOSED' })
	await chain.close()
	await waiting
})

test('a tail reads a removed or replaced file to its end, then reports it', async () => {
	for (const change of ['remove', 'replace'] as const) {
		const path = newChainPath()
		const appender = openAppender(path)
		append(appender, 3)
		const tail = follow(await openReader(path))
		expect(await take(tail, 3)).toEqual([1, 2, 3])
		append(appender, 2)
		if (change === 'remove') unlinkSync(path)
		else {
			writeFileSync(`${path}.new`, 'something else')
			renameSync(`${path}.new`, path)
		}
		expect(await take(tail, 2)).toEqual([4, 5])
		await expect(tail.next()).rejects.toMatchObject({ code: 'CHAIN_REPLACED', path })
	}
})

test('with an unreadable lock, a cut file is taken for a writer that writes the same again', async () => {
	const path = newChainPath()
	const appender = openAppender(path)
	append(appender, 5)
	append(appender, 5)
	const whole = readFileSync(path)
	let looks = 0
	const fs: typeof nodeFileSystem = {
		...nodeFileSystem,
		openSync(name, flags, mode) {
			if (name === `${path}.lock`) throw Object.assign(new Error('EACCES: open'), { code: 'EACCES' })
			return nodeFileSystem.openSync(name, flags, mode)
		},
		async fstat(fd) {
			const stat = await nodeFileSystem.fstat(fd)
			if (stat.size === whole.length - 50) looks++
			return stat
		},
	}
	const tail = follow(await openReader(path, { fs }))
	expect(await take(tail, 10)).toEqual(range(1, 10))
	const next = take(tail, 1)
	next.catch(() => {})
	truncateSync(path, whole.length - 50)
	await expect.poll(() => looks, { timeout: 20_000 }).toBeGreaterThan(1)
	appendFileSync(path, whole.subarray(-50))
	append(appender, 1)
	expect(await next).toEqual([11])
})

test('a tail reports a file that is cut', async () => {
	for (const left of [0, 20, 4_000]) {
		const path = newChainPath()
		const appender = openAppender(path)
		append(appender, 5_000)
		await appender.close()
		const tail = follow(await openReader(path))
		expect(await take(tail, 5_000)).toHaveLength(5_000)
		truncateSync(path, left)
		await expect(tail.next()).rejects.toMatchObject({ code: 'CHAIN_TRUNCATED', path })
	}
})

test('damage in the middle becomes a gap, and a frame still being written does not', async () => {
	const path = newChainPath()
	const appender = openAppender(path)
	for (let turn = 0; turn < 30; turn++) append(appender, 10)
	await appender.close()
	const bytes = nodeFileSystem.readFileSync(path)
	const at = Math.floor(bytes.length / 2)
	bytes[at]! ^= 0xff
	writeFileSync(path, bytes)
	const next = openAppender(path)
	append(next, 10)
	const seen: LogRecord[] = []
	for await (const each of (await openReader(path)).tail({ ...FAST, toSeq: 305 })) seen.push(each)
	const gaps = seen.filter(({ kind }) => kind === '$gap')
	expect(gaps).toHaveLength(1)
	expect(gaps[0]?.data).toMatchObject({ count: 10, cause: 'damaged' })
	expect(seen.filter(({ kind }) => kind !== '$gap')).toHaveLength(295)
	const strict = follow(await openReader(path), { gaps: 'throw' })
	await expect(take(strict, 300)).rejects.toMatchObject({ code: 'CHAIN_GAP' })
})

test('invalid options are refused at once', async () => {
	const path = newChainPath()
	append(openAppender(path), 1)
	const chain = await openReader(path)
	const bad = (query: object, code: string) =>
		expect(() => chain.tail(query as TailQuery), JSON.stringify(query)).toThrow(
			expect.objectContaining({ code }),
		)
	bad({ pollIntervalMs: 0 }, 'INVALID_OPTION')
	bad({ pollIntervalMs: 2 ** 31 }, 'INVALID_OPTION')
	bad({ durableOnly: 1 }, 'INVALID_OPTION')
	bad({ signal: {} }, 'INVALID_OPTION')
	bad({ limit: 3 }, 'INVALID_FILTER')
	bad({ reverse: true }, 'INVALID_FILTER')
	bad({ colour: 'red' }, 'INVALID_FILTER')
})
