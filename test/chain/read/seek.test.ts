/**
 * The cost of seeking and of `info()`, and the correctness of jumps. For the correctness of answers see
 * query-oracle.test.ts.
 */
import { mkdtempSync, openSync, realpathSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import type { ChainInfoOptions } from '../../../src/chain/chain.ts'
import {
	type Anchor,
	decodeAnchor,
	EMPTY_EXTENT,
	type Extent,
	encodeAnchor,
	PRESENCE_GAP,
} from '../../../src/chain/format/anchor.ts'
import { Jumps } from '../../../src/chain/format/jumps.ts'
import { openChain } from '../../../src/chain/read/open-chain.ts'
import { identify } from '../../../src/chain/scan/identity.ts'
import { verifyChain } from '../../../src/chain/verify/verify.ts'
import { FileChainAppender } from '../../../src/chain/write/file-chain-appender.ts'
import { nodeFileSystem } from '../../../src/platform/file-system.ts'
import { countingFileSystem } from '../../support/counting-file-system.ts'
import { collect, record } from '../../support/records.ts'

const RECORDS = 400_000
const START_MS = 1_700_000_000_000
/** Seqs of records of mesh-chain's own. */
const OWN = [1_234, 250_000, 399_990]

/** `times` returns the time of record number `seq`. */
async function writeChain(path: string, times: (seq: number) => number, records = RECORDS): Promise<void> {
	const appender = new FileChainAppender(path)
	for (let seq = appender.nextSeq; seq <= records; seq++) {
		const level = seq % 50_000 === 0 ? 'error' : 'info'
		const kind = OWN.includes(seq) ? '$checkpoint' : 'log'
		appender.append(
			record(seq, { tsMs: times(seq), level, kind, message: `request ${seq} answered in ${seq % 997} ms` }),
		)
		if (seq % 1_000 === 0) await new Promise(setImmediate)
	}
	await appender.close()
}

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'mesh-chain-seek-')))
const monotone = join(folder, 'monotone.chain')
const stepping = join(folder, 'stepping.chain')

beforeAll(async () => {
	await writeChain(monotone, (seq) => START_MS + seq)
	// The clock is wrong for an hour early on, and steps back a minute now and then.
	await writeChain(stepping, (seq) =>
		seq > 20_000 && seq < 20_100 ? START_MS + 1e12 : START_MS + seq - (seq % 7_000 < 20 ? 60_000 : 0),
	)
	return () => rmSync(folder, { recursive: true, force: true })
})

/** Returns at least one seq in each span. */
function everywhere(): number[] {
	return Array.from({ length: 640 }, (_unused, index) => 1 + index * 619)
}

async function cost(path: string, query: Parameters<Awaited<ReturnType<typeof openChain>>['records']>[0]) {
	const { system, counts } = countingFileSystem()
	const chain = await openChain(path, { fs: system })
	const found = await collect(chain.records(query))
	await chain.close()
	return { ...counts, found: found.map(({ seq }) => seq), size: statSync(path).size }
}

