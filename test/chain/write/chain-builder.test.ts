/** Whole chains built at once: either the complete chain gets its name, or nothing does. */
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openChain } from '../../../src/chain/read/open-chain.ts'
import { verifyChain } from '../../../src/chain/verify/verify.ts'
import { ChainBuilder } from '../../../src/chain/write/chain-builder.ts'
import { FileChainAppender } from '../../../src/chain/write/file-chain-appender.ts'
import { MeshChainError } from '../../../src/model/errors.ts'
import { gapRecord, type LogRecord } from '../../../src/model/record.ts'
import { type FileSystem, nodeFileSystem } from '../../../src/platform/file-system.ts'
import { newChainPath } from '../../support/chains.ts'
import { FaultyFileSystem } from '../../support/faulty-file-system.ts'
import { MemoryFileSystem } from '../../support/memory-file-system.ts'
import { readAll } from '../../support/oracle.ts'
import { runModule } from '../../support/process.ts'
import { collect, record } from '../../support/records.ts'

function build(path: string, records: readonly LogRecord[], fs?: FileSystem): ChainBuilder {
	const builder = new ChainBuilder(path, fs === undefined ? {} : { fs })
	try {
		for (const each of records) builder.push(each)
		builder.finish()
	} finally {
		builder.discard()
	}
	return builder
}

const some = (count: number, fields: Partial<LogRecord> = {}) =>
	Array.from({ length: count }, (_unused, index) => record(index + 1, fields))

const besides = (path: string) => readdirSync(join(path, '..')).filter((name) => name !== 'copy.chain')

describe('the given history', () => {
	test('is kept unchanged: seqs, epochs, times, ids, data and origins', async () => {
		const path = newChainPath('copy.chain')
		const records = [
			record(1, { nodeId: 7n, daemonId: 'api', data: { a: [1n, new Date(5), Uint8Array.from([1])] } }),
			record(2, { tsMs: 5, level: 'error', kind: 'order' }),
			record(3, { epoch: 2, origin: { chainId: 'elsewhere', epoch: 9, seq: 99 } }),
			record(4, { epoch: 2 }),
			record(5, { epoch: 5, kind: '$gap', origin: { chainId: 'elsewhere', epoch: 9, seq: 120 } }),
		]
		const builder = build(path, records)
		expect([builder.records, builder.missing]).toEqual([5, 0])
		expect(await readAll(path, nodeFileSystem)).toEqual(records)
		await using chain = await openChain(path)
		const { epochs, state, records: count } = await chain.info()
		expect([state, count]).toEqual(['closed', 5])
		expect(epochs).toMatchObject([
			{ epoch: 1, firstSeq: 1, lastSeq: 2, state: 'closed' },
			{ epoch: 2, firstSeq: 3, lastSeq: 4, state: 'closed' },
			{ epoch: 5, firstSeq: 5, lastSeq: 5, state: 'closed' },
		])
		expect(besides(path)).toEqual([])
		expect(statSync(path).mode & 0o777).toBe(0o600)
	})

	test('has a $gap for missing seqs, also at the beginning, in addition to its own gaps', async () => {
		const path = newChainPath('copy.chain')
		const gap = gapRecord({ fromSeq: 12, toSeq: 14, count: 3, cause: 'evicted' }, { epoch: 1, tsMs: 3 })
		const late = gapRecord({ fromSeq: 21, toSeq: 22, count: 2, cause: 'damaged' }, { epoch: 2, tsMs: 4 })
		const builder = build(path, [record(4), record(5), record(9), gap, record(15, { epoch: 2 }), late])
		const found = await readAll(path, nodeFileSystem)
		expect(found.map(({ seq, epoch, kind }) => [seq, epoch, kind])).toEqual([
			[3, 1, '$gap'],
			[4, 1, 'log'],
			[5, 1, 'log'],
			[8, 1, '$gap'],
			[9, 1, 'log'],
			[11, 1, '$gap'],
			[14, 1, '$gap'],
			[15, 2, 'log'],
			[20, 2, '$gap'],
			[22, 2, '$gap'],
		])
		expect(found.filter(({ kind }) => kind === '$gap').map(({ data }) => data)).toEqual([
			{ fromSeq: 1, toSeq: 3, count: 3, cause: 'notImported' },
			{ fromSeq: 6, toSeq: 8, count: 3, cause: 'notImported' },
			{ fromSeq: 10, toSeq: 11, count: 2, cause: 'notImported' },
			gap.data,
			{ fromSeq: 16, toSeq: 20, count: 5, cause: 'notImported' },
			late.data,
		])
		expect([builder.records, builder.missing]).toEqual([4, 13])
	})

	test('is refused at a step back, and later records are accepted', async () => {
		const path = newChainPath('copy.chain')
		const builder = new ChainBuilder(path)
		const refused = (...records: LogRecord[]) => {
			for (const each of records) {
				expect(() => builder.push(each), `seq ${each.seq}`).toThrow(
					expect.objectContaining({ code: 'SEQ_NOT_INCREASING', retryable: false, seq: each.seq, path }),
				)
			}
		}
		refused(record(0))
		builder.push(record(1))
		builder.push(record(2, { epoch: 3 }))
		refused(
			record(1, { epoch: 3 }),
			record(2, { epoch: 3 }),
			record(2, { epoch: 4 }),
			record(3, { epoch: 2 }),
		)
		const overlapping = { fromSeq: 2, toSeq: 6, count: 5, cause: 'evicted' } as const
		refused(gapRecord(overlapping, { epoch: 3, tsMs: 1 }))
		builder.push(record(3, { epoch: 3 }))
		builder.push(record(4, { epoch: 4 }))
		builder.finish()
		const found = await readAll(path, nodeFileSystem)
		expect(found.map(({ seq, epoch }) => [seq, epoch])).toEqual([
			[1, 1],
			[2, 3],
			[3, 3],
			[4, 4],
		])
		expect((await verifyChain(path)).findings).toEqual([])
	})

	test('loses only the records that no chain can hold', async () => {
		const path = newChainPath('copy.chain')
		const builder = new ChainBuilder(path)
		builder.push(record(1))
		const huge = record(2, { data: { bytes: new Uint8Array(17 * 1024 * 1024) } })
		expect(() => builder.push(huge)).toThrow(expect.objectContaining({ retryable: false, seq: 2 }))
		const vague = record(3, { kind: '$gap', data: { fromSeq: 3 } })
		expect(() => builder.push(vague)).toThrow(expect.objectContaining({ retryable: false, seq: 3 }))
		builder.push(record(3))
		builder.finish()
		const found = await readAll(path, nodeFileSystem)
		expect(found.map(({ seq, kind }) => [seq, kind])).toEqual([
			[1, 'log'],
			[2, '$gap'],
			[3, 'log'],
		])
		expect(await verifyChain(path)).toMatchObject({ ok: true, findings: [{ kind: 'gap', severity: 'note' }] })
	})
})

