import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import type { ChainQuery } from '../../../src/chain/chain.ts'
import { HEADER_BYTES } from '../../../src/chain/format/header.ts'
import { openChain } from '../../../src/chain/read/open-chain.ts'
import { verifyChain } from '../../../src/chain/verify/verify.ts'
import { FileChainAppender } from '../../../src/chain/write/file-chain-appender.ts'
import { matches, resolveFilter } from '../../../src/model/filter.ts'
import { GAP_KIND, gapRecord, LOG_LEVELS, type LogRecord } from '../../../src/model/record.ts'
import { collect, record } from '../../support/records.ts'
import { temporaryFolder } from '../../support/temporary.ts'

const RECORDS = 3000

async function query(path: string, wanted: ChainQuery = {}): Promise<LogRecord[]> {
	const chain = await openChain(path)
	try {
		return await collect(chain.records(wanted))
	} finally {
		await chain.close()
	}
}

/**
 * Writes a chain with several epochs, levels and kinds, times that step back, a gap, and enough spans for
 * inner anchors.
 */
async function variedChain(path: string): Promise<LogRecord[]> {
	const written: LogRecord[] = []
	for (let epoch = 1; epoch <= 3; epoch++) {
		const appender = new FileChainAppender(path)
		for (let index = 0; index < RECORDS / 3; index++) {
			const seq = appender.nextSeq
			const level = LOG_LEVELS[seq % 97 === 0 ? 4 : seq % 4] ?? 'info'
			const tsMs = 1_700_000_000_000 + (seq % 500 === 0 ? -50_000 : seq * 10)
			const kind = seq % 5 === 0 ? 'order' : 'log'
			const item = {
				...record(seq, { level, tsMs, kind, message: `message ${seq} ${'y'.repeat(seq % 120)}` }),
				epoch,
			}
			const isGap = seq === 1500
			const gap = gapRecord({ fromSeq: seq, toSeq: seq + 9, count: 10, cause: 'evicted' }, { epoch, tsMs })
			appender.append(isGap ? gap : item)
			written.push(isGap ? gap : item)
			if (seq % 137 === 0) appender.flush()
		}
		await appender.close()
	}
	return written
}

test('batches join the records of small frames, and none is empty or large because of it', async () => {
	const path = join(temporaryFolder(), 'node.chain')
	const appender = new FileChainAppender(path)
	for (let seq = 1; seq <= 1000; seq++) {
		appender.append(record(seq))
		if (seq < 600 || seq % 90 === 0) appender.flush()
	}
	await appender.close()
	const chain = await openChain(path)
	for (const wanted of [{}, { fromSeq: 10 }, { fromSeq: 300, toSeq: 700 }]) {
		const { fromSeq = 1, toSeq = 1000 } = wanted as ChainQuery
		const batches = await collect(chain.batches(wanted))
		expect(batches.flat().map(({ seq }) => seq)).toEqual(
			Array.from({ length: Number(toSeq) - Number(fromSeq) + 1 }, (_, index) => Number(fromSeq) + index),
		)
		const lengths = batches.map(({ length }) => length)
		expect(Math.min(...lengths)).toBeGreaterThan(0)
		expect(Math.max(...lengths)).toBeLessThanOrEqual(256)
		expect(batches.length).toBeLessThan(20)
	}
	await chain.close()
})

test('the parts of a large frame are decoded one at a time, not joined', async () => {
	const path = join(temporaryFolder(), 'node.chain')
	const appender = new FileChainAppender(path)
	const message = 'x'.repeat(200_000)
	appender.append(record(1))
	appender.flush()
	appender.appendBatch(Array.from({ length: 12 }, (_, index) => record(index + 2, { message })))
	await appender.close()
	const chain = await openChain(path)
	const batches = await collect(chain.batches())
	expect(batches.map((batch) => batch.map(({ seq }) => seq))).toEqual([
		[1],
		...[2, 4, 6, 8, 10, 12].map((seq) => [seq, seq + 1]),
	])
	await chain.close()
})

