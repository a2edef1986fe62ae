import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openChain } from '../../../src/chain/read/open-chain.ts'
import { verifyChain } from '../../../src/chain/verify/verify.ts'
import { FileChainAppender } from '../../../src/chain/write/file-chain-appender.ts'
import { MeshLoop } from '../../../src/loop/mesh-loop.ts'
import { newChainPath, nextTurn } from '../../support/chains.ts'
import { FaultyFileSystem } from '../../support/faulty-file-system.ts'
import { collect, record } from '../../support/records.ts'
import { heardWarnings } from '../../support/warnings.ts'

function setUp(options = {}) {
	const disk = new FaultyFileSystem()
	const path = newChainPath()
	const warnings = heardWarnings()
	return { disk, path, warnings, appender: new FileChainAppender(path, { fs: disk, ...options }) }
}

async function messages(path: string): Promise<string[]> {
	const chain = await openChain(path)
	const found = await collect(chain.records())
	await chain.close()
	return found.map((item) => item.message)
}

test('on a full disk the service runs, records wait, one warning appears, the chain resumes', async () => {
	const { disk, path, warnings, appender } = setUp()
	const loop = new MeshLoop(appender)
	loop.info('before')
	loop.flush()
	disk.failWrites('ENOSPC')
	for (let index = 0; index < 20; index++) {
		loop.error(`while full ${index}`)
		await nextTurn()
	}
	expect(loop.stats().appender.failing).toBe(true)
	expect(appender.stats()).toMatchObject({ pendingRecords: 20, failure: expect.stringContaining('ENOSPC') })
	expect(() => loop.flush()).toThrow(expect.objectContaining({ code: 'WRITE_FAILED' }))
	expect(loop.snapshot().filter((item) => item.chainPending)).toHaveLength(20)
	disk.heal()
	loop.info('after')
	await nextTurn()
	expect(loop.stats().appender.failing).toBe(false)
	await nextTurn()
	expect(warnings.map(({ code }) => code)).toEqual(['MESH_CHAIN_CHAIN_FAILING', 'MESH_CHAIN_CHAIN_RECOVERED'])
	await loop.close()
	expect(await messages(path)).toHaveLength(22)
	expect((await verifyChain(path)).ok).toBe(true)
})

test('an idle service resumes by itself when the disk recovers', async () => {
	const { disk, appender } = setUp()
	disk.failWrites('EIO')
	appender.append(record(1))
	await nextTurn()
	expect(appender.failure).toMatchObject({ code: 'WRITE_FAILED' })
	disk.heal()
	await expect.poll(() => appender.committedSeq).toBe(1)
	await appender.close()
})

test('a short write at any byte is cut back, reported as failed, and repeated', async () => {
	const { disk, path, appender } = setUp()
	let seq = 0
	const sizeBefore = () => readFileSync(path).length
	for (let room = 1; room < 120; room += 7) {
		const before = sizeBefore()
		disk.roomBytes = room
		appender.append(record(++seq, { message: `a record of some length ${'x'.repeat(80)}` }))
		expect(() => appender.flush()).toThrow(expect.objectContaining({ code: 'WRITE_FAILED', offset: before }))
		expect(sizeBefore()).toBe(before)
		disk.heal()
		appender.flush()
		expect(appender.committedSeq).toBe(seq)
	}
	await appender.close()
	expect(await messages(path)).toHaveLength(seq)
	expect((await verifyChain(path)).ok).toBe(true)
})

test('if half a frame cannot be cut back, the file is sealed and a new one continues the chain', async () => {
	const { disk, path, appender } = setUp()
	disk.roomBytes = 20
	disk.failTruncates('EIO')
	appender.append(record(1))
	expect(() => appender.flush()).toThrow()
	expect((await verifyChain(path)).findings[0]).toMatchObject({ kind: 'tornTail' })
	expect(() => appender.flush()).toThrow(expect.objectContaining({ code: 'WRITE_FAILED' }))
	disk.heal()
	appender.append(record(2))
	await appender.close()
	expect(appender.stats()).toMatchObject({ segment: 1, moves: 1, unsyncedLost: 0 })
	expect(await messages(path)).toEqual(['message 1', 'message 2'])
	expect((await verifyChain(path)).ok).toBe(true)
})

