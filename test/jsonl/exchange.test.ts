/** Chains to JSON Lines and back: what is identical, what is counted, and what remains of unfinished work. */
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { verifyChain } from '../../src/chain/verify/verify.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { recordToJson } from '../../src/codec/json-dialect.ts'
import { eventFormat } from '../../src/jsonl/event-format.ts'
import { exportJsonl } from '../../src/jsonl/export.ts'
import { importJsonl } from '../../src/jsonl/import.ts'
import { pinoFormat } from '../../src/jsonl/pino-format.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import type { LogRecord } from '../../src/model/record.ts'
import { FaultyFileSystem } from '../support/faulty-file-system.ts'
import { collect, record } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

async function read(path: string): Promise<LogRecord[]> {
	await using chain = await openChain(path)
	return await collect(chain.records())
}

async function exported(path: string, to = `${path}.jsonl`): Promise<string> {
	await using chain = await openChain(path)
	await exportJsonl(chain, to)
	return readFileSync(to, 'utf8')
}

/** Exports a chain, imports it into a new chain, and exports that chain. */
async function roundTrip(path: string): Promise<{ first: string; second: string; copy: string }> {
	const first = await exported(path)
	const copy = `${path}.copy.chain`
	await importJsonl(`${path}.jsonl`, copy)
	return { first, second: await exported(copy), copy }
}

async function writeLife(path: string, count: number, options: { rotateBytes?: number } = {}): Promise<void> {
	const appender = new FileChainAppender(path, options)
	const loop = new MeshLoop(appender, { nodeId: 7n })
	for (let index = 0; index < count; index++) {
		loop.publish({
			level: index % 50 === 0 ? 'error' : 'info',
			kind: index % 3 === 0 ? 'order' : 'log',
			message: `é ${index}`,
			data: {
				index,
				big: 2n ** 63n,
				at: new Date(index),
				bytes: Uint8Array.of(index & 255),
				odd: Number.NaN,
			},
			tsMs: 1_700_000_000_000 + (index % 7) * 1000,
		})
		if (index % 500 === 0) await appender.sync()
	}
	await loop.close()
}

describe('exported, imported and exported again, a chain has the same bytes', () => {
	test('with several epochs, ids, and data without a JSON type', async () => {
		const path = join(temporaryFolder(), 'node.chain')
		for (let life = 0; life < 3; life++) await writeLife(path, 700)
		const { first, second, copy } = await roundTrip(path)
		expect(first.split('\n')).toHaveLength(2101)
		expect(second).toBe(first)
		expect(await read(copy)).toEqual(await read(path))
		const report = await verifyChain(copy)
		expect(report.ok).toBe(true)
		expect(report.findings).toEqual([])
		await using chain = await openChain(copy)
		const info = await chain.info()
		expect(info.epochs.map(({ epoch, state }) => [epoch, state])).toEqual([
			[1, 'closed'],
			[2, 'closed'],
			[3, 'closed'],
		])
	})

	test("with gaps, and with records of mesh-chain's own kinds", async () => {
		const path = join(temporaryFolder(), 'node.chain')
		const appender = new FileChainAppender(path)
		appender.append(record(1))
		appender.append(record(5))
		appender.append(record(6, { kind: '$checkpoint', data: { id: 'a' } }))
		appender.append(record(7, { kind: '$gap', origin: { chainId: 'other', epoch: 2, seq: 9 } }))
		appender.append(record(8, { origin: { chainId: 'other', epoch: 2, seq: 10 } }))
		await appender.close()
		const { first, second, copy } = await roundTrip(path)
		expect(second).toBe(first)
		expect(await read(copy)).toEqual(await read(path))
	})

	test('when its first files are missing because of retention or another cause', async () => {
		for (const isRetention of [true, false]) {
			const path = join(temporaryFolder(), 'node.chain')
			await writeLife(path, 4000, { rotateBytes: 40_000 })
			const sealed = readdirSync(dirname(path)).filter((name) => /^node-\d+\.chain$/.test(name))
			expect(sealed.length).toBeGreaterThan(3)
			sealed.sort((a, b) => Number(a.slice(5, -6)) - Number(b.slice(5, -6)))
			if (isRetention) {
				await new FileChainAppender(path, { retain: { bytes: 100_000 }, rotateBytes: 40_000 }).close()
			} else rmSync(join(dirname(path), sealed[0]!))
			const { first, second } = await roundTrip(path)
			expect(first).toContain(isRetention ? '"retained"' : '"damaged"')
			expect(second).toBe(first)
		}
	})

	test('when a part in the middle cannot be read', async () => {
		const path = join(temporaryFolder(), 'node.chain')
		await writeLife(path, 2000)
		const bytes = readFileSync(path)
		bytes.fill(0, 70_000, 70_500)
		writeFileSync(path, bytes)
		const { first, second } = await roundTrip(path)
		expect(first).toContain('"damaged"')
		expect(second).toBe(first)
	})

	test('when it is empty', async () => {
		const path = join(temporaryFolder(), 'node.chain')
		await new FileChainAppender(path).close()
		const { first, second } = await roundTrip(path)
		expect([first, second]).toEqual(['', ''])
	})
})

