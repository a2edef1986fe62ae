import { execFileSync } from 'node:child_process'
import {
	existsSync,
	readdirSync,
	readFileSync,
	rmSync,
	statSync,
	symlinkSync,
	truncateSync,
	writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { HEADER_BYTES } from '../../../src/chain/format/header.ts'
import { openChain } from '../../../src/chain/read/open-chain.ts'
import { verifyChain } from '../../../src/chain/verify/verify.ts'
import { FileChainAppender } from '../../../src/chain/write/file-chain-appender.ts'
import type { LogRecord } from '../../../src/model/record.ts'
import { newChainPath, nextTurn } from '../../support/chains.ts'
import { leaveAsKilled } from '../../support/killed.ts'
import { collect, record } from '../../support/records.ts'
import { temporaryFolder } from '../../support/temporary.ts'

async function readAll(path: string, query = {}): Promise<LogRecord[]> {
	const chain = await openChain(path)
	try {
		return await collect(chain.records(query))
	} finally {
		await chain.close()
	}
}

async function writeChain(path: string, count: number, from = 1): Promise<void> {
	const appender = new FileChainAppender(path)
	for (let seq = from; seq < from + count; seq++) appender.append(record(seq))
	await appender.close()
}

describe('an appended record', () => {
	test('is read back unchanged, field by field and type by type', async () => {
		const path = newChainPath()
		const appender = new FileChainAppender(path)
		const written = [
			record(1),
			record(2, { level: 'trace', kind: 'order.created', message: 'order.created' }),
			record(3, { daemonId: 7, nodeId: 'knoten-ä' }),
			record(4, { daemonId: 7n, nodeId: 2n ** 64n - 1n }),
			record(5, { daemonId: -(2n ** 63n), nodeId: -1.5 }),
			record(6, { tsMs: 0, message: 'x'.repeat(70_000) }),
			record(7, { tsMs: 8_640_000_000_000_000, message: '日本語' }),
			record(8, {
				data: { a: [1, 2.5, -3, null, true], when: new Date(5), bytes: new Uint8Array([1, 2]), big: 5n },
			}),
			record(9, { data: null }),
			record(10, { origin: { chainId: 'ab'.repeat(16), epoch: 3, seq: 12 }, kind: '$gap', data: 'merged' }),
			record(11, {
				data: { deep: { er: { n: 10n ** 30n } } },
				origin: { chainId: 'x', epoch: 1, seq: 2 ** 40 },
			}),
		]
		for (const item of written) appender.append(item)
		await appender.close()
		expect(await readAll(path)).toEqual(written)
	})

	test('is read back from the shortest possible frame, too', async () => {
		const path = newChainPath()
		const appender = new FileChainAppender(path)
		const shortest = record(1, { message: 'log', tsMs: 0 })
		appender.append(shortest)
		await appender.close()
		expect(await readAll(path)).toEqual([shortest])
		expect(await verifyChain(path)).toMatchObject({ ok: true, records: 1 })
	})

	test('reaches the operating system before any immediate that is queued later', async () => {
		const path = newChainPath()
		const appender = new FileChainAppender(path)
		appender.append(record(1))
		expect(appender.committedSeq).toBe(0)
		await nextTurn()
		expect(appender.committedSeq).toBe(1)
		expect(await readAll(path)).toHaveLength(1)
		await appender.close()
	})

	test('at the level of writeThrough is written before append returns, below it later', async () => {
		const path = newChainPath()
		const appender = new FileChainAppender(path, { writeThrough: 'warn' })
		appender.append(record(1, { level: 'info' }))
		expect(appender.stats().pendingRecords).toBe(1)
		appender.append(record(2, { level: 'warn' }))
		expect(appender.stats().pendingRecords).toBe(0)
		expect(readFileSync(path).includes('message 2')).toBe(true)
		await appender.close()
	})

	test('that fills the buffer is written at once, before the end of the turn', async () => {
		const appender = new FileChainAppender(newChainPath())
		for (let seq = 1; seq <= 4000; seq++) appender.append(record(seq))
		expect(appender.committedSeq).toBeGreaterThan(2000)
		await appender.close()
	})

	test('in a batch shares one frame, and an empty batch writes nothing', async () => {
		const path = newChainPath()
		const appender = new FileChainAppender(path)
		appender.appendBatch([])
		const batch = Array.from({ length: 1000 }, (_unused, index) => record(index + 1))
		appender.appendBatch(batch)
		expect(appender.stats().frames).toBe(1)
		await appender.close()
		expect(await readAll(path)).toEqual(batch)
	})

	test('in a batch that cannot be packed leaves nothing in the file', async () => {
		const path = newChainPath()
		const appender = new FileChainAppender(path)
		appender.append(record(1))
		const poison = record(3, { level: 'fatal' as never })
		expect(() => appender.appendBatch([record(2), poison])).toThrow(
			expect.objectContaining({ retryable: false }),
		)
		appender.append(record(2, { message: 'again' }))
		await appender.close()
		expect((await readAll(path)).map((item) => item.message)).toEqual(['message 1', 'again'])
	})

	test('with a seq that does not increase is refused for good, and the chain continues', async () => {
		const path = newChainPath()
		const appender = new FileChainAppender(path)
		appender.append(record(1))
		expect(() => appender.append(record(1))).toThrow(
			expect.objectContaining({ code: 'SEQ_NOT_INCREASING', retryable: false, seq: 1 }),
		)
		appender.append(record(2))
		await appender.close()
		expect(await readAll(path)).toHaveLength(2)
	})

	test('after skipped seqs is preceded by a gap that is written in the chain', async () => {
		const path = newChainPath()
		const appender = new FileChainAppender(path)
		appender.append(record(1))
		appender.append(record(5))
		await appender.close()
		const [, gap] = await readAll(path)
		expect(gap).toMatchObject({
			seq: 4,
			kind: '$gap',
			data: { fromSeq: 2, toSeq: 4, count: 3, cause: 'appendFailed' },
		})
		expect(await verifyChain(path)).toMatchObject({ ok: true, records: 2 })
	})
})

describe('a reopened chain', () => {
	test('continues after its last seq, in a new epoch (not: seq restarts at 1 on each boot)', async () => {
		const path = newChainPath()
		await writeChain(path, 3)
		const appender = new FileChainAppender(path)
		expect([appender.nextSeq, appender.epoch]).toEqual([4, 2])
		appender.append(record(4))
		await appender.close()
		expect((await readAll(path)).map(({ seq, epoch }) => [seq, epoch])).toEqual([
			[1, 1],
			[2, 1],
			[3, 1],
			[4, 2],
		])
		expect(await verifyChain(path)).toMatchObject({ ok: true, records: 4, findings: [] })
	})

	test('with a torn tail saves it, cuts it, reports it once, and continues in the same file', async () => {
		const path = newChainPath()
		await writeChain(path, 3)
		const whole = readFileSync(path)
		const appender = new FileChainAppender(path)
		appender.append(record(4))
		appender.flush()
		const withFrame = readFileSync(path)
		await appender.close()
		const torn = withFrame.subarray(0, withFrame.length - 5)
		leaveAsKilled(path, torn)

		const warnings: string[] = []
		const onWarning = (warning: Error) => warnings.push(warning.message)
		process.on('warning', onWarning)
		const next = new FileChainAppender(path)
		await nextTurn()
		process.off('warning', onWarning)
		const cut = next.stats().recovery
		expect(cut).toMatchObject({ verdict: 'torn' })
		expect(readFileSync(cut?.keptAt ?? '')).toEqual(torn.subarray(cut?.offset))
		expect(warnings.filter((text) => text.includes('torn tail'))).toHaveLength(1)
		expect(next.nextSeq).toBe(4)
		next.append(record(4, { message: 'second life' }))
		await next.close()
		expect((await readAll(path)).map((item) => item.message)).toEqual([
			'message 1',
			'message 2',
			'message 3',
			'second life',
		])
		expect(readFileSync(path).subarray(0, whole.length)).toEqual(whole)
		expect((await verifyChain(path)).ok).toBe(true)
	})

	test('cut at any byte keeps the longest whole prefix, and a second opening leaves that alone', async () => {
		const path = newChainPath()
		const appender = new FileChainAppender(path)
		for (let seq = 1; seq <= 12; seq++) {
			appender.append(record(seq))
			appender.flush()
		}
		await appender.close()
		const whole = readFileSync(path)
		const folder = temporaryFolder()
		let previous = 0
		for (let length = HEADER_BYTES + 1; length < whole.length; length += 1) {
			const copy = join(folder, `${length}.chain`)
			leaveAsKilled(copy, whole.subarray(0, length))
			const report = await verifyChain(copy)
			expect(report.ok, `cut at ${length}`).toBe(true)
			expect(report.records).toBeGreaterThanOrEqual(previous)
			previous = report.records
			const records = await readAll(copy)
			expect(records).toHaveLength(report.records)
			if (length % 37 === 0) {
				const reopened = new FileChainAppender(copy)
				expect(reopened.nextSeq).toBe(report.records + 1)
				reopened.append(record(report.records + 1))
				await reopened.close()
				expect(await verifyChain(copy)).toMatchObject({ ok: true, records: report.records + 1 })
			}
		}
		expect(previous).toBe(12)
	})

	test('after a clean end cuts nothing', async () => {
		const path = newChainPath()
		await writeChain(path, 1)
		const { size } = statSync(path)
		const appender = new FileChainAppender(path)
		expect(appender.stats().recovery).toBeUndefined()
		await appender.close()
		expect(statSync(path).size).toBeGreaterThan(size)
	})

	test('with an empty file or part of a header, and nothing ever on disk, begins again', async () => {
		const path = newChainPath()
		for (const [bytes, kept] of [
			[20, 1],
			[0, 1],
		] as const) {
			await writeChain(path, 1, existsSync(path) ? 3 : 1)
			truncateSync(path, bytes)
			rmSync(`${path}.durable`)
			await expect(openChain(path)).rejects.toMatchObject({ code: 'CHAIN_EMPTY' })
			await writeChain(path, 2)
			expect(await readAll(path)).toHaveLength(2)
			expect(readdirSync(join(path, '..')).filter((name) => name.includes('.cut-'))).toHaveLength(kept)
		}
	})

	test.each(['emptied', 'cut within its header', 'removed'])(
		'that was %s after it had been on disk is not mistaken for a new one',
		async (what) => {
			const path = newChainPath()
			await writeChain(path, 20)
			const { chainId } = await openChain(path)
			const copy = readFileSync(path)
			if (what === 'removed') rmSync(path)
			else truncateSync(path, what === 'emptied' ? 0 : 60)
			await expect(openChain(path)).rejects.toMatchObject({
				code: what === 'removed' ? 'CHAIN_NOT_FOUND' : 'CHAIN_EMPTY',
				message: expect.stringMatching(/records up to seq 20 were on disk/),
			})
			const size = existsSync(path) ? statSync(path).size : undefined
			expect(() => new FileChainAppender(path, { onDamage: 'refuse' })).toThrow(
				expect.objectContaining({ code: 'CHAIN_DAMAGED', seq: 1 }),
			)
			expect(existsSync(path) ? statSync(path).size : undefined).toBe(size)
			const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
			const appender = new FileChainAppender(path)
			expect(String(warned.mock.calls[0]?.[0])).toContain('20 records that were on disk are lost')
			warned.mockRestore()
			expect(appender.chainId).toBe(chainId)
			expect(appender.stats().recovery).toMatchObject({ verdict: 'truncated', lostRecords: 20 })
			appender.append(record(appender.nextSeq))
			await appender.close()
			const [gap, after] = await readAll(path)
			expect(gap).toMatchObject({ kind: '$gap', data: { fromSeq: 1, toSeq: 20, cause: 'damaged' } })
			expect(after).toMatchObject({ seq: 21, epoch: 2 })
			const { ok, findings } = await verifyChain(path)
			expect([ok, findings[0]]).toEqual([
				false,
				expect.objectContaining({ kind: 'missingFile', fromSeq: 1, toSeq: 20 }),
			])
			// A reappearing copy is part of the chain again.
			writeFileSync(path.replace('node.chain', 'node-1.chain'), copy)
			expect((await verifyChain(path)).ok).toBe(true)
			expect(await readAll(path)).toHaveLength(21)
		},
	)

	test('with a named pipe in the place of its watermark does not hang', async () => {
		const path = newChainPath()
		await writeChain(path, 3)
		rmSync(`${path}.durable`)
		execFileSync('mkfifo', [`${path}.durable`])
		expect((await verifyChain(path)).ok).toBe(true)
		await writeChain(path, 1, 4)
		expect(await readAll(path)).toHaveLength(4)
	})

	test('writes a batch as one frame or not at all', async () => {
		const path = newChainPath()
		const appender = new FileChainAppender(path)
		const many = Array.from({ length: 70_000 }, (_unused, index) => record(index + 1))
		expect(() => appender.appendBatch(many)).toThrow(expect.objectContaining({ code: 'BATCH_TOO_LARGE' }))
		expect(() => appender.appendBatch([record(1), record(2), record(5)])).toThrow(
			expect.objectContaining({ code: 'SEQ_NOT_INCREASING', retryable: false }),
		)
		expect([appender.nextSeq, appender.stats().records]).toEqual([1, 0])
		appender.appendBatch(many.slice(0, 1000))
		await appender.close()
		expect(await readAll(path)).toHaveLength(1000)
	})

	test('refuses a gap without a valid range and cause', async () => {
		const appender = new FileChainAppender(newChainPath())
		for (const data of [undefined, { fromSeq: 1 }, { fromSeq: 5, toSeq: 1, count: 1, cause: 'evicted' }]) {
			expect(() =>
				appender.append(record(1, { kind: '$gap', ...(data === undefined ? {} : { data }) })),
			).toThrow(expect.objectContaining({ code: 'APPEND_FAILED', retryable: false }))
		}
		await appender.close()
	})
})

describe('one writer per chain', () => {
	test('a second writer is refused, and its error names the first', async () => {
		const path = newChainPath()
		const first = new FileChainAppender(path)
		expect(() => new FileChainAppender(path)).toThrow(
			expect.objectContaining({
				code: 'CHAIN_LOCKED',
				message: expect.stringContaining(`process ${process.pid}`),
			}),
		)
		first.append(record(1))
		await first.close()
		expect(existsSync(`${path}.lock`)).toBe(false)
		await writeChain(path, 1, 2)
		expect(await readAll(path)).toHaveLength(2)
	})

	test('the lock is the same for every path to the file', async () => {
		const folder = temporaryFolder()
		symlinkSync(folder, join(folder, 'alias'))
		const first = new FileChainAppender(join(folder, 'node.chain'))
		expect(() => new FileChainAppender(join(folder, 'alias', 'node.chain'))).toThrow(
			expect.objectContaining({ code: 'CHAIN_LOCKED' }),
		)
		await first.close()
	})

	test('{pid} in the path is replaced', async () => {
		const folder = temporaryFolder()
		const appender = new FileChainAppender(join(folder, 'node-{pid}.chain'))
		expect(appender.path).toBe(join(folder, `node-${process.pid}.chain`))
		await appender.close()
	})
})

describe('bad input', () => {
	test.each([
		['a path that is not a text', () => new FileChainAppender(5 as never), 'INVALID_PATH'],
		['an empty path', () => new FileChainAppender(''), 'INVALID_PATH'],
		[
			'a folder that does not exist',
			() => new FileChainAppender('/nowhere/at/all/node.chain'),
			'CHAIN_UNWRITABLE',
		],
		['an unknown option', () => new FileChainAppender('x', { colour: 1 } as never), 'INVALID_OPTION'],
		[
			'an unknown durability',
			() => new FileChainAppender('x', { durability: 'tape' as never }),
			'INVALID_OPTION',
		],
		[
			'an unknown level',
			() => new FileChainAppender('x', { writeThrough: 'loud' as never }),
			'INVALID_LEVEL',
		],
		['a buffer without room', () => new FileChainAppender('x', { pendingBytesMax: 0 }), 'INVALID_OPTION'],
	])('%s gets a coded error', (_name, open, code) => {
		expect(open).toThrow(expect.objectContaining({ code }))
	})

	test('a file that is not a chain is never touched', () => {
		const path = newChainPath()
		const text = 'dear diary, '.repeat(30)
		writeFileSync(path, text)
		expect(() => new FileChainAppender(path)).toThrow(expect.objectContaining({ code: 'NOT_A_CHAIN' }))
		expect(readFileSync(path, 'utf8')).toBe(text)
		expect(existsSync(`${path}.lock`)).toBe(false)
	})

	test('a chain of a newer format is reported as such and never touched', async () => {
		const path = newChainPath()
		await writeChain(path, 1)
		const bytes = readFileSync(path)
		bytes[12] = 9
		writeFileSync(path, bytes)
		// One flipped byte alone is damage, because the checksum still fits the known version.
		expect(() => new FileChainAppender(path)).not.toThrow()
		bytes.fill(7, 30, 400)
		writeFileSync(path, bytes)
		await expect(openChain(path)).rejects.toMatchObject({ code: 'NEWER_VERSION' })
	})

	test('append after close is refused for good; another close or sync does nothing', async () => {
		const appender = new FileChainAppender(newChainPath())
		await appender.close()
		expect(() => appender.append(record(1))).toThrow(
			expect.objectContaining({ code: 'APPENDER_CLOSED', retryable: false }),
		)
		await appender.close()
		await appender.sync()
		appender.flush()
	})
})

describe('the integrity of a chain', () => {
	// For every bit, in memory, see test/properties/damaged-file.test.ts.
	test('a flipped bit in a real file is found, and no record outside its frame is lost', async () => {
		const path = newChainPath()
		const appender = new FileChainAppender(path)
		for (let seq = 1; seq <= 6; seq++) {
			appender.append(record(seq, { data: { seq } }))
			appender.flush()
		}
		await appender.close()
		const bytes = readFileSync(path)
		const copy = join(temporaryFolder(), 'flipped.chain')
		for (let bit = 0; bit < bytes.length * 8; bit += 11) {
			const flipped = Buffer.from(bytes)
			flipped[bit >> 3]! ^= 1 << (bit & 7)
			writeFileSync(copy, flipped)
			const outcome = await verifyChain(copy).catch((error: unknown) => error)
			if (outcome instanceof Error) {
				// Only name or version in the header can make a file unrecognisable.
				expect(bit >> 3, String(outcome)).toBeLessThan(13)
				continue
			}
			expect(outcome, `bit ${bit}`).toMatchObject({ ok: false })
			const seqs = (await readAll(copy)).filter((item) => item.kind !== '$gap').map((item) => item.seq)
			expect(seqs.length, `bit ${bit}`).toBeGreaterThanOrEqual(5)
		}
	})

	test('an edit with new checksums breaks the link', async () => {
		const path = newChainPath()
		await writeChain(path, 3)
		const forged = join(temporaryFolder(), 'forged.chain')
		const { forgeMessage } = await import('../../support/forge.ts')
		writeFileSync(forged, forgeMessage(readFileSync(path), 'message 2', 'massage 2'))
		const report = await verifyChain(forged)
		expect((await readAll(forged))[1]?.message).toBe('massage 2')
		expect(report.ok).toBe(false)
		expect(report.findings[0]).toMatchObject({ kind: 'brokenLink', fromSeq: 1, toSeq: 3 })
	})
})