test('beyond pendingBytesMax records stay in the loop, and evicted ones become a counted gap', async () => {
	const { disk, path, appender } = setUp({ pendingBytesMax: 2000 })
	const loop = new MeshLoop(appender, { ringCapacity: 10 })
	disk.failWrites('ENOSPC')
	for (let index = 0; index < 200; index++) loop.info(`record ${index}`)
	await nextTurn()
	expect(appender.stats().pendingBytes).toBeLessThan(3000)
	const { lost, pending } = loop.stats().appender
	expect(lost.evicted).toBeGreaterThan(0)
	expect(appender.stats().pendingRecords + lost.evicted + pending).toBe(200)
	disk.heal()
	loop.info('healed')
	await loop.close()
	const chain = await openChain(path)
	const found = await collect(chain.records())
	await chain.close()
	const gap = found.filter((item) => item.kind === '$gap')
	expect(gap).toHaveLength(1)
	expect(gap[0]?.data).toMatchObject({ cause: 'evicted', count: lost.evicted })
	expect(found.length - 1 + lost.evicted).toBe(201)
	expect(await verifyChain(path)).toMatchObject({ ok: true })
})

test('a nearly full disk keeps the whole frames written, and the rest waits', async () => {
	const { disk, path, appender } = setUp()
	disk.failWrites('ENOSPC')
	for (let seq = 1; seq <= 2000; seq++) appender.append(record(seq, { message: 'x'.repeat(1000) }))
	await nextTurn()
	disk.heal()
	disk.roomBytes = 700_000
	expect(() => appender.flush()).toThrow(expect.objectContaining({ code: 'WRITE_FAILED' }))
	expect(appender.committedSeq).toBeGreaterThan(400)
	expect(appender.committedSeq + appender.stats().pendingRecords).toBe(2000)
	expect(await messages(path)).toHaveLength(appender.committedSeq)
	disk.heal()
	await appender.close()
	expect(await messages(path)).toHaveLength(2000)
	expect((await verifyChain(path)).findings).toEqual([])
})

test('with durability disk, committed means on disk, and sync waits for it', async () => {
	const { disk, appender } = setUp({ durability: 'disk' })
	appender.append(record(1))
	appender.flush()
	expect(appender.committedSeq).toBe(0)
	await appender.sync()
	expect(appender.committedSeq).toBe(1)
	const before = disk.syncs
	await Promise.all(Array.from({ length: 100 }, () => appender.sync()))
	expect(disk.syncs - before).toBeLessThanOrEqual(2)
	await appender.close()
})

test('with durability os, sync and close still put everything on disk', async () => {
	const { disk, appender } = setUp()
	const before = disk.syncs
	appender.append(record(1))
	await appender.sync()
	expect([disk.syncs - before, appender.stats().durableSeq]).toEqual([1, 1])
	appender.append(record(2))
	await appender.close()
	expect(disk.syncs - before).toBe(2)
})

test('tasks that wait for the disk at the same time share writes and syncs', async () => {
	const { appender } = setUp()
	const loop = new MeshLoop(appender)
	const { writes } = appender.stats()
	async function task() {
		for (let round = 0; round < 3; round++) {
			const record = loop.info('mine')
			await loop.sync()
			expect(appender.stats().durableSeq).toBeGreaterThanOrEqual(record?.seq ?? 0)
		}
	}
	await Promise.all(Array.from({ length: 100 }, task))
	expect(appender.stats().syncs).toBeLessThanOrEqual(10)
	expect(appender.stats().writes - writes).toBeLessThanOrEqual(10)
	await loop.close()
})

test('a successful sync does not hide a write that failed meanwhile', async () => {
	const { disk, appender } = setUp()
	appender.append(record(1))
	const synced = appender.sync()
	while (appender.stats().writtenSeq < 1) await null
	disk.failWrites('ENOSPC')
	appender.append(record(2))
	expect(() => appender.flush()).toThrow(expect.objectContaining({ code: 'WRITE_FAILED' }))
	await synced
	expect(appender.failure).toMatchObject({ code: 'WRITE_FAILED' })
	await expect(appender.sync()).rejects.toMatchObject({ code: 'WRITE_FAILED' })
	disk.heal()
	await appender.sync()
	expect([appender.failure, appender.stats().durableSeq]).toEqual([undefined, 2])
	await appender.close()
})

test('a failed fsync rejects its waiters, is never retried on that file, and the chain moves', async () => {
	const { disk, path, appender } = setUp({ durability: 'disk' })
	appender.append(record(1))
	await appender.sync()
	disk.failSyncs('EIO')
	appender.append(record(2))
	await expect(appender.sync()).rejects.toMatchObject({ code: 'SYNC_FAILED', seq: 2 })
	expect(appender.failure).toMatchObject({ code: 'SYNC_FAILED' })
	expect(readdirSync(join(path, '..')).filter((name) => /node-|tmp/.test(name))).toEqual([])
	disk.heal()
	appender.append(record(3))
	await expect(appender.sync()).resolves.toBeUndefined()
	expect(appender.stats()).toMatchObject({ segment: 1, moves: 1, unsyncedLost: 0, committedSeq: 3 })
	expect(appender.failure).toBeUndefined()
	await appender.close()
	expect(await messages(path)).toEqual(['message 1', 'message 2', 'message 3'])
	const report = await verifyChain(path)
	expect(report.findings).toMatchObject([{ kind: 'superseded', severity: 'note', fromSeq: 2, toSeq: 2 }])
	expect(report.ok).toBe(true)
})