describe('the built chain', () => {
	test('verifies without a finding, empty, small or large, and a writer continues it', async () => {
		for (const count of [0, 1, 20_000]) {
			const path = newChainPath('copy.chain')
			build(path, some(count, { message: 'x'.repeat(50) }))
			expect(await verifyChain(path)).toMatchObject({ ok: true, records: count, findings: [] })
			const appender = new FileChainAppender(path)
			expect([appender.nextSeq, appender.epoch]).toEqual([count + 1, 2])
			expect(appender.stats().recovery).toBeUndefined()
			appender.append(record(count + 1, { epoch: 2, message: 'one more' }))
			await appender.close()
			const found = await readAll(path, nodeFileSystem)
			expect(found).toHaveLength(count + 1)
			expect(found.at(-1)).toMatchObject({ seq: count + 1, epoch: 2, message: 'one more' })
			expect(await verifyChain(path)).toMatchObject({ ok: true, findings: [] })
		}
	})

	test('is on disk completely, also for readers with durableOnly', async () => {
		const path = newChainPath('copy.chain')
		build(path, some(3_000))
		await using chain = await openChain(path)
		const stop = new AbortController()
		const seqs: number[] = []
		const timer = setTimeout(() => stop.abort(), 10_000)
		for await (const { seq } of chain.tail({ durableOnly: true, signal: stop.signal, pollIntervalMs: 5 })) {
			if (seqs.push(seq) === 3_000) break
		}
		clearTimeout(timer)
		expect(seqs).toHaveLength(3_000)
	})

	test('survives a power loss completely once it is finished', async () => {
		const memory = new MemoryFileSystem()
		const disk = new FaultyFileSystem(memory)
		build('/chains/copy.chain', some(2_000), disk)
		const after = memory.crashPoint('finished').afterKill()
		expect(await readAll('/chains/copy.chain', after)).toHaveLength(2_000)
		const names = disk.calls.map(({ name }) => name)
		// The order is bytes, then name, then directory.
		expect(names.lastIndexOf('writeSync')).toBeLessThan(names.lastIndexOf('fdatasyncSync'))
		expect(names.lastIndexOf('fdatasyncSync')).toBeLessThan(names.lastIndexOf('linkSync'))
		expect(names.lastIndexOf('linkSync')).toBeLessThan(names.lastIndexOf('fsyncSync'))
	})

	test('does not appear before it is finished, and never if it is discarded', async () => {
		const path = newChainPath('copy.chain')
		const builder = new ChainBuilder(path, { mode: 0o640 })
		for (const each of some(20_000)) builder.push(each)
		expect(existsSync(path)).toBe(false)
		await expect(openChain(path)).rejects.toMatchObject({ code: 'CHAIN_NOT_FOUND' })
		builder.discard()
		builder.discard()
		expect(readdirSync(join(path, '..'))).toEqual([])
		expect(() => builder.finish()).toThrow(expect.objectContaining({ code: 'CHAIN_UNWRITABLE' }))
		expect(readdirSync(join(path, '..'))).toEqual([])
		const again = new ChainBuilder(path, { mode: 0o640 })
		again.push(record(1))
		again.finish()
		again.discard()
		expect(await readAll(path, nodeFileSystem)).toHaveLength(1)
		expect(statSync(path).mode & 0o777).toBe(0o640)
	})
})

