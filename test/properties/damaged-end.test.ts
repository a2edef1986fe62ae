/**
 * An unreadable end of a file: a flipped bit, a bad sector, or garbage over the last entries of a killed
 * writer. The records committed there are lost, and every reader reports it, before and after repair and
 * reopening, in any order.
 */
import { hostname } from 'node:os'
import { beforeAll, expect, test } from 'vitest'
import { ANCHOR_BYTES } from '../../src/chain/format/anchor.ts'
import { HEADER_BYTES } from '../../src/chain/format/header.ts'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { identify } from '../../src/chain/scan/identity.ts'
import { Scanner } from '../../src/chain/scan/scan.ts'
import { repairChain } from '../../src/chain/verify/repair.ts'
import { verifyChain } from '../../src/chain/verify/verify.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import type { ChainRecovery } from '../../src/chain/write/opened-chain.ts'
import { type GapData, gapRecord, isGap, type LogRecord } from '../../src/model/record.ts'
import { randomFrom, SEED, sizeOf, tellCounts } from '../support/counts.ts'
import { MemoryFileSystem } from '../support/memory-file-system.ts'
import { readAll } from '../support/oracle.ts'
import { record } from '../support/records.ts'
import { silenceWarnings } from '../support/warnings.ts'

const PATH = '/chains/node.chain'
const messageOf = (seq: number, epoch: number) => `record ${seq} of ${epoch} ${'x'.repeat((seq * 37) % 90)}`

beforeAll(silenceWarnings)

interface Entry {
	readonly offset: number
	readonly end: number
	/** Seqs that the entry covers; none for an anchor. */
	readonly seqs: readonly number[]
	/** Whether some of the seqs are only known from a gap. */
	readonly hasGap: boolean
}

/**
 * Writes several epochs of records, flushed a few at a time, some of them absent. The last writer was killed.
 */
async function killedChain(random: () => number, keepsMark: boolean): Promise<MemoryFileSystem> {
	const fs = new MemoryFileSystem()
	const below = (bound: number) => Math.floor(random() * bound)
	const epochs = 1 + below(3)
	let appender = new FileChainAppender(PATH, { fs })
	for (let epoch = 1; epoch <= epochs; epoch++) {
		if (epoch > 1) {
			await appender.close()
			appender = new FileChainAppender(PATH, { fs })
		}
		for (let flushes = 1 + below(6); flushes > 0; flushes--) {
			let seq = appender.nextSeq
			if (below(5) === 0) {
				const gap = { fromSeq: seq, toSeq: seq + 1, count: 2, cause: 'evicted' } as const
				appender.append(gapRecord(gap, { epoch, tsMs: 1 }))
				seq += 2
			}
			for (let records = 1 + below(4); records > 0; records--, seq++) {
				appender.append(record(seq, { epoch, message: messageOf(seq, epoch), data: { seq } }))
			}
			appender.flush()
		}
	}
	const killed = fs.crashPoint('kill').afterKill()
	// The original pid in the lock file is the pid of this running process.
	const holder = { kernel: true, pid: 2 ** 22, host: hostname(), sinceMs: 0, threadId: 0 }
	killed.put(`${PATH}.lock`, Buffer.from(JSON.stringify(holder)))
	if (!keepsMark) killed.unlinkSync(`${PATH}.durable`)
	return killed
}

function entriesOf(bytes: Buffer): Entry[] {
	const entries: Entry[] = []
	const scanner = new Scanner(identify(bytes, PATH).idChecksum, HEADER_BYTES)
	scanner.push(bytes.subarray(HEADER_BYTES))
	scanner.end()
	let next = 1
	for (let step = scanner.next(); step.type !== 'end'; step = scanner.next()) {
		if (step.type === 'frame') {
			const { offset, length, baseSeq, rows } = step.frame
			const seqs = Array.from({ length: baseSeq + rows - next }, (_unused, index) => next + index)
			next = baseSeq + rows
			entries.push({ offset, end: offset + length, seqs, hasGap: seqs.length > rows })
		} else if (step.type === 'anchor') {
			const { offset } = step.anchor
			entries.push({ offset, end: offset + ANCHOR_BYTES, seqs: [], hasGap: false })
		}
	}
	return entries
}