describe('in a chain of some 20 MiB', () => {
	test("a query for mesh-chain's own records takes a few reads, wherever they are", async () => {
		for (const path of [monotone, stepping]) {
			const all = await cost(path, { kind: '$*' })
			expect(all.found).toEqual(OWN)
			expect(all.reads).toBeLessThan(64)
			expect(all.bytes).toBeLessThan(all.size / 10)
			const newest = await cost(path, { kind: '$checkpoint', toSeq: 300_000, reverse: true, limit: 1 })
			expect(newest.found).toEqual([250_000])
			expect(newest.bytes).toBeLessThan(512 * 1024)
			expect((await cost(path, { kind: '$session' })).found).toEqual([])
		}
	})

	test('a query for one record by seq takes a few reads, wherever it is', async () => {
		for (const seq of [...everywhere(), RECORDS - 1, RECORDS]) {
			const { reads, bytes, found } = await cost(monotone, { fromSeq: seq, limit: 1 })
			expect(found).toEqual([seq])
			expect(reads).toBeLessThanOrEqual(64)
			expect(bytes).toBeLessThanOrEqual(2 * 1024 * 1024)
		}
	})

	test('a query for a window by time takes a few reads, wherever it is', async () => {
		for (const seq of [...everywhere(), RECORDS - 5]) {
			const { reads, bytes, found } = await cost(monotone, {
				since: START_MS + seq,
				until: new Date(START_MS + seq + 3),
			})
			expect(found).toEqual([seq, seq + 1, seq + 2, seq + 3])
			expect(reads).toBeLessThanOrEqual(64)
			expect(bytes).toBeLessThanOrEqual(2 * 1024 * 1024)
		}
	})

	test('after clock steps, a window reads part of the file and includes what stepped into it', async () => {
		const { bytes, found, size } = await cost(stepping, {
			since: START_MS + 300_000,
			until: START_MS + 300_010,
		})
		expect(found).toEqual([...Array(11).keys()].map((index) => 300_000 + index))
		expect(bytes).toBeLessThan(size / 4)
		const outliers = await cost(stepping, { since: START_MS + 1e11 })
		expect(outliers.found).toHaveLength(99)
		expect(outliers.bytes).toBeLessThan(size / 4)
	})

	test('a query for rare levels skips spans without them', async () => {
		const { bytes, found, size } = await cost(monotone, { level: 'error' })
		expect(found).toEqual([50_000, 100_000, 150_000, 200_000, 250_000, 300_000, 350_000, 400_000])
		expect(bytes).toBeLessThan(size / 3)
	})

	test('a reverse query for the newest records reads only the end of the file', async () => {
		const { bytes, found } = await cost(monotone, { reverse: true, limit: 3 })
		expect(found).toEqual([RECORDS, RECORDS - 1, RECORDS - 2])
		expect(bytes).toBeLessThanOrEqual(1024 * 1024)
	})

	test('an unreadable anchor on the way causes a detour but loses no record', async () => {
		const copy = join(folder, 'hurt.chain')
		nodeFileSystem.linkSync(monotone, copy)
		const bytes = nodeFileSystem.readFileSync(monotone)
		nodeFileSystem.unlinkSync(copy)
		const anchors: number[] = []
		for (let at = bytes.indexOf('anchor'); at >= 0; at = bytes.indexOf('anchor', at + 1)) anchors.push(at - 2)
		const fd = openSync(copy, 'w')
		for (const at of anchors.slice(anchors.length / 2, anchors.length - 3)) bytes[at + 60]! ^= 1
		writeSync(fd, bytes)
		for (const seq of [1, 150_000, 250_000, 399_000]) {
			expect((await cost(copy, { fromSeq: seq, limit: 1 })).found).toEqual([seq])
		}
	})
})