test('while every fsync fails, nothing is acknowledged as on disk and no files pile up', async () => {
	const { disk, path, appender } = setUp({ durability: 'disk' })
	disk.failSyncs('EIO')
	for (let seq = 1; seq <= 20; seq++) {
		appender.append(record(seq))
		await expect(appender.sync()).rejects.toMatchObject({ code: 'SYNC_FAILED', seq: 1 })
	}
	expect([appender.committedSeq, appender.stats().writtenSeq]).toEqual([0, 20])
	expect(readdirSync(join(path, '..')).sort()).toEqual([
		'node.chain',
		'node.chain.durable',
		'node.chain.lock',
	])
	await expect(appender.close()).rejects.toMatchObject({ code: 'SYNC_FAILED' })
	expect(await messages(path)).toHaveLength(20)
})

test('with os, unsynced records are read back after a failed fsync and written to the new file', async () => {
	const { disk, path, appender } = setUp()
	for (let seq = 1; seq <= 5000; seq++) appender.append(record(seq, { message: 'x'.repeat(200) }))
	await nextTurn()
	disk.failSyncs('EIO')
	await expect(appender.sync()).rejects.toMatchObject({ code: 'SYNC_FAILED', seq: 1 })
	appender.append(record(5001))
	disk.heal()
	await appender.sync()
	expect(appender.stats()).toMatchObject({ moves: 1, durableSeq: 5001, unsyncedLost: 0 })
	await appender.close()
	expect(await messages(path)).toHaveLength(5001)
	expect((await verifyChain(path)).ok).toBe(true)
})

test('records that cannot be read back after a failed fsync become a counted gap', async () => {
	const { disk, path, appender } = setUp()
	for (let seq = 1; seq <= 1000; seq++) {
		appender.append(record(seq, { message: 'x'.repeat(100) }))
		appender.flush()
	}
	disk.failSyncs('EIO')
	await expect(appender.sync()).rejects.toMatchObject({ code: 'SYNC_FAILED' })
	// Simulates a kernel that drops the pages: the bytes are no longer those that were written.
	const bytes = readFileSync(path)
	writeFileSync(path, bytes.fill(0, 1500, 1600))
	disk.heal()
	await appender.sync()
	const lost = appender.stats().unsyncedLost
	expect(lost).toBeGreaterThan(0)
	await appender.close()
	const chain = await openChain(path)
	const found = await collect(chain.records())
	await chain.close()
	const gap = found.find((item) => item.kind === '$gap')
	expect(gap?.data).toMatchObject({ cause: 'unsynced', count: lost })
	expect(found).toHaveLength(1000 - lost + 1)
	expect((await verifyChain(path)).ok).toBe(true)
})

test('a sync rejects if the chain moved to a new file whose name may not be on disk', async () => {
	const { disk, path, appender } = setUp()
	appender.append(record(1))
	appender.flush()
	const { syncs } = disk
	const waiting = appender.sync()
	waiting.catch(() => {})
	while (disk.syncs === syncs) await null
	disk.roomBytes = 20
	disk.failTruncates('EIO')
	appender.append(record(2))
	expect(() => appender.flush()).toThrow(expect.objectContaining({ code: 'WRITE_FAILED' }))
	disk.heal()
	// The name of the sealed file reaches the disk, the new name does not.
	disk.fail('fsyncSync', 'EIO', 1)
	expect(() => appender.flush()).toThrow(expect.objectContaining({ code: 'SYNC_FAILED' }))
	await expect(waiting).rejects.toMatchObject({ code: 'SYNC_FAILED' })
	disk.heal()
	appender.append(record(3))
	await appender.sync()
	expect(appender.stats()).toMatchObject({ moves: 2, unsyncedLost: 0, durableSeq: 3 })
	await appender.close()
	expect(await messages(path)).toEqual(['message 1', 'message 2', 'message 3'])
	expect((await verifyChain(path)).ok).toBe(true)
})

test('after removal of a live file with failing syncs, unsynced records are taken from memory', async () => {
	const { disk, path, appender } = setUp({ durability: 'disk' })
	appender.append(record(1))
	await appender.sync()
	disk.failSyncs('EIO')
	appender.append(record(2))
	await expect(appender.sync()).rejects.toMatchObject({ code: 'SYNC_FAILED', seq: 2 })
	const bytes = readFileSync(path)
	writeFileSync(path, bytes.fill(0, bytes.length - 30))
	rmSync(path)
	disk.heal()
	appender.append(record(3))
	await appender.sync()
	expect(appender.stats()).toMatchObject({ regained: 1, unsyncedLost: 0, committedSeq: 3 })
	await appender.close()
	expect(await messages(path)).toEqual(['message 1', 'message 2', 'message 3'])
	expect((await verifyChain(path)).ok).toBe(true)
})