describe('a name in use', () => {
	const refused = (path: string, code: string) =>
		expect(() => new ChainBuilder(path)).toThrow(expect.objectContaining({ code, path }))

	test('by a chain, its sealed files or its watermark is refused, and nothing changes', async () => {
		const path = newChainPath('copy.chain')
		const appender = new FileChainAppender(path, { rotateRecords: 10 })
		for (let seq = 1; seq <= 25; seq++) {
			appender.append(record(seq))
			if (seq % 10 === 0) {
				await appender.sync()
				await new Promise((resolve) => setImmediate(resolve))
			}
		}
		await appender.close()
		const names = readdirSync(join(path, '..')).sort()
		expect(names).toEqual(['copy-1.chain', 'copy-11.chain', 'copy.chain', 'copy.chain.durable'])
		const before = readFileSync(path)
		refused(path, 'CHAIN_EXISTS')
		expect(readFileSync(path)).toEqual(before)
		expect(readdirSync(join(path, '..')).sort()).toEqual(names)
		rmSync(path)
		refused(path, 'CHAIN_EXISTS')
		rmSync(`${path}.durable`)
		refused(path, 'CHAIN_EXISTS')
		for (const name of ['copy-1.chain', 'copy-11.chain']) rmSync(join(path, '..', name))
		writeFileSync(`${path}.durable`, 'no mark that verifies')
		refused(path, 'CHAIN_EXISTS')
		rmSync(`${path}.durable`)
		build(path, some(1))
		expect(await readAll(path, nodeFileSystem)).toHaveLength(1)
	})

	test('by anything else is refused, too', () => {
		const path = newChainPath('copy.chain')
		writeFileSync(path, '')
		refused(path, 'CHAIN_EXISTS')
		expect([readFileSync(path).length, besides(path)]).toEqual([0, []])
		expect(() => new ChainBuilder(join(path, 'below'))).toThrow(
			expect.objectContaining({ code: 'CHAIN_UNWRITABLE' }),
		)
		expect(() => new ChainBuilder('')).toThrow(expect.objectContaining({ code: 'INVALID_PATH' }))
	})

	test('by a file that appeared meanwhile is left to that file', async () => {
		const path = newChainPath('copy.chain')
		const builder = new ChainBuilder(path)
		builder.push(record(1))
		writeFileSync(path, 'somebody else')
		expect(() => builder.finish()).toThrow(expect.objectContaining({ code: 'CHAIN_EXISTS', path }))
		expect([readFileSync(path, 'utf8'), besides(path)]).toEqual(['somebody else', []])
	})

	test('by a writer or another builder is refused as locked', async () => {
		const path = newChainPath('copy.chain')
		const appender = new FileChainAppender(path)
		refused(path, 'CHAIN_LOCKED')
		// A writer whose file was renamed meanwhile.
		renameSync(path, `${path}.old`)
		refused(path, 'CHAIN_LOCKED')
		await appender.close().catch(() => {})

		const other = newChainPath('copy.chain')
		const builder = new ChainBuilder(other)
		refused(other, 'CHAIN_LOCKED')
		expect(() => new FileChainAppender(other)).toThrow(expect.objectContaining({ code: 'CHAIN_LOCKED' }))
		builder.finish()
		await new FileChainAppender(other).close()
	})
})