describe('the info of a chain of some 20 MiB', () => {
	const copy = join(folder, 'copy.chain')

	async function infoOf(path: string, options?: ChainInfoOptions) {
		const { system, counts } = countingFileSystem()
		await using chain = await openChain(path, { fs: system })
		return { info: await chain.info(options), ...counts }
	}

	/** Returns the info of a copy of the chain whose last anchor has other fields. */
	async function infoWith(change: (anchor: Anchor) => Partial<Anchor>, hurt?: string) {
		const bytes = nodeFileSystem.readFileSync(monotone)
		if (hurt !== undefined) bytes[bytes.indexOf(hurt)]! ^= 1
		const identity = identify(bytes, monotone)
		const at = bytes.lastIndexOf('anchor') - 2
		const anchor = decodeAnchor(bytes, at, at, identity.idChecksum)!
		const span = { previousLink: Buffer.alloc(32), bytes: Buffer.alloc(0) }
		encodeAnchor(identity, { ...anchor, ...change(anchor) }, span).copy(bytes, at)
		writeFileSync(copy, bytes)
		return (await infoOf(copy)).info
	}

	test('takes a few reads, and says what was not read', async () => {
		for (const path of [monotone, stepping]) {
			const { info, reads, bytes } = await infoOf(path)
			const { notChecked, ...rest } = info
			expect(notChecked).toBe('frames between anchors')
			expect(rest).toEqual((await infoOf(path, { full: true })).info)
			expect(reads).toBeLessThan(64)
			expect(bytes).toBeLessThan(info.bytes / 20)
		}
	})

	test('does not include damage between anchors; the full info does', async () => {
		const bytes = nodeFileSystem.readFileSync(monotone)
		bytes[bytes.indexOf('request 200000 ')]! ^= 1
		writeFileSync(copy, bytes)
		expect((await infoOf(copy)).info).toMatchObject({ answer: 'ok', notChecked: 'frames between anchors' })
		const { info } = await infoOf(copy, { full: true })
		expect(info).toMatchObject({ answer: 'not ok', damagedPlaces: 1 })
		expect(info.notChecked).toBeUndefined()
	})

	test('does not trust anchors whose counts contradict each other', async () => {
		const { info } = await infoOf(monotone)
		const { records, levels } = info
		const more = await infoWith(({ levelCounts: [trace, ...others] }) => ({
			levelCounts: [trace! + 5, ...others],
		}))
		expect(more).toMatchObject({ records, levels })
		const swapped = await infoWith(({ levelCounts: [trace, debug, info, ...others] }) => ({
			levelCounts: [info!, debug!, trace!, ...others],
		}))
		expect(swapped).toMatchObject({ records, levels })
	})

	test('reads a region in which the writer found something unreadable', async () => {
		const presence = (extent: Extent) => ({ ...extent, presence: extent.presence | PRESENCE_GAP })
		const hurt = `request ${RECORDS - 10} `
		expect(await infoWith(() => ({}), hurt)).toMatchObject({ answer: 'ok' })
		const info = await infoWith(({ span, jump }) => ({ span: presence(span), jump: presence(jump) }), hurt)
		expect(info).toMatchObject({ answer: 'not ok', damagedPlaces: 1, notChecked: 'frames between anchors' })
	})

	test('includes the only anchor of a file', async () => {
		const path = join(folder, 'one-anchor.chain')
		const appender = new FileChainAppender(path)
		const data = 'x'.repeat(300_000)
		appender.appendBatch(Array.from({ length: 5 }, (_unused, index) => record(index + 1, { data })))
		appender.flush()
		// The kill came before the anchor that follows the frame.
		const bytes = nodeFileSystem.readFileSync(path)
		writeFileSync(copy, bytes.subarray(0, bytes.lastIndexOf('anchor') - 2))
		await appender.close()
		const { info } = await infoOf(copy)
		expect(info).toMatchObject({ records: 5, state: 'crashed', epochs: [{ epoch: 1, lastSeq: 5 }] })
		expect(info).toEqual((await infoOf(copy, { full: true })).info)
	})

	test('knows every opening', async () => {
		const path = join(folder, 'openings.chain')
		for (const records of [20_000, 20_000, 20_001, 60_000, 61_000, 100_000])
			await writeChain(path, (seq) => START_MS + seq, records)
		const { notChecked, ...info } = (await infoOf(path)).info
		expect(notChecked).toBe('frames between anchors')
		expect(info.epochs).toHaveLength(6)
		expect(info).toEqual((await infoOf(path, { full: true })).info)
	})

	test('includes every frame of a small chain', async () => {
		const small = join(folder, 'small.chain')
		await writeChain(small, (seq) => START_MS + seq, 20_000)
		const { info } = await infoOf(small)
		expect(info.bytes).toBeGreaterThan(512 * 1024)
		expect(info.notChecked).toBeUndefined()
		await expect(infoOf(small, { all: true } as ChainInfoOptions)).rejects.toMatchObject({
			code: 'INVALID_OPTION',
		})
	})
})

test('verify compares every jump with the span that it covers', async () => {
	expect((await verifyChain(monotone)).findings).toEqual([])
	expect((await verifyChain(stepping)).ok).toBe(true)
})

test('jumps continue across restarts as if there were none', async () => {
	const path = join(folder, 'restarts.chain')
	for (let epoch = 1; epoch <= 40; epoch++) await writeChain(path, (seq) => START_MS + seq, epoch * 10)
	const report = await verifyChain(path)
	expect(report.findings).toEqual([])
	expect(report.anchors).toBe(80)
})

test('every earlier anchor is reached from any anchor in a logarithmic number of steps', () => {
	const jumps = new Jumps([])
	const anchors: { ordinal: number; jump: number }[] = []
	for (let index = 0; index < 20_000; index++) {
		// The offset of anchor number n is n + 1, because 0 means none.
		const { ordinal, jumpOffset } = jumps.next(index + 1, EMPTY_EXTENT)
		anchors.push({ ordinal, jump: jumpOffset - 1 })
	}
	let most = 0
	for (let target = 0; target < 20_000; target += 7) {
		let steps = 0
		for (let at = 19_999; at !== target; steps++) {
			const { jump } = anchors[at]!
			at = jump >= target ? jump : at - 1
		}
		most = Math.max(most, steps)
	}
	expect(most).toBeLessThanOrEqual(3 * Math.ceil(Math.log2(20_000)))
})