interface Seen {
	readonly records: readonly LogRecord[]
	/** Every seq covered by a gap. */
	readonly absent: ReadonlySet<number>
	readonly lastGap: GapData | undefined
}

/** Reads in every way and checks that all results agree. */
async function look(fs: MemoryFileSystem): Promise<Seen> {
	const all = await readAll(PATH, fs)
	const gaps = all.filter((each) => isGap(each)).map(({ data }) => data as GapData)
	let next = 1
	for (const each of all) {
		const { fromSeq, toSeq } = isGap(each) ? (each.data as GapData) : { fromSeq: each.seq, toSeq: each.seq }
		expect(fromSeq, 'contiguous, or a gap that says so').toBe(next)
		next = toSeq + 1
	}
	const sum = gaps.reduce((total, { count }) => total + count, 0)
	const chain = await openChain(PATH, { fs })
	const info = await chain.info()
	expect([info.gaps.records, info.gaps.count]).toEqual([sum, gaps.length])
	const stop = new AbortController()
	const followed: LogRecord[] = []
	const limit = setTimeout(() => stop.abort(), 5000)
	for await (const each of chain.tail({ signal: stop.signal, pollIntervalMs: 1 })) {
		followed.push(each)
		if (followed.length === all.length) stop.abort()
	}
	clearTimeout(limit)
	expect(followed.map(({ seq, kind }) => [seq, kind])).toEqual(all.map(({ seq, kind }) => [seq, kind]))
	const backward: number[] = []
	for await (const { seq } of chain.records({ reverse: true })) backward.push(seq)
	expect(backward).toEqual(all.map(({ seq }) => seq).reverse())
	await chain.close()
	const absent = new Set<number>()
	for (const { fromSeq, toSeq } of gaps) for (let seq = fromSeq; seq <= toSeq; seq++) absent.add(seq)
	return { records: all.filter((each) => !isGap(each)), absent, lastGap: gaps.at(-1) }
}

/** Runs one more writer, which appends one record and closes. */
async function reopen(fs: MemoryFileSystem): Promise<ChainRecovery | undefined> {
	const appender = new FileChainAppender(PATH, { fs })
	const { nextSeq: seq, epoch } = appender
	appender.append(record(seq, { epoch, message: messageOf(seq, epoch) }))
	await appender.close()
	return appender.stats().recovery
}

const ORDERS = [
	['reopen'],
	['repair'],
	['reopen', 'repair'],
	['repair', 'reopen'],
	['reopen', 'reopen', 'repair'],
]

