/**
 * RELIABILITY, rows 6, 7 and 8: a disk that is full after any byte, a failure of any sync, and a failure of
 * any call in any way.
 */
import { beforeAll, expect, test } from 'vitest'
import { repairChain } from '../../src/chain/verify/repair.ts'
import { verifyChain } from '../../src/chain/verify/verify.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { MeshChainError } from '../../src/model/errors.ts'
import { sizeOf, tellCounts } from '../support/counts.ts'
import { FaultyFileSystem } from '../support/faulty-file-system.ts'
import { MemoryFileSystem } from '../support/memory-file-system.ts'
import { checkRecords, checkRecovery, readAll } from '../support/oracle.ts'
import { record } from '../support/records.ts'
import { silenceWarnings } from '../support/warnings.ts'

const PATH = '/chains/node.chain'
const messageOf = (seq: number) => `message ${seq} ${'x'.repeat((seq * 37) % 120)}`
const line = (seq: number, epoch = 1) => record(seq, { message: messageOf(seq), epoch })

beforeAll(silenceWarnings)

test('row 6: a disk full at any byte of a frame omits it cleanly; the chain resumes with room', async () => {
	let places = 0
	for (let room = 0; room < 400; room++) {
		const memory = new MemoryFileSystem()
		const disk = new FaultyFileSystem(memory)
		const appender = new FileChainAppender(PATH, { fs: disk })
		appender.append(line(1))
		appender.flush()
		const before = memory.get(PATH)
		disk.roomBytes = room
		appender.append(line(2))
		appender.append(record(3, { message: 'x'.repeat(300), epoch: 1 }))
		let isFull = false
		try {
			appender.flush()
		} catch (error) {
			isFull = true
			expect(error).toMatchObject({ code: 'WRITE_FAILED' })
			expect(memory.get(PATH)).toEqual(before)
		}
		if (!isFull) break
		places++
		disk.heal()
		appender.flush()
		await appender.close()
		expect((await readAll(PATH, memory)).map(({ seq }) => seq)).toEqual([1, 2, 3])
		expect(await verifyChain(PATH, { fs: memory })).toMatchObject({ ok: true, findings: [] })
	}
	expect(places).toBeGreaterThan(300)
	tellCounts(6, 'disk full after each byte of a frame', { positions: places, lost: 0 })
})

test('row 7: after any failed fdatasync waiters reject, the file is abandoned, the chain moves', async () => {
	const failures = sizeOf('SYNC_FAILURES')
	for (let failing = 1; failing <= failures; failing++) {
		const memory = new MemoryFileSystem()
		const disk = new FaultyFileSystem(memory)
		const appender = new FileChainAppender(PATH, { fs: disk, durability: 'disk' })
		let acknowledged = 0
		let failed = 0
		for (let seq = 1; seq <= failing + 3; seq++) {
			appender.append(line(seq))
			if (seq === failing) disk.failSyncs('EIO')
			const { segment } = appender.stats()
			try {
				await appender.sync()
				acknowledged = seq
				expect(appender.committedSeq).toBe(seq)
			} catch (error) {
				failed++
				expect(error).toMatchObject({ code: 'SYNC_FAILED' })
				expect(appender.committedSeq).toBe(acknowledged)
				expect(appender.stats().segment).toBe(segment)
				// Even after the disk recovers, that file is not synced again.
				disk.heal()
			}
		}
		expect([failed, appender.stats().moves, appender.stats().segment]).toEqual([1, 1, 1])
		await appender.close()
		const found = await readAll(PATH, memory)
		expect(found.map(({ seq }) => seq)).toEqual(
			Array.from({ length: failing + 3 }, (_unused, index) => index + 1),
		)
		expect((await verifyChain(PATH, { fs: memory })).ok).toBe(true)
	}
	tellCounts(7, 'failing fdatasyncs', { failures, 'acknowledged and lost': 0, moves: failures })
}, 600_000)

/** Opens, appends, rotates, syncs, closes and opens again. Returns what was acknowledged and every error. */
async function live(
	fs: FaultyFileSystem,
): Promise<{ acknowledged: number; published: number; errors: unknown[] }> {
	const errors: unknown[] = []
	let acknowledged = 0
	let published = 0
	for (const last of [7, 12]) {
		let appender: FileChainAppender
		try {
			appender = new FileChainAppender(PATH, {
				fs,
				durability: 'disk',
				rotateRecords: 5,
				retain: { records: 1000 },
			})
		} catch (error) {
			errors.push(error)
			continue
		}
		for (let seq = appender.nextSeq; seq <= last; seq++) {
			published = Math.max(published, seq)
			try {
				appender.append(line(seq, appender.epoch))
				await appender.sync()
				acknowledged = seq
			} catch (error) {
				errors.push(error)
			}
			await new Promise((resolve) => setImmediate(resolve))
		}
		await appender.close().catch((error) => errors.push(error))
	}
	return { acknowledged, published, errors }
}