describe('import', () => {
	const jsonlOf = (records: readonly LogRecord[]) => {
		const path = join(temporaryFolder(), 'some.jsonl')
		writeFileSync(path, records.map((each) => `${recordToJson(each)}\n`).join(''))
		return path
	}

	test('of a part records once what is missing', async () => {
		const jsonl = jsonlOf([record(5, { epoch: 2 }), record(6, { epoch: 2 }), record(9, { epoch: 3 })])
		const path = join(temporaryFolder(), 'node.chain')
		expect(await importJsonl(jsonl, path)).toMatchObject({
			restored: true,
			records: 3,
			absent: 6,
			outOfOrder: 0,
		})
		const found = await read(path)
		expect(found.map(({ seq, kind }) => [seq, kind])).toEqual([
			[4, '$gap'],
			[5, 'log'],
			[6, 'log'],
			[8, '$gap'],
			[9, 'log'],
		])
		expect(found[0]?.data).toEqual({ fromSeq: 1, toSeq: 4, count: 4, cause: 'notImported' })
		expect((await verifyChain(path)).ok).toBe(true)
	})

	test('skips and counts a duplicate line, and a line in the wrong order', async () => {
		const jsonl = jsonlOf([
			record(1, { epoch: 2 }),
			record(1, { epoch: 2 }),
			record(2, { epoch: 1 }),
			record(2, { epoch: 2, message: 'right' }),
			record(2, { epoch: 2, message: 'right' }),
		])
		const path = join(temporaryFolder(), 'node.chain')
		expect(await importJsonl(jsonl, path)).toMatchObject({ records: 2, outOfOrder: 3 })
		expect((await read(path)).map(({ message }) => message)).toEqual(['message 1', 'right'])
	})

	const seqs = (from: number, to: number, fields: Partial<LogRecord> = {}) =>
		Array.from({ length: to - from + 1 }, (_unused, index) => record(from + index, fields))
	const retained = (toSeq: number) =>
		record(toSeq, { kind: '$gap', data: { fromSeq: 1, toSeq, count: toSeq, cause: 'retained' } })

	test.each([
		['two exports', [...seqs(1, 20), ...seqs(1, 30, { message: 'other' })]],
		['the same one twice', [...seqs(1, 20), ...seqs(1, 20)]],
		['two records with one identity', [record(1), record(1, { message: 'other' })]],
		['a second one whose first records retention removed', [...seqs(1, 20), retained(5), ...seqs(6, 30)]],
		['parts of two', [...seqs(10, 20), ...seqs(15, 40, { message: 'other' })]],
		['alternating lines of two writers', seqs(30, 40).flatMap((each, index) => [each, record(5 + index)])],
		['one of a later epoch', [...seqs(1, 20, { epoch: 3 }), ...seqs(21, 30, { epoch: 1 })]],
	])('refuses two histories in one file, %s, and creates no chain', async (_name, records) => {
		const path = join(temporaryFolder(), 'node.chain')
		await expect(importJsonl(jsonlOf(records), path)).rejects.toMatchObject({
			code: 'IMPORT_FAILED',
			message: expect.stringMatching(/^(?=.*two histories)(?=.*mesh-chain merge)/),
		})
		expect(readdirSync(dirname(path))).toEqual([])
	})

	test('appends two histories in one file to an existing chain', async () => {
		const path = join(temporaryFolder(), 'node.chain')
		await writeLife(path, 1)
		const jsonl = jsonlOf([...seqs(1, 20), ...seqs(1, 30)])
		expect(await importJsonl(jsonl, path)).toMatchObject({ records: 50, outOfOrder: 0 })
	})

	test('to a chain on a full disk reports the reason and the number of appended records', async () => {
		vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
		const path = join(temporaryFolder(), 'node.chain')
		const lines = `${path}.jsonl`
		await writeLife(path, 100)
		await using chain = await openChain(path)
		await exportJsonl(chain, lines)
		const disk = new FaultyFileSystem()
		disk.fail('writeSync', 'ENOSPC', 3)
		await expect(importJsonl(lines, path, { fs: disk })).rejects.toMatchObject({
			code: 'IMPORT_FAILED',
			message: expect.stringMatching(/ENOSPC.*records were appended before it/s),
		})
	})

	test("to an existing chain appends, and each record's origin holds its old identity", async () => {
		const path = join(temporaryFolder(), 'node.chain')
		await writeLife(path, 3)
		const jsonl = jsonlOf([
			record(10, { epoch: 4, kind: '$checkpoint' }),
			record(11, { epoch: 4, origin: { chainId: 'first', epoch: 1, seq: 1 } }),
			record(14, { epoch: 4, kind: '$gap', data: { fromSeq: 12, toSeq: 14, count: 3, cause: 'evicted' } }),
		])
		expect(await importJsonl(jsonl, path)).toMatchObject({ restored: false, records: 2, absent: 3 })
		const found = (await read(path)).slice(3)
		expect(found.map(({ seq, epoch, kind, origin }) => ({ seq, epoch, kind, origin }))).toEqual([
			{ seq: 4, epoch: 2, kind: '$checkpoint', origin: { chainId: 'some.jsonl', epoch: 4, seq: 10 } },
			{ seq: 5, epoch: 2, kind: 'log', origin: { chainId: 'first', epoch: 1, seq: 1 } },
			{ seq: 6, epoch: 2, kind: '$gap', origin: { chainId: 'some.jsonl', epoch: 4, seq: 14 } },
		])
	})

	test('from another format numbers the records, and counts lines that are not records', async () => {
		const jsonl = join(temporaryFolder(), 'events.jsonl')
		writeFileSync(
			jsonl,
			'# recorded\n{"ts":1.5,"ev":"beat","n":1}\nnoise\n{"ts":2.5,"ev":"beat","n":2}\n{"ts":3,"ev":"be',
		)
		const path = join(temporaryFolder(), 'node.chain')
		const summary = await importJsonl(jsonl, path, { format: eventFormat({ beat: { n: 'number' } }) })
		expect(summary).toMatchObject({ records: 2, skipped: { comment: 1, notJson: 1, torn: 1 } })
		expect((await read(path)).map(({ seq, tsMs, data }) => [seq, tsMs, data])).toEqual([
			[1, 1500, { n: 1 }],
			[2, 2500, { n: 2 }],
		])
	})

	test('leaves no file when any file system call fails', async () => {
		const jsonl = jsonlOf(
			Array.from({ length: 3000 }, (_unused, index) => record(index + 1, { data: 'x'.repeat(200) })),
		)
		for (const [name, passing] of [
			['writeSync', 0],
			['writeSync', 1],
			['writeSync', 2],
			['fdatasyncSync', 0],
			['linkSync', 0],
		] as const) {
			const path = join(temporaryFolder(), 'node.chain')
			const disk = new FaultyFileSystem()
			disk.fail(name, 'EIO', passing + (name === 'writeSync' ? 1 : 0))
			await expect(importJsonl(jsonl, path, { fs: disk })).rejects.toMatchObject({
				code: 'CHAIN_UNWRITABLE',
				path,
			})
			expect(readdirSync(dirname(path))).toEqual([])
			expect(await importJsonl(jsonl, path)).toMatchObject({ records: 3000 })
		}
	})

	test('reports that the chain exists when only its folder could not be synced', async () => {
		const path = join(temporaryFolder(), 'node.chain')
		const disk = new FaultyFileSystem()
		disk.fail('fsyncSync', 'EIO')
		await expect(importJsonl(jsonlOf([record(1)]), path, { fs: disk })).rejects.toMatchObject({
			code: 'CHAIN_UNWRITABLE',
			message: expect.stringContaining('exists and is complete'),
		})
		expect(readdirSync(dirname(path))).toEqual(['node.chain'])
		expect(await read(path)).toHaveLength(1)
	})

	test("counts altered records, keeps the source's error, and refuses an impossible epoch", async () => {
		const folder = temporaryFolder()
		const big = join(folder, 'big.jsonl')
		const line = { level: 30, time: 1.7e12, msg: 'x'.repeat(300_000), text: 'y'.repeat(2_000_000) }
		writeFileSync(big, `${JSON.stringify(line)}\n`)
		const made = await importJsonl(big, join(folder, 'big.chain'), { format: pinoFormat })
		expect(made).toMatchObject({ records: 1, altered: 1 })
		const epochs = jsonlOf([record(1), record(2, { epoch: 2 ** 40 })])
		expect(await importJsonl(epochs, join(folder, 'epochs.chain'))).toMatchObject({
			records: 1,
			skipped: { invalidField: 1 },
		})
		await expect(importJsonl('/nowhere/x', join(folder, 'big.chain'))).rejects.toMatchObject({
			code: 'FILE_UNREADABLE',
		})
		async function* broken(): AsyncGenerator<Uint8Array> {
			yield Buffer.from('')
			throw new Error('the cable is out')
		}
		await expect(importJsonl(broken(), join(folder, 'x.chain'))).rejects.toMatchObject({
			code: 'IMPORT_FAILED',
		})
		expect(existsSync(join(folder, 'x.chain'))).toBe(false)
	})

	test('that is interrupted creates no chain', async () => {
		const path = join(temporaryFolder(), 'node.chain')
		await expect(
			importJsonl(jsonlOf([record(1)]), path, { signal: AbortSignal.abort() }),
		).rejects.toMatchObject({
			code: 'IMPORT_FAILED',
		})
		expect(existsSync(path)).toBe(false)
	})

	test('creates no chain next to parts of one, or while another process creates it', async () => {
		const path = join(temporaryFolder(), 'node.chain')
		await writeLife(path, 2000, { rotateBytes: 20_000 })
		const live = `${path}.away`
		copyFileSync(path, live)
		rmSync(path)
		await expect(importJsonl(jsonlOf([record(1)]), path)).rejects.toMatchObject({ code: 'CHAIN_EXISTS' })
	})
})