test('a restored live file whose name may not be on disk does not stop the chain', async () => {
	const { disk, path, appender } = setUp()
	appender.append(record(1))
	appender.flush()
	rmSync(path)
	// The order is the copy of the written bytes, its name, and then the name of the live file.
	disk.fail('fsyncSync', 'EIO', 2)
	expect(() => appender.flush()).toThrow(expect.objectContaining({ code: 'SYNC_FAILED' }))
	disk.heal()
	appender.append(record(2))
	await appender.sync()
	expect(appender.stats()).toMatchObject({ regained: 1, moves: 1, durableSeq: 2 })
	await appender.close()
	expect(await messages(path)).toEqual(['message 1', 'message 2'])
	expect((await verifyChain(path)).ok).toBe(true)
})

test('a sync that fails after the start of a rotation is reported', async () => {
	const { disk, path, appender } = setUp({ rotateRecords: 10 })
	appender.append(record(1))
	appender.flush()
	disk.fail('fdatasync', 'EIO')
	const waiting = appender.sync()
	waiting.catch(() => {})
	while (!disk.calls.some(({ name }) => name === 'fdatasync')) await null
	for (let seq = 2; seq <= 40; seq++) appender.append(record(seq))
	appender.flush()
	await expect(waiting).rejects.toMatchObject({ code: 'SYNC_FAILED' })
	expect(appender.stats()).toMatchObject({ syncFailures: 1, rotations: 0 })
	disk.heal()
	await appender.sync()
	expect(appender.stats()).toMatchObject({ moves: 1, unsyncedLost: 0 })
	await appender.close()
	expect(await messages(path)).toHaveLength(40)
	expect((await verifyChain(path)).ok).toBe(true)
})

test('a sync that fails while retention is recorded is reported, and the chain moves', async () => {
	const { disk, path, appender, warnings } = setUp({ rotateRecords: 10, retain: { records: 5 } })
	for (let seq = 1; seq <= 10; seq++) appender.append(record(seq))
	// The sync before the rotation succeeds, the sync after retention fails.
	disk.fail('fdatasync', 'EIO', 1)
	appender.flush()
	await expect.poll(() => appender.failure?.code).toBe('SYNC_FAILED')
	expect(warnings.some(({ code }) => code.includes('CHAIN_FAILING'))).toBe(true)
	disk.heal()
	await expect.poll(() => appender.stats().moves).toBe(1)
	await appender.close()
	expect((await verifyChain(path)).ok).toBe(true)
})

test.each(['EMFILE', 'ENOSPC'])(
	'a directory sync that fails with %s is an error, not a missing feature',
	async (code) => {
		const { disk, path, appender } = setUp({ rotateRecords: 5 })
		for (let seq = 1; seq <= 5; seq++) appender.append(record(seq))
		disk.fail('fsyncSync', code)
		appender.flush()
		await expect.poll(() => appender.stats().rotationFailures).toBeGreaterThan(0)
		expect(appender.stats().segment).toBe(0)
		disk.heal()
		await appender.close()
		expect(await messages(path)).toHaveLength(5)
	},
)

test('errors of the system about the lock file have a code', async () => {
	const { disk, path, appender } = setUp()
	rmSync(path)
	disk.fail('fstatSync', 'EIO')
	appender.append(record(1))
	expect(() => appender.flush()).toThrow(expect.objectContaining({ code: 'WRITE_FAILED' }))
	disk.heal()
	await appender.close()
	expect(await messages(path)).toEqual(['message 1'])
})

test('a close that cannot write reports the number of lost records and releases the chain', async () => {
	const { disk, path, appender } = setUp()
	disk.failWrites('ENOSPC')
	appender.append(record(1))
	await expect(appender.close()).rejects.toMatchObject({ code: 'CLOSE_FAILED', seq: 1 })
	expect(appender.stats().lostAtClose).toBe(1)
	const next = new FileChainAppender(path)
	expect(next.nextSeq).toBe(1)
	await next.close()
})

test.each(['EACCES', 'EMFILE', 'ENOSPC'])(
	'a constructor that fails with %s throws a coded error and leaves no lock',
	(code) => {
		const disk = new FaultyFileSystem()
		const path = newChainPath()
		disk.failWrites(code)
		expect(() => new FileChainAppender(path, { fs: disk })).toThrow(
			expect.objectContaining({ code: expect.stringMatching(/CHAIN_UNWRITABLE|WRITE_FAILED/) }),
		)
		disk.heal()
		expect(() => new FileChainAppender(path, { fs: disk })).not.toThrow()
	},
)
