/**
 * A live file is cut in place (`copytruncate`), extended again, or removed with everything next to it, with
 * or without a running writer. The writer notices this before it acknowledges anything. Records that are no
 * longer in memory become a counted gap, and the chain continues.
 */
import { beforeAll, expect, test } from 'vitest'
import { HEADER_BYTES } from '../../src/chain/format/header.ts'
import { verifyChain } from '../../src/chain/verify/verify.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import type { FileChainOptions } from '../../src/chain/write/file-chain-options.ts'
import { MeshChainError } from '../../src/model/errors.ts'
import { type GapData, isGap } from '../../src/model/record.ts'
import { nextTurn } from '../support/chains.ts'
import { randomFrom, SEED, sizeOf, tellCounts } from '../support/counts.ts'
import { MemoryFileSystem } from '../support/memory-file-system.ts'
import { checkRecords, readAll } from '../support/oracle.ts'
import { record } from '../support/records.ts'
import { silenceWarnings } from '../support/warnings.ts'

const PATH = '/chains/node.chain'
const FOLDER = '/chains'
const messageOf = (seq: number) => `message ${seq} ${'x'.repeat((seq * 97) % 400)}`

beforeAll(silenceWarnings)

/** Cuts a file that its writer has open, and extends it again to some size with zeros or a foreign text. */
function cut(fs: MemoryFileSystem, size: number, grownTo: number, text: boolean): void {
	const fd = fs.openSync(PATH, 2)
	fs.ftruncateSync(fd, size)
	if (grownTo > size) {
		if (text) fs.writeSync(fd, Buffer.alloc(grownTo - size, 'some text '), 0, grownTo - size, size)
		else fs.ftruncateSync(fd, grownTo)
	}
	fs.closeSync(fd)
}

/**
 * Checks that every record is there or in a gap, and that the chain opens again and verifies without an
 * unexplained finding.
 */
async function expectWhole(fs: MemoryFileSystem, lastSeq: number, acknowledged: number): Promise<number> {
	const found = await readAll(PATH, fs)
	const { absent } = checkRecords(found, { acknowledged, published: lastSeq, fs, messageOf })
	const last = found.at(-1)
	expect((last?.data as GapData | undefined)?.toSeq ?? last?.seq ?? 0).toBe(lastSeq)
	const { findings } = await verifyChain(PATH, { fs })
	expect(findings.filter(({ severity }) => severity === 'damage')).toEqual([])
	return absent
}

const OPTIONS: readonly FileChainOptions[] = [
	{},
	{ durability: 'disk' },
	{ rotateRecords: 40 },
	{ durability: { everyRecords: 7 } },
]

test('a live file cut at any moment to any size is abandoned, with no false acknowledgement', async () => {
	const random = randomFrom(SEED)
	const below = (bound: number) => Math.floor(random() * bound)
	let lost = 0
	const rounds = sizeOf('CUTS')
	for (let round = 0; round < rounds; round++) {
		const fs = new MemoryFileSystem()
		const options = OPTIONS[round % OPTIONS.length]!
		const appender = new FileChainAppender(PATH, { ...options, fs })
		let seq = 0
		/** Seq that `sync` declared to be on disk since the cut, outside of gaps at that time. */
		let synced = 0
		let reported = 0
		const append = async (records: number) => {
			for (let index = 0; index < records; index++) {
				appender.append(record(++seq, { message: messageOf(seq) }))
				if (below(2) === 0) await nextTurn()
				if (below(9) === 0) appender.flush()
				if (below(9) === 0) await appender.sync().catch(() => reported++)
			}
		}
		await append(below(1 + [5, 60, 600][below(3)]!))
		if (below(2) === 0) await appender.sync().catch(() => reported++)
		const size = fs.get(PATH).length
		const to = [0, below(size), size - 1 - below(Math.min(40, size)), HEADER_BYTES][below(4)]!
		const grown = [to, below(size), size, size + below(500)][below(4)]!
		cut(fs, to, grown, below(2) === 0)
		const isSame = fs.get(PATH).length >= size && grown === to
		const before = seq
		await append(below(30))
		const { durableSeq } = appender.stats()
		await appender.sync().catch((error) => {
			reported++
			expect(error).toMatchObject({ code: 'SYNC_FAILED' })
		})
		await appender.sync()
		synced = seq
		expect(appender.stats().failure).toBeUndefined()
		const now = await readAll(PATH, fs)
		const gaps = now.filter((each) => isGap(each)).map(({ data }) => data as GapData)
		const { damagedLost } = appender.stats()
		try {
			expect(gaps.reduce((sum, { count }) => sum + count, 0)).toBe(damagedLost)
			// Waiters were informed of every loss of records that had not been on disk.
			const isTold = gaps.every(({ toSeq }) => toSeq <= Math.max(durableSeq, before)) && damagedLost >= 0
			expect(isTold && (damagedLost === 0 || reported > 0 || gaps.at(-1)!.toSeq <= durableSeq)).toBe(true)
			if (!isSame) expect(appender.stats().segment).toBeGreaterThanOrEqual(0)
			await append(below(20))
			await appender.close()
			expect(await expectWhole(fs, seq, 0)).toBe(damagedLost)
			const next = new FileChainAppender(PATH, { ...options, fs })
			expect([next.nextSeq, next.stats().recovery]).toEqual([seq + 1, undefined])
			await next.close()
		} catch (error) {
			const what = `cut to ${to} of ${size}, grown to ${grown}, ${JSON.stringify(options)}, synced ${synced}`
			throw new Error(`round ${round}: ${what}, MESH_CHAIN_SEED=${SEED}`, { cause: error })
		}
		lost += damagedLost
	}
	tellCounts(6, 'a live file cut in place', { cuts: rounds, 'counted as lost': lost, 'lost in silence': 0 })
}, 600_000)