/** Damages a copy of a killed chain and checks it in every order of repair and reopening. */
async function survive(
	killed: MemoryFileSystem,
	damaged: Buffer,
	lost: readonly number[],
	isExact: boolean,
): Promise<void> {
	const committed = (await readAll(PATH, killed)).filter((each) => !isGap(each))
	const first = lost[0]!
	for (const order of ORDERS) {
		const fs = killed.crashPoint('copy').afterKill()
		fs.put(PATH, damaged)
		const before = await look(fs)
		expect(before.absent.has(first), `seq ${first} is said to be lost`).toBe(true)
		if (isExact) for (const seq of lost) expect([seq, before.absent.has(seq)]).toEqual([seq, true])
		expect((await verifyChain(PATH, { fs })).ok).toBe(false)
		let reopened = 0
		for (const step of order) {
			if (step === 'repair') {
				const report = await repairChain(PATH, { fs })
				expect([report.ok, report.actions.length]).toEqual([true, 1])
				expect(report.actions[0]!.lostRecords).toBeGreaterThan(0)
			} else {
				const recovery = await reopen(fs)
				if (reopened++ === 0 && !order.slice(0, order.indexOf(step)).includes('repair'))
					expect(recovery?.lostRecords).toBeGreaterThan(0)
			}
			const after = await look(fs)
			// The watermark may cover more than the rest of the file.
			if (!fs.paths.includes(`${PATH}.durable`) || isExact) expect(after.absent).toEqual(before.absent)
			for (const seq of before.absent) expect([seq, after.absent.has(seq)]).toEqual([seq, true])
			// No identity is assigned twice: committed records are unchanged, and later records are new.
			const identities = new Set(committed.map(({ epoch, seq }) => `${epoch} ${seq}`))
			for (const { epoch, seq, message } of after.records) {
				expect(message).toBe(messageOf(seq, epoch))
				identities.add(`${epoch} ${seq}`)
			}
			expect(identities.size).toBe(committed.length + reopened)
			const { ok } = await verifyChain(PATH, { fs })
			expect([order, step, ok]).toEqual([
				order,
				step,
				order.slice(0, order.indexOf(step) + 1).includes('repair'),
			])
		}
	}
}

test('a flipped bit in the last frame loses exactly its records, and no seq is reused', async () => {
	const random = randomFrom(SEED)
	let flips = 0
	for (let round = 0; round < sizeOf('END_DAMAGES') / 40; round++) {
		const killed = await killedChain(random, random() < 0.5)
		const bytes = killed.get(PATH)
		const last = entriesOf(bytes).at(-1)!
		for (let flip = 0; flip < 8; flip++) {
			const damaged = Buffer.from(bytes)
			const at = flip === 0 ? last.offset : last.offset + Math.floor(random() * (last.end - last.offset))
			damaged[at]! ^= 1 << Math.floor(random() * 8)
			flips++
			try {
				await survive(killed, damaged, last.seqs, !last.hasGap)
			} catch (error) {
				throw new Error(`byte ${at - last.offset} of the last frame, MESH_CHAIN_SEED=${SEED}`, {
					cause: error,
				})
			}
		}
	}
	tellCounts(3, 'a bit flipped in the last frame', { flips, 'seqs given again': 0 })
}, 600_000)

test('after a flipped bit anywhere in a large last frame, no seq of it is reused', async () => {
	const written = new MemoryFileSystem()
	const appender = new FileChainAppender(PATH, { fs: written })
	const bin = new Uint8Array([0x97, 0xce, 0, 0, 0, 40, 0x91, 0x92])
	const recordAt = (seq: number) => record(seq, { message: messageOf(seq, 1), data: { seq, bin } })
	for (let seq = 1; seq <= 9; seq++) appender.append(recordAt(seq))
	appender.flush()
	const from = 10
	for (const rows of [1, 2, 3, 15, 16, 300]) {
		const killed = written.crashPoint('kill').afterKill()
		const holder = { kernel: true, pid: 2 ** 22, host: hostname(), sinceMs: 0, threadId: 0 }
		killed.put(`${PATH}.lock`, Buffer.from(JSON.stringify(holder)))
		const last = new FileChainAppender(PATH, { fs: killed })
		last.appendBatch(Array.from({ length: rows }, (_row, index) => ({ ...recordAt(from + index), epoch: 2 })))
		last.flush()
		const bytes = killed.get(PATH)
		const { offset, end, seqs } = entriesOf(bytes).at(-1)!
		expect(seqs.length).toBe(rows)
		const random = randomFrom(SEED + rows)
		const step = () => 1 + Math.floor((random() * (end - offset)) / 25)
		for (let at = offset; at < end; at += at < offset + 48 ? 1 : step()) {
			for (let bit = 0; bit < 8; bit++) {
				const fs = killed.crashPoint('copy').afterKill()
				fs.put(`${PATH}.lock`, Buffer.from(JSON.stringify(holder)))
				const damaged = Buffer.from(bytes)
				damaged[at]! ^= 1 << bit
				fs.put(PATH, damaged)
				const next = new FileChainAppender(PATH, { fs })
				expect([rows, at - offset, bit, next.nextSeq >= from + rows]).toEqual([rows, at - offset, bit, true])
				await next.close()
			}
		}
	}
}, 120_000)