test.each(['EIO', 'EAGAIN', 'EMFILE', 'EROFS', 'EACCES', 'ENOSPC'])(
	'row 8: %s from any one call of a writer is a coded error, without hang or false promise',
	async (code) => {
		const counting = new FaultyFileSystem(new MemoryFileSystem())
		await live(counting)
		const calls = counting.calls.length
		let seen = 0
		for (let index = 0; index < calls; index++) {
			const memory = new MemoryFileSystem()
			const disk = new FaultyFileSystem(memory)
			disk.failOnce(index, code)
			const { acknowledged, published, errors } = await live(disk)
			seen += errors.length
			for (const error of errors) expect(error, String(error)).toBeInstanceOf(MeshChainError)
			const call = disk.calls[index]
			disk.heal()
			try {
				if (published > 0) await checkRecovery(PATH, { acknowledged, published, fs: memory, messageOf })
			} catch (error) {
				throw new Error(`${code} from call ${index}, ${call?.name} ${call?.path ?? ''}`, { cause: error })
			}
		}
		tellCounts(8, `${code} from each call`, { calls, 'coded errors': seen, 'false acknowledgements': 0 })
	},
	600_000,
)

test('row 8: readers, verification and repair answer with coded errors; repair loses nothing', async () => {
	const whole = new MemoryFileSystem()
	const appender = new FileChainAppender(PATH, { fs: whole, rotateRecords: 30 })
	for (let seq = 1; seq <= 90; seq++) {
		appender.append(line(seq))
		await appender.sync()
	}
	await appender.close()
	const damaged = whole.get(PATH)
	whole.put(PATH, damaged.fill(0xc1, 700, 760))
	let calls = 0
	let errors = 0
	for (const work of [
		readAll,
		(path: string, fs: FaultyFileSystem) => verifyChain(path, { fs }),
		(path: string, fs: FaultyFileSystem) => repairChain(path, { fs }),
	]) {
		for (let index = 0; ; index++) {
			const memory = whole.crashPoint('copy').afterKill()
			const disk = new FaultyFileSystem(memory)
			disk.failOnce(index, 'EIO')
			const before = (await readAll(PATH, memory)).filter(({ kind }) => kind !== '$gap')
			await work(PATH, disk).catch((error) => {
				errors++
				expect(['EIO', ...['CHAIN_UNREADABLE', 'REPAIR_FAILED']]).toContain(error.code)
			})
			disk.heal()
			expect((await readAll(PATH, memory)).filter(({ kind }) => kind !== '$gap')).toEqual(before)
			if (disk.calls.length <= index) break
			calls++
		}
	}
	tellCounts(8, 'EIO from each call in reading, verify and repair', { calls, errors, 'records lost': 0 })
}, 600_000)

test('row 8: with a failed sync and any other failure, committed records survive a power loss', async () => {
	let calls = 1
	let committed = 0
	for (let index = 0; index < calls; index++) {
		const memory = new MemoryFileSystem()
		const disk = new FaultyFileSystem(memory)
		const appender = new FileChainAppender(PATH, { fs: disk, durability: 'disk', rotateRecords: 4 })
		const begun = disk.calls.length
		disk.failOnce(index, 'EMFILE')
		disk.fail('fdatasync', 'EIO', 1)
		for (let seq = 1; seq <= 6; seq++) {
			appender.append(line(seq))
			await appender.sync().catch((error) => expect(error.code).toMatch(/SYNC_FAILED|WRITE_FAILED/))
			if (seq === 3) disk.heal()
			const lost = memory.crashPoint('now').afterPowerLoss(() => false)
			const found = await readAll(PATH, lost)
			const { committedSeq } = appender
			expect([index, committedSeq <= (found.at(-1)?.seq ?? 0)]).toEqual([index, true])
			checkRecords(found, { acknowledged: committedSeq, published: seq, fs: lost, messageOf })
			committed = Math.max(committed, committedSeq)
		}
		calls = Math.max(calls, disk.calls.length - begun)
		await appender.close()
		expect((await readAll(PATH, memory)).map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6])
	}
	expect([calls > 60, committed]).toEqual([true, 6])
	tellCounts(8, 'power lost after a failed sync and one more failed call', { calls, 'committed and lost': 0 })
}, 600_000)
