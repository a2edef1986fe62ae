/**
 * Seqs, epochs, times and offsets have a maximum with room above it. Nothing above the maximum is read,
 * accepted or written.
 */
import { createHash } from 'node:crypto'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { BufferingAppender } from '../../../src/appenders/buffering.ts'
import { type Anchor, decodeAnchor, EMPTY_EXTENT, encodeAnchor } from '../../../src/chain/format/anchor.ts'
import { identityChecksum } from '../../../src/chain/format/checksum.ts'
import { encodeHeader, type Header, readHeader } from '../../../src/chain/format/header.ts'
import { decodeWatermark, encodeWatermark, type Watermark } from '../../../src/chain/format/watermark.ts'
import { openChain } from '../../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../../src/chain/write/file-chain-appender.ts'
import { recordFromJson, recordToJson } from '../../../src/codec/json-dialect.ts'
import { consume } from '../../../src/consume/consume.ts'
import { importJsonl } from '../../../src/jsonl/import.ts'
import { MeshLoop } from '../../../src/loop/mesh-loop.ts'
import { EPOCH_MAX, SEQ_MAX } from '../../../src/model/limits.ts'
import { TIME_MAX_MS } from '../../../src/platform/time-limits.ts'
import { newChainPath } from '../../support/chains.ts'
import { collect, record } from '../../support/records.ts'

/** Numbers that are invalid as a count, a seq or an offset. */
const NO_COUNTS = [SEQ_MAX + 2, 2 ** 53, 1e300, -2, 0.5, Number.NaN, Number.POSITIVE_INFINITY]
const NO_TIMES = [TIME_MAX_MS + 1, -1, Number.NaN, Number.POSITIVE_INFINITY]

async function importedAt(fields: { seq?: number; epoch?: number; tsMs?: number }) {
	const path = newChainPath()
	writeFileSync(`${path}.jsonl`, `${recordToJson({ ...record(1), ...fields })}\n`)
	return { path, summary: await importJsonl(`${path}.jsonl`, path) }
}

test('a line of JSON with a seq, an epoch or a time above the maximum is not a record', async () => {
	for (const fields of [
		...[SEQ_MAX + 1, 2 ** 53 - 2, 2 ** 53, 1e300, 0, 1.5].map((seq) => ({ seq })),
		...[EPOCH_MAX + 1, 2 ** 32 - 1, 2 ** 32, 0, 1.5].map((epoch) => ({ epoch })),
		...[TIME_MAX_MS + 1, -1, 0.5].map((tsMs) => ({ tsMs })),
	]) {
		await expect(importedAt(fields)).rejects.toMatchObject({ code: 'IMPORT_FAILED' })
		expect(() => recordFromJson(recordToJson({ ...record(1), ...fields }))).toThrow(
			expect.objectContaining({ code: 'INVALID_JSON' }),
		)
	}
	const { path, summary } = await importedAt({ seq: SEQ_MAX, epoch: EPOCH_MAX, tsMs: TIME_MAX_MS })
	expect(summary.records).toBe(1)
	const chain = await openChain(path)
	expect((await collect(chain.records())).at(-1)).toMatchObject({
		seq: SEQ_MAX,
		epoch: EPOCH_MAX,
		tsMs: TIME_MAX_MS,
	})
	await chain.close()
})

test('a writer at the highest seq refuses and counts records; publish works and the file stays', async () => {
	const { path } = await importedAt({ seq: SEQ_MAX - 1 })
	const loop = new MeshLoop(new FileChainAppender(path))
	const seqs = Array.from({ length: 1000 }, () => loop.info('x')!.seq)
	expect(new Set(seqs).size).toBe(1000)
	expect(seqs[0]).toBe(SEQ_MAX)
	// The error reports the loss, as for any other record that an appender refuses for good.
	expect(() => loop.flush()).toThrow(
		expect.objectContaining({
			seq: SEQ_MAX + 1,
			cause: expect.objectContaining({ code: 'CHAIN_EXHAUSTED' }),
		}),
	)
	expect(loop.stats().appender.lost).toMatchObject({ appendFailed: 999 })
	await loop.close().catch(() => {})
	expect(statSync(path).size).toBeLessThan(2_000)
	const chain = await openChain(path)
	expect((await collect(chain.records())).at(-1)).toMatchObject({ seq: SEQ_MAX, message: 'x' })
	await chain.close()
	const appender = new FileChainAppender(path)
	expect(() => appender.append(record(SEQ_MAX + 1))).toThrow(
		expect.objectContaining({ code: 'CHAIN_EXHAUSTED', retryable: false }),
	)
	await appender.close()
})

test('a chain with the highest epoch is not opened for writing again and stays unchanged', async () => {
	const { path } = await importedAt({ epoch: EPOCH_MAX })
	const before = readFileSync(path)
	expect(() => new FileChainAppender(path)).toThrow(
		expect.objectContaining({ code: 'CHAIN_EXHAUSTED', path }),
	)
	expect(readFileSync(path).equals(before)).toBe(true)
})

