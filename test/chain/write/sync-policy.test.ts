import { expect, test, vi } from 'vitest'
import { FileChainAppender } from '../../../src/chain/write/file-chain-appender.ts'
import type { SyncPolicy } from '../../../src/chain/write/file-chain-options.ts'
import { newChainPath, nextTurn } from '../../support/chains.ts'
import { FaultyFileSystem } from '../../support/faulty-file-system.ts'
import { record } from '../../support/records.ts'
import { silenceWarnings } from '../../support/warnings.ts'

function open(durability: 'os' | 'disk' | SyncPolicy) {
	const disk = new FaultyFileSystem()
	const appender = new FileChainAppender(newChainPath(), { fs: disk, durability })
	const before = disk.syncs
	return { disk, appender, syncs: () => disk.syncs - before }
}

/** Appends one record per turn, with enough time for a sync after each. */
async function append(appender: FileChainAppender, count: number): Promise<void> {
	for (let left = count; left > 0; left--) {
		appender.append(record(appender.nextSeq, { message: 'x'.repeat(100) }))
		appender.flush()
		await nextTurn()
		await new Promise((resolve) => setTimeout(resolve, 2))
	}
}

test('os never syncs by itself', async () => {
	const { appender, syncs } = open('os')
	await append(appender, 20)
	expect(syncs()).toBe(0)
	await appender.close()
	expect(syncs()).toBe(1)
})

test.each([['disk'], [{ everyRecords: 0 }], [{ everyRecords: 1 }]] as const)(
	'%o syncs after every append, and committed means on disk',
	async (durability) => {
		const { appender, syncs } = open(durability)
		expect(appender.durability).toBe('disk')
		// One after another, because records during a sync share the next one.
		for (let seq = 1; seq <= 10; seq++) {
			await append(appender, 1)
			await expect.poll(() => appender.committedSeq).toBe(seq)
		}
		expect(syncs()).toBe(10)
		await appender.close()
	},
)

test('with a bound by records, no more are ever unsynced, and committed means written', async () => {
	const { appender, syncs } = open({ everyRecords: 5 })
	expect(appender.durability).toBe('os')
	await append(appender, 4)
	expect([syncs(), appender.committedSeq, appender.stats().durableSeq]).toEqual([0, 4, 0])
	await append(appender, 1)
	await expect.poll(() => appender.stats().durableSeq).toBe(5)
	for (let seq = 10; seq <= 25; seq += 5) {
		await append(appender, 5)
		await expect.poll(() => appender.stats().durableSeq).toBe(seq)
	}
	expect(syncs()).toBe(5)
	await appender.close()
})

test('with a bound by bytes, the chain is synced in time', async () => {
	const { appender, syncs } = open({ everyBytes: 1000 })
	await append(appender, 6)
	expect(syncs()).toBe(0)
	await append(appender, 4)
	await expect.poll(() => appender.stats().durableSeq).toBeGreaterThan(6)
	// Records during a slow sync may need a second sync.
	expect([1, 2]).toContain(syncs())
	await appender.close()
})

test('with bounds by time and bytes, the first one applies; an idle chain is not synced again', async () => {
	vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
	try {
		const { appender, syncs } = open({ everyMs: 500, everyBytes: 1_000_000 })
		appender.append(record(1))
		appender.flush()
		await vi.advanceTimersByTimeAsync(499)
		expect(syncs()).toBe(0)
		await vi.advanceTimersByTimeAsync(1)
		vi.useRealTimers()
		await expect.poll(() => appender.stats().durableSeq).toBe(1)
		vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
		await vi.advanceTimersByTimeAsync(5000)
		expect(syncs()).toBe(1)
		vi.useRealTimers()
		await appender.close()
	} finally {
		vi.useRealTimers()
	}
})

test('a failed sync of a policy moves the chain without any call', async () => {
	silenceWarnings()
	const { disk, appender } = open({ everyRecords: 3 })
	disk.failSyncs('EIO')
	await append(appender, 4)
	await expect.poll(() => appender.failure).toMatchObject({ code: 'SYNC_FAILED' })
	disk.heal()
	await expect.poll(() => appender.stats().moves).toBe(1)
	expect(appender.failure).toBeUndefined()
	expect(appender.stats().durableSeq).toBe(4)
	await appender.close()
	vi.restoreAllMocks()
})