test('records cut off before any sync are reported once, by the next sync', async () => {
	let told = 0
	for (const records of [1, 100, 1_000, 5_000]) {
		for (const share of [0, 0.3, 0.9]) {
			const fs = new MemoryFileSystem()
			const appender = new FileChainAppender(PATH, { fs })
			for (let seq = 1; seq <= records; seq++) {
				appender.append(record(seq, { message: messageOf(seq) }))
				if (seq % 50 === 0) appender.flush()
			}
			appender.flush()
			cut(fs, Math.floor(share * fs.get(PATH).length), 0, false)
			const outcome = await appender.sync().then(
				() => undefined,
				(error) => error,
			)
			const { damagedLost } = appender.stats()
			if (damagedLost > 0) told++
			if (damagedLost === 0) expect(outcome).toBeUndefined()
			else
				expect(outcome).toMatchObject({
					code: 'SYNC_FAILED',
					message: expect.stringContaining(`${damagedLost.toLocaleString('en-US')} record`),
				})
			await appender.sync()
			await appender.close()
			expect(await expectWhole(fs, records, 0)).toBe(damagedLost)
		}
	}
	expect(told).toBeGreaterThan(0)
})

test('a chain cut without a writer does not stop the service from starting; it is counted', async () => {
	for (const to of [0, 1, 50, HEADER_BYTES, 200, 364, 365, 500, 900]) {
		for (const then of ['nothing', 'zeros', 'text'] as const) {
			const fs = new MemoryFileSystem()
			const appender = new FileChainAppender(PATH, { fs })
			for (let seq = 1; seq <= 30; seq++) appender.append(record(seq, { message: messageOf(seq) }))
			await appender.close()
			const size = fs.get(PATH).length
			cut(fs, to, then === 'nothing' ? to : size, then === 'text')
			expect(() => new FileChainAppender(PATH, { fs, onDamage: 'refuse' })).toThrow(MeshChainError)
			const next = new FileChainAppender(PATH, { fs })
			expect([to, then, next.nextSeq]).toEqual([to, then, 31])
			expect(next.epoch).toBe(2)
			const { recovery } = next.stats()
			expect(recovery?.lostRecords).toBeGreaterThan(0)
			next.append(record(31, { epoch: 2, message: messageOf(31) }))
			await next.close()
			const found = await readAll(PATH, fs)
			const { absent } = checkRecords(found, { acknowledged: 0, published: 31, fs, messageOf })
			expect([absent, found.at(-1)!.seq]).toEqual([recovery?.lostRecords, 31])
		}
	}
})

test('after removal of any files, a running service continues in a new file with a counted gap', async () => {
	for (const options of OPTIONS) {
		for (const kept of [[], ['.lock'], ['.durable'], ['-1.chain'], ['node.chain']]) {
			const fs = new MemoryFileSystem()
			const appender = new FileChainAppender(PATH, { ...options, fs })
			let seq = 0
			const append = async (records: number) => {
				for (let index = 0; index < records; index++) {
					appender.append(record(++seq, { message: messageOf(seq) }))
					await nextTurn()
					if (seq % 10 === 0) await appender.sync()
				}
			}
			await append(100)
			for (const name of fs.readdirSync(FOLDER))
				if (!kept.some((end) => name.endsWith(end))) fs.unlinkSync(`${FOLDER}/${name}`)
			await append(30)
			await appender.sync()
			expect([options, kept, appender.stats().failure]).toEqual([options, kept, undefined])
			await appender.close()
			const found = await readAll(PATH, fs)
			checkRecords(found, { acknowledged: 0, published: seq, fs, messageOf })
			expect(found.at(-1)!.seq).toBe(seq)
			const next = new FileChainAppender(PATH, { ...options, fs })
			expect(next.nextSeq).toBe(seq + 1)
			await next.close()
		}
	}
})