describe('any failure', () => {
	const PATH = '/chains/copy.chain'
	// More data than fits in memory buffers, so that it is written in several pieces.
	const records = some(12, { message: 'x'.repeat(60_000) })

	test.each(['EIO', 'ENOSPC', 'EACCES', 'EMFILE'])(
		'%s of any one call leaves a whole chain or none, no other file, and a coded error',
		async (code) => {
			const counting = new FaultyFileSystem(new MemoryFileSystem())
			build(PATH, records, counting)
			const calls = counting.calls.length
			// A lock that could not be taken or released has no holder; only its file may stay.
			const locked = counting.calls.findIndex(({ name, path }) => name === 'statSync' && path === PATH)
			const unlocking = counting.calls.findLastIndex(({ name }) => name === 'fstatSync')
			expect(calls).toBeGreaterThan(20)
			const outcomes = { whole: 0, none: 0 }
			for (let index = 0; index < calls; index++) {
				const memory = new MemoryFileSystem()
				const disk = new FaultyFileSystem(memory)
				disk.failOnce(index, code)
				let thrown: unknown
				try {
					build(PATH, records, disk)
				} catch (error) {
					thrown = error
				}
				const call = disk.calls[index]
				const what = `${code} from call ${index}, ${call?.name} ${call?.path ?? ''}`
				if (thrown !== undefined) expect(thrown, what).toBeInstanceOf(MeshChainError)
				const names = memory.readdirSync('/chains')
				// A file that cannot be removed stays.
				const isOfLock = index < locked || index >= unlocking
				const stays = isOfLock ? 'copy.chain.lock' : call?.name === 'unlinkSync' ? basename(call.path!) : ''
				expect(
					names.filter((name) => name !== 'copy.chain' && name !== stays),
					what,
				).toEqual([])
				if (names.includes('copy.chain')) {
					outcomes.whole++
					expect((await readAll(PATH, memory)).length, what).toBe(records.length)
					expect(await verifyChain(PATH, { fs: memory }), what).toMatchObject({ ok: true, findings: [] })
					await new FileChainAppender(PATH, { fs: memory }).close()
				} else {
					outcomes.none++
					expect(thrown, what).toBeDefined()
					// The next attempt succeeds.
					build(PATH, records.slice(0, 2), memory)
					expect(memory.readdirSync('/chains'), what).toEqual(['copy.chain'])
				}
			}
			expect(outcomes.none).toBeGreaterThan(10)
			expect(outcomes.whole).toBeGreaterThan(1)
		},
	)

	test('through a full disk after any part leaves nothing', () => {
		for (let room = 0; room < 800_000; room += 50_000) {
			const memory = new MemoryFileSystem()
			const disk = new FaultyFileSystem(memory)
			disk.roomBytes = room
			let thrown: unknown
			try {
				build(PATH, records, disk)
			} catch (error) {
				thrown = error
			}
			const isWhole = memory.readdirSync('/chains').includes('copy.chain')
			expect(thrown === undefined).toBe(isWhole)
			if (!isWhole) expect(thrown).toMatchObject({ code: 'CHAIN_UNWRITABLE', path: PATH })
			expect(memory.readdirSync('/chains')).toEqual(isWhole ? ['copy.chain'] : [])
		}
	})

	test('through a kill in the middle leaves no chain, and the next build removes the leftovers', async () => {
		const path = newChainPath('copy.chain')
		const line =
			"{ epoch: 1, tsMs: 1, level: 'info', kind: 'log', message: 'x', daemonId: null, nodeId: null }"
		const victim = `
			import { readFileSync, readdirSync } from 'node:fs'
			import { dirname } from 'node:path'
			import { importJsonl } from 'mesh-chain'
			const [path] = process.argv.slice(-1)
			async function* lines() {
				const line = ${line}
				for (let seq = 1; ; seq++) {
					yield Buffer.from(JSON.stringify({ seq, ...line }) + '\\n')
					// A part of it is written by now.
					const name = seq % 1000 === 0 && readdirSync(dirname(path)).find((each) => each.endsWith('.tmp'))
					if (name && readFileSync(dirname(path) + '/' + name).length > 300_000)
						process.kill(process.pid, 'SIGKILL')
				}
			}
			await importJsonl(lines(), path)
		`
		const { signal, stderr } = await runModule(victim, [path])
		expect(signal, stderr).toBe('SIGKILL')
		const left = readdirSync(join(path, '..')).sort()
		expect(left).toEqual([expect.stringMatching(/^copy\.chain\.\d+-[0-9a-f]{8}\.tmp$/), 'copy.chain.lock'])
		await expect(openChain(path)).rejects.toMatchObject({ code: 'CHAIN_NOT_FOUND' })
		build(path, some(5))
		expect(readdirSync(join(path, '..'))).toEqual(['copy.chain'])
		await using chain = await openChain(path)
		expect(await collect(chain.records())).toHaveLength(5)
		expect((await verifyChain(path)).findings).toEqual([])
	})
})