describe('export', () => {
	test('accepts filters, and counts records that the format cannot represent', async () => {
		const path = join(temporaryFolder(), 'node.chain')
		await writeLife(path, 100)
		await using chain = await openChain(path)
		const to = `${path}.jsonl`
		expect(await exportJsonl(chain, to, { level: 'error' })).toEqual({ lines: 2, absent: 0, unsupported: 0 })
		const events = `${path}.events`
		expect(await exportJsonl(chain, events, { format: eventFormat({ order: {} }) })).toEqual({
			lines: 34,
			absent: 0,
			unsupported: 66,
		})
	})

	test('never replaces a file, and leaves no file when it fails', async () => {
		const path = join(temporaryFolder(), 'node.chain')
		await writeLife(path, 100)
		await using chain = await openChain(path)
		await expect(exportJsonl(chain, path)).rejects.toMatchObject({ code: 'FILE_EXISTS', path })
		const to = join(temporaryFolder(), 'out.jsonl')
		for (const name of ['openSync', 'writeSync', 'fsyncSync', 'linkSync'] as const) {
			const disk = new FaultyFileSystem()
			disk.fail(name, 'ENOSPC')
			await expect(exportJsonl(chain, to, { fs: disk })).rejects.toMatchObject({
				code: 'EXPORT_FAILED',
				path: to,
			})
			expect(readdirSync(dirname(to))).toEqual([])
		}
	})

	test('reports that the file exists when only its folder could not be synced', async () => {
		const path = join(temporaryFolder(), 'node.chain')
		await writeLife(path, 100)
		await using chain = await openChain(path)
		const to = join(temporaryFolder(), 'out.jsonl')
		const disk = new FaultyFileSystem()
		disk.fail('fsyncSync', 'EIO', 1)
		await expect(exportJsonl(chain, to, { fs: disk })).rejects.toMatchObject({
			code: 'EXPORT_FAILED',
			message: expect.stringContaining('exists and is complete'),
		})
		expect(readdirSync(dirname(to))).toEqual(['out.jsonl'])
		expect(readFileSync(to, 'utf8').split('\n')).toHaveLength(101)
	})

	test('succeeds if only its temporary name could not be removed', async () => {
		const path = join(temporaryFolder(), 'node.chain')
		await writeLife(path, 10)
		await using chain = await openChain(path)
		const to = join(temporaryFolder(), 'out.jsonl')
		const disk = new FaultyFileSystem()
		disk.fail('unlinkSync', 'EIO')
		expect(await exportJsonl(chain, to, { fs: disk })).toMatchObject({ lines: 10 })
		expect(readFileSync(to, 'utf8').split('\n')).toHaveLength(11)
	})
})