test('values from foreign code have the same bounds', async () => {
	const appender = { nextSeq: SEQ_MAX + 2, epoch: 1, append: () => {} }
	expect(() => new MeshLoop(appender)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
	expect(() => new MeshLoop({ ...appender, nextSeq: 1, epoch: EPOCH_MAX + 1 })).toThrow(
		expect.objectContaining({ code: 'INVALID_OPTION' }),
	)
	const loop = new MeshLoop(new BufferingAppender())
	for (const origin of [
		{ chainId: 'c', epoch: EPOCH_MAX + 1, seq: 1 },
		{ chainId: 'c', epoch: 1, seq: SEQ_MAX + 1 },
	]) {
		const record = loop.publish({ origin })
		expect(record).toMatchObject({ data: { origin } })
		expect(record).not.toHaveProperty('origin')
	}
	await loop.close()
	const path = newChainPath()
	const chained = new FileChainAppender(path)
	for (const tsMs of [...NO_TIMES, 0.5]) {
		expect(() => chained.append(record(1, { tsMs }))).toThrow(
			expect.objectContaining({ code: 'APPEND_FAILED' }),
		)
	}
	chained.append(record(1))
	await chained.close()
})

const ID = Buffer.alloc(16, 7)
const ANCHOR: Omit<Anchor, 'link'> = {
	offset: 1000,
	reason: 'span',
	epoch: 1,
	bootId: Buffer.alloc(16),
	writtenMs: 1_700_000_000_000,
	nextSeq: 10,
	levelCounts: [0, 0, 9, 0, 0],
	span: EMPTY_EXTENT,
	durableOffset: 500,
	keptFromSeq: 1,
	previousOffset: 102,
	ordinal: 3,
	jumpOffset: 102,
	jump: EMPTY_EXTENT,
	detail: 0,
}

test('an anchor with a valid checksum and impossible numbers is not an anchor', () => {
	const idChecksum = identityChecksum(ID, 0)
	const decoded = (fields: Partial<Anchor>, odd = (_bytes: Buffer) => {}) => {
		const span = { previousLink: Buffer.alloc(32), bytes: Buffer.alloc(0) }
		const bytes = encodeAnchor({ id: ID, segment: 0, idChecksum }, { ...ANCHOR, ...fields }, span)
		odd(bytes)
		return decodeAnchor(bytes, 0, fields.offset ?? ANCHOR.offset, idChecksum)
	}
	expect(decoded({})).toMatchObject({ nextSeq: 10, levelCounts: [0, 0, 9, 0, 0] })
	expect(decoded({ detail: -1, nextSeq: SEQ_MAX + 1, epoch: EPOCH_MAX })).toBeDefined()
	for (const count of NO_COUNTS) {
		for (const name of [
			'nextSeq',
			'durableOffset',
			'keptFromSeq',
			'previousOffset',
			'ordinal',
			'jumpOffset',
		] as const)
			expect(decoded({ [name]: count }), `${name} ${count}`).toBeUndefined()
		expect(decoded({ levelCounts: [0, 0, count, 0, 0] })).toBeUndefined()
	}
	expect(decoded({ epoch: EPOCH_MAX + 1 })).toBeUndefined()
	expect(decoded({ jumpOffset: ANCHOR.offset })).toBeUndefined()
	expect(decoded({ detail: 0.5 })).toBeUndefined()
	expect(decoded({ span: { ...EMPTY_EXTENT, minTsMs: Number.NaN } })).toBeUndefined()
	// A clock with odd readings never leads to an unreadable anchor.
	for (const time of NO_TIMES)
		expect(decoded({ writtenMs: time })?.writtenMs).toBeLessThanOrEqual(TIME_MAX_MS)
	expect(decoded({}, (bytes) => (bytes[13] = 0xc5))).toBeUndefined()
})

test('a header or a watermark slot with a valid checksum and impossible numbers is damaged', () => {
	const header: Header = {
		chainId: ID,
		segment: 0,
		createdMs: 1_700_000_000_000,
		firstSeq: 1,
		previousEnd: 0,
		previousLink: Buffer.alloc(32),
	}
	const kindOf = (fields: Partial<Header>) => readHeader(encodeHeader({ ...header, ...fields }), 'test').kind
	expect(kindOf({})).toBe('header')
	expect(kindOf({ firstSeq: SEQ_MAX + 1, segment: EPOCH_MAX })).toBe('header')
	for (const count of NO_COUNTS) {
		expect(kindOf({ firstSeq: count }), `firstSeq ${count}`).toBe('damaged')
		expect(kindOf({ previousEnd: count }), `previousEnd ${count}`).toBe('damaged')
	}
	expect(kindOf({ segment: EPOCH_MAX + 1 })).toBe('damaged')

	const mark: Watermark = {
		chainId: ID,
		segment: 0,
		epoch: 1,
		counter: 0,
		offset: 102,
		seq: 5,
		bootId: Buffer.alloc(16),
	}
	const found = (fields: Partial<Watermark>) =>
		decodeWatermark(encodeWatermark({ ...mark, ...fields }).bytes, ID)
	expect(found({})).toMatchObject({ seq: 5 })
	for (const count of NO_COUNTS) {
		for (const name of ['offset', 'seq'] as const)
			expect(found({ [name]: count }), `${name} ${count}`).toBeUndefined()
	}
	expect(found({ epoch: EPOCH_MAX + 1 })).toBeUndefined()
	expect(found({ segment: EPOCH_MAX + 1 })).toBeUndefined()
})

test('a cursor above the highest seq is damaged, even with a valid checksum', async () => {
	const { path } = await importedAt({})
	const chain = await openChain(path)
	const line = (turn: number, seq: number) => {
		const { chainId } = chain
		const sum = createHash('sha256').update(`${turn} ${chainId} 1 ${seq}`).digest('hex').slice(0, 8)
		return `${JSON.stringify({ turn, chainId, epoch: 1, seq, sum }).padEnd(255)}\n`
	}
	const cursorPath = `${path}.reader.cursor`
	writeFileSync(cursorPath, line(1, 2 ** 53 - 1))
	expect(() => consume(chain, 'reader', () => {})).toThrow(
		expect.objectContaining({ code: 'CURSOR_DAMAGED' }),
	)
	writeFileSync(cursorPath, line(1, 1))
	await consume(chain, 'reader', () => {}).close()
	await chain.close()
})