test('overwritten last entries lose at least one record, and no identity is reused', async () => {
	const random = randomFrom(SEED + 1)
	let damages = 0
	for (let round = 0; round < sizeOf('END_DAMAGES') / 5; round++) {
		const killed = await killedChain(random, random() < 0.5)
		const bytes = killed.get(PATH)
		const frames = entriesOf(bytes).filter(({ seqs }) => seqs.length > 0)
		const first = frames.at(-1 - Math.floor(random() * Math.min(3, frames.length)))!
		const from = first.offset + Math.floor(random() * (first.end - first.offset))
		const size = [1, 16, 512, 4096, bytes.length][Math.floor(random() * 5)]!
		const to = Math.min(bytes.length, Math.max(from + size, frames.at(-1)!.offset + 1))
		const damaged = Buffer.from(bytes)
		const fill = Math.floor(random() * 3)
		for (let at = from; at < to; at++)
			damaged[at] = fill === 0 ? 0 : fill === 1 ? Math.floor(random() * 256) : bytes[at - HEADER_BYTES]!
		if (damaged.subarray(from, to).equals(bytes.subarray(from, to))) continue
		damages++
		try {
			await survive(killed, damaged, first.seqs, false)
		} catch (error) {
			throw new Error(`bytes ${from} to ${to} of ${bytes.length}, MESH_CHAIN_SEED=${SEED}`, { cause: error })
		}
	}
	tellCounts(4, 'the last entries overwritten', { damages, 'identities given again': 0 })
}, 600_000)

test('neither a damaged anchor at the end nor a torn entry loses a record', async () => {
	for (let at = 0; at < ANCHOR_BYTES; at += 5) {
		const fs = new MemoryFileSystem()
		const appender = new FileChainAppender(PATH, { fs })
		for (let seq = 1; seq <= 3; seq++) appender.append(record(seq, { message: messageOf(seq, 1) }))
		await appender.close()
		const bytes = fs.get(PATH)
		bytes[bytes.length - ANCHOR_BYTES + at]! ^= 0x11
		fs.put(PATH, bytes)
		await reopen(fs)
		const { records, absent } = await look(fs)
		expect([at, records.map(({ seq }) => seq), absent.size]).toEqual([at, [1, 2, 3, 4], 0])
	}
	const killed = await killedChain(randomFrom(SEED), false)
	const bytes = killed.get(PATH)
	const last = entriesOf(bytes).at(-1)!
	for (let end = last.offset + 1; end < last.end; end += 3) {
		const fs = killed.crashPoint('copy').afterKill()
		fs.put(PATH, bytes.subarray(0, end))
		const recovery = await reopen(fs)
		expect(recovery).toMatchObject({ verdict: 'torn', lostRecords: 0 })
	}
})

test('an epoch is not assigned again if nothing shows its opening', async () => {
	for (const epochs of [1, 2, 4]) {
		const fs = new MemoryFileSystem()
		let begun = 0
		for (let epoch = 0; epoch <= epochs; epoch++) {
			if (epoch === 1) begun = fs.get(PATH).length
			const appender = new FileChainAppender(PATH, { fs })
			for (let count = 0; count < 3; count++) appender.append(record(appender.nextSeq))
			await appender.close()
		}
		const bytes = fs.get(PATH)
		const damaged = new MemoryFileSystem()
		// Without the watermark, which also contains the epoch.
		damaged.put(PATH, bytes.fill(0xff, begun))
		const appender = new FileChainAppender(PATH, { fs: damaged })
		expect(appender.epoch).toBeGreaterThan(epochs + 1)
		await appender.close()
	}
})