describe('reading a chain', () => {
	let path: string
	let written: LogRecord[]
	beforeAll(async () => {
		const { mkdtempSync, rmSync } = await import('node:fs')
		const folder = mkdtempSync(join((await import('node:os')).tmpdir(), 'mesh-chain-reader-'))
		path = join(folder, 'node.chain')
		written = await variedChain(path)
		return () => rmSync(folder, { recursive: true })
	})

	test('returns every record, forwards and backwards, in batches and one by one', async () => {
		expect(await query(path)).toEqual(written)
		expect(await query(path, { reverse: true })).toEqual(written.toReversed())
		const chain = await openChain(path)
		expect((await collect(chain.batches())).flat()).toEqual(written)
		await chain.close()
		expect(await verifyChain(path)).toMatchObject({ ok: true, records: written.length - 1 })
	})

	test('gives the same result for any query as a check of every record', async () => {
		const seq = fc.integer({ min: 0, max: RECORDS + 100 })
		const time = fc.integer({ min: 1_699_999_940_000, max: 1_700_000_040_000 })
		const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 })
		const shape = fc.record({
			level: optional(fc.constantFrom(...LOG_LEVELS)),
			kind: optional(fc.constantFrom('log', 'order', 'none')),
			afterSeq: optional(seq),
			fromSeq: optional(seq),
			toSeq: optional(seq),
			since: optional(time),
			until: optional(time),
			grep: optional(fc.constantFrom('message 7', 'MESSAGE', 'yyy')),
			limit: optional(fc.integer({ min: 0, max: 50 })),
			reverse: optional(fc.boolean()),
		})
		await fc.assert(
			fc.asyncProperty(shape, async (drawn) => {
				const wanted = JSON.parse(JSON.stringify(drawn)) as ChainQuery
				const { limit = Number.POSITIVE_INFINITY, reverse, ...filter } = wanted
				const resolved = resolveFilter(filter)
				const matching = written.filter((item) => matches(item, resolved))
				const ordered = reverse ? matching.toReversed() : matching
				let left = limit
				const end = ordered.findIndex((item) => item.kind !== GAP_KIND && left-- === 0)
				const expected = limit === 0 ? [] : end < 0 ? ordered : ordered.slice(0, end)
				const found = await query(path, wanted)
				// Gaps directly after the last record are optional.
				const trim = (items: LogRecord[]) =>
					items.slice(0, items.findLastIndex((item) => item.kind !== GAP_KIND) + 1)
				expect(trim(found)).toEqual(trim(expected))
			}),
			{ numRuns: 150 },
		)
	})

	test('rejects at the first gap with gaps: throw, and passes over it with skip', async () => {
		await expect(query(path, { gaps: 'throw' })).rejects.toMatchObject({ code: 'CHAIN_GAP', seq: 1500 })
		expect(await query(path, { gaps: 'skip' })).toEqual(written.filter((item) => item.kind !== GAP_KIND))
	})

	test.each([
		[{ limit: -1 }, 'INVALID_FILTER'],
		[{ reverse: 'yes' }, 'INVALID_FILTER'],
		[{ gaps: 'mend' }, 'INVALID_FILTER'],
		[{ levle: 'warn' }, 'INVALID_FILTER'],
		[{ level: 'loud' }, 'INVALID_LEVEL'],
		[{ since: new Date(Number.NaN) }, 'INVALID_FILTER'],
		[{ fromSeq: 1.5 }, 'INVALID_FILTER'],
		[{ grep: 5 }, 'INVALID_FILTER'],
	])('with %o throws a coded error before any work', async (wanted, code) => {
		const chain = await openChain(path)
		expect(() => chain.records(wanted as ChainQuery)).toThrow(expect.objectContaining({ code }))
		await chain.close()
	})

	test('ends where the file ended at the start, although a writer continues', async () => {
		const live = join(temporaryFolder(), 'live.chain')
		const appender = new FileChainAppender(live)
		appender.append(record(1))
		appender.flush()
		const chain = await openChain(live)
		expect(await collect(chain.records())).toHaveLength(1)
		appender.append(record(2))
		appender.flush()
		expect(await collect(chain.records())).toHaveLength(2)
		expect(await chain.end()).toMatchObject({ state: 'open', tornBytes: 0, holder: { pid: process.pid } })
		await appender.close()
		expect(await chain.end()).toMatchObject({ state: 'closed' })
		await chain.close()
		await chain.close()
		await expect(collect(chain.records())).rejects.toMatchObject({ code: 'CHAIN_CLOSED' })
	})

	test('continues after damage in the middle, with one gap for what is missing', async () => {
		const bytes = readFileSync(path)
		const folder = temporaryFolder()
		for (const [start, length] of [
			[20_000, 1],
			[60_000, 512],
			[100_000, 4096],
			[65_000, 70_000],
		] as const) {
			const copy = join(folder, `${start}.chain`)
			const damaged = Buffer.from(bytes)
			for (let pos = start; pos < start + length; pos++) damaged[pos] = 0xff - damaged[pos]!
			writeFileSync(copy, damaged)
			for (const reverse of [false, true]) {
				const found = await query(copy, { reverse })
				const ordered = reverse ? found.toReversed() : found
				const present = new Set(ordered.filter((item) => item.kind !== GAP_KIND).map((item) => item.seq))
				const absent = ordered
					.filter((item) => item.kind === GAP_KIND)
					.map((item) => item.data as { fromSeq: number; toSeq: number; cause: string })
					.filter(({ cause }) => cause === 'damaged')
				expect(absent.length).toBeGreaterThanOrEqual(1)
				const explained = new Set(absent.flatMap(({ fromSeq, toSeq }) => span(fromSeq, toSeq)))
				for (const item of written) {
					const isGap = item.kind === GAP_KIND
					expect(isGap || present.has(item.seq) !== explained.has(item.seq), `seq ${item.seq}`).toBe(true)
				}
			}
			const report = await verifyChain(copy)
			expect(report.ok).toBe(false)
			const located = report.findings.find((finding) => finding.kind === 'damaged')
			expect(located?.offset).toBeLessThanOrEqual(start)
			expect((located?.offset ?? 0) + (located?.bytes ?? 0)).toBeGreaterThan(start)
		}
	})

	test('returns everything without the header, and verify reports the damaged header', async () => {
		const copy = join(temporaryFolder(), 'beheaded.chain')
		const bytes = readFileSync(path)
		bytes.fill(0, 0, HEADER_BYTES)
		writeFileSync(copy, bytes)
		expect(await query(copy)).toEqual(written)
		expect((await verifyChain(copy)).findings[0]).toMatchObject({
			kind: 'damaged',
			offset: 0,
			bytes: HEADER_BYTES,
		})
	})

	test('never mistakes a payload with bytes of the same chain for a frame', async () => {
		const copy = join(temporaryFolder(), 'nested.chain')
		const appender = new FileChainAppender(copy)
		appender.append(record(1))
		appender.flush()
		appender.append(record(2, { data: new Uint8Array(readFileSync(copy)) }))
		appender.flush()
		appender.append(record(3))
		await appender.close()
		const bytes = readFileSync(copy)
		const payload = bytes.indexOf('mesh-chain', 20)
		bytes[payload - 40]! ^= 1
		writeFileSync(copy, bytes)
		expect((await query(copy)).map((item) => [item.seq, item.kind])).toEqual([
			[1, 'log'],
			[2, '$gap'],
			[3, 'log'],
		])
	})
})

function span(from: number, to: number): number[] {
	return Array.from({ length: to - from + 1 }, (_unused, index) => from + index)
}
