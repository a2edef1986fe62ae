/**
 * The behaviour of net-mesh's log chain (net-mesh 0.21: `log_chain`, `logs`, RedEX), row by row: the
 * behaviour that mesh-chain matches, and the faults that it avoids.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import {
	BufferingAppender,
	FileChainAppender,
	LogAppendError,
	type LogChainAppender,
	type LogRecord,
	MeshLoop,
	openChain,
	parseLevel,
	verifyChain,
} from '../../src/index.ts'
import { FaultyFileSystem } from '../support/faulty-file-system.ts'
import { meshChain, runModule } from '../support/process.ts'
import { collect, record } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

const chainPath = () => join(temporaryFolder(), 'node.chain')

async function read(path: string, query = {}): Promise<LogRecord[]> {
	const chain = await openChain(path)
	const records = await collect(chain.records(query))
	await chain.close()
	return records
}

/** Fails until the test repairs it. */
class Failing implements LogChainAppender {
	readonly taken: LogRecord[] = []
	isFailing = true
	append(item: LogRecord): void {
		if (this.isFailing) throw new LogAppendError('the bridge is out')
		this.taken.push(item)
	}
}

describe('Match', () => {
	test('append succeeds, or fails with a reason; a failure never ends the loop', () => {
		vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
		const error = new LogAppendError('the bridge is out')
		expect([error.message, error.reason]).toEqual(['the bridge is out', 'the bridge is out'])
		const loop = new MeshLoop(new Failing())
		expect(loop.info('still here')?.seq).toBe(1)
		expect(loop.stats().appender.lastError).toBe('the bridge is out')
		vi.restoreAllMocks()
	})

	test('NoOp is the default and never fails', async () => {
		const loop = new MeshLoop()
		loop.info('nowhere')
		expect(loop.stats().appender).toMatchObject({ durability: 'none', failing: false, pending: 0 })
		await loop.close()
	})

	test('Buffering holds 16,384; 0 acts as 1; with capacity 2, appends 1 to 5 leave 4 and 5', () => {
		const appender = new BufferingAppender({ capacity: 2 })
		for (let seq = 1; seq <= 5; seq++) appender.append(record(seq))
		expect(appender.captured().map(({ seq }) => seq)).toEqual([4, 5])
		expect(appender.droppedCount).toBe(3)
		appender.clear()
		expect(appender.droppedCount).toBe(3)
		const one = new BufferingAppender({ capacity: 0 })
		const many = new BufferingAppender()
		for (let seq = 1; seq <= 16_385; seq++) {
			one.append(record(seq))
			many.append(record(seq))
		}
		expect([one.captured().length, one.droppedCount]).toEqual([1, 16_384])
		expect([many.captured().length, many.droppedCount]).toEqual([16_384, 1])
	})

	test('the ring holds 2,048 records, first in first out', () => {
		const loop = new MeshLoop()
		for (let index = 0; index < 3000; index++) loop.info('x')
		const seqs = loop.snapshot().map(({ seq }) => seq)
		expect([seqs.length, seqs[0], seqs.at(-1)]).toEqual([2048, 953, 3000])
	})

	test('ring first, then the appender; on failure only the copy in the ring turns chainPending', () => {
		vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
		const appender = new Failing()
		const loop = new MeshLoop(appender)
		loop.info('one', { a: 1 })
		expect(loop.snapshot()).toMatchObject([{ seq: 1, chainPending: true }])
		appender.isFailing = false
		loop.info('two')
		expect(appender.taken.every(({ chainPending }) => !chainPending)).toBe(true)
		expect(loop.snapshot()).toEqual(appender.taken)
		vi.restoreAllMocks()
	})

	test('a filter combines all conditions: level at or above, exact ids, seq above a watermark', () => {
		const loop = new MeshLoop(undefined, { nodeId: 'n' })
		loop.warn('no daemon')
		loop.warn('other daemon', undefined, { daemonId: 'e' })
		loop.info('too low', undefined, { daemonId: 'd' })
		loop.warn('other node', undefined, { daemonId: 'd', nodeId: 'm' })
		loop.error('match', undefined, { daemonId: 'd' })
		const found = loop.snapshot({ level: 'warn', daemonId: 'd', nodeId: 'n', afterSeq: 1 })
		expect(found.map(({ message }) => message)).toEqual(['match'])
		expect(loop.snapshot({ daemonId: 'd', afterSeq: 5 })).toEqual([])
	})

	test('the watermark moves past records that did not match', async () => {
		const loop = new MeshLoop(undefined, { ringCapacity: 4 })
		const cursor = loop.subscribe({ kind: 'wanted' })[Symbol.asyncIterator]()
		const next = cursor.next()
		for (let index = 0; index < 100; index++) loop.info('noise')
		loop.emit('wanted', 1)
		expect((await next).value).toMatchObject({ seq: 101, kind: 'wanted' })
		await loop.close()
	})

	test('reading [from, to) is half-open (fromSeq, toSeq = to - 1), and empty unless from < to', async () => {
		const path = chainPath()
		const appender = new FileChainAppender(path)
		for (let seq = 1; seq <= 10; seq++) appender.append(record(seq))
		await appender.close()
		const range = async (from: number, to: number) =>
			(await read(path, { fromSeq: from, toSeq: to - 1 })).map(({ seq }) => seq)
		expect(await range(3, 6)).toEqual([3, 4, 5])
		expect(await range(3, 3)).toEqual([])
		expect(await range(6, 3)).toEqual([])
	})

	test('a batch is all or nothing, and an empty batch does nothing', async () => {
		const path = chainPath()
		const loop = new MeshLoop(new FileChainAppender(path))
		expect(loop.publishBatch([])).toEqual([])
		const tooLarge = { message: 'x'.repeat(200_000) }
		expect(() => loop.publishBatch([{ message: 'fine' }, ...Array(6).fill(tooLarge)])).toThrow()
		expect(loop.publishBatch([{ message: 'a' }, { message: 'b' }])).toHaveLength(2)
		await loop.close()
		expect((await read(path)).map(({ message }) => message)).toEqual(['a', 'b'])
	})

	test('sync and close always fsync; close is idempotent', async () => {
		const disk = new FaultyFileSystem()
		const loop = new MeshLoop(new FileChainAppender(chainPath(), { fs: disk }))
		const before = disk.syncs
		loop.info('x')
		await loop.sync()
		expect(disk.syncs).toBe(before + 1)
		loop.info('y')
		await Promise.all([loop.close(), loop.close()])
		await loop.close()
		expect(disk.syncs).toBeGreaterThanOrEqual(before + 2)
	})

	test('a failed write is rolled back', () => {
		vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
		const disk = new FaultyFileSystem()
		const path = chainPath()
		const appender = new FileChainAppender(path, { fs: disk })
		const before = readFileSync(path)
		disk.roomBytes = 10
		appender.append(record(1))
		expect(() => appender.flush()).toThrow()
		expect(readFileSync(path)).toEqual(before)
		vi.restoreAllMocks()
	})

	test('if the rollback fails, the segment is sealed and a new one started', async () => {
		vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
		const disk = new FaultyFileSystem()
		const path = chainPath()
		const loop = new MeshLoop(new FileChainAppender(path, { fs: disk }))
		disk.roomBytes = 10
		disk.failTruncates('EIO')
		loop.error('half of it is written')
		disk.heal()
		loop.error('the next one')
		await loop.close()
		expect((await read(path)).map(({ message }) => message)).toEqual([
			'half of it is written',
			'the next one',
		])
		expect(existsSync(path.replace('node.chain', 'node-1.chain'))).toBe(true)
	})

	test('retention by count, bytes and age removes from the start only, whole files at a time', async () => {
		const path = chainPath()
		const loop = new MeshLoop(
			new FileChainAppender(path, { rotateRecords: 10, retain: { records: 30, bytes: 1e6, ageMs: 1e9 } }),
		)
		for (let index = 1; index <= 100; index++) {
			loop.info(`${index}`)
			await loop.sync()
			await new Promise((resolve) => setImmediate(resolve))
		}
		await loop.close()
		const [gap, ...kept] = await read(path)
		expect(gap).toMatchObject({ kind: '$gap', data: { fromSeq: 1, cause: 'retained' } })
		expect(kept.length).toBeLessThanOrEqual(30)
		expect(kept.map(({ seq }) => seq)).toEqual(
			Array.from({ length: kept.length }, (_unused, index) => 101 - kept.length + index),
		)
	})

	test('typed wrappers, and folds', async () => {
		type Events = { deposit: { amount: number }; withdrawal: { amount: number } }
		const path = chainPath()
		const loop = new MeshLoop<Events>(new FileChainAppender(path))
		let heard = 0
		loop.on('deposit', ({ data }) => {
			heard += data?.amount ?? 0
		})
		loop.emit('deposit', { amount: 100 })
		loop.emit('withdrawal', { amount: 30 })
		await loop.close()
		let balance = 0
		for (const { kind, data } of await read(path)) {
			const { amount } = data as { amount: number }
			balance += kind === 'deposit' ? amount : -amount
		}
		expect([heard, balance]).toEqual([100, 70])
	})

	test('levels parse in any case, warning is warn; a bad level ends the command with status 2', async () => {
		expect(['TRACE', 'Debug', ' info ', 'WARNING', 'warn', 'eRRor'].map(parseLevel)).toEqual([
			'trace',
			'debug',
			'info',
			'warn',
			'warn',
			'error',
		])
		expect(() => parseLevel('loud')).toThrow(expect.objectContaining({ code: 'INVALID_LEVEL' }))
		const { status, stderr } = await meshChain(['dump', '/no/such/file', '--level', 'loud'])
		expect(status).toBe(2)
		expect(stderr).toContain('INVALID_LEVEL')
	})

	test('several chains of one kind (logs, audit, failures) coexist in one process', async () => {
		const folder = temporaryFolder()
		const names = ['logs', 'audit', 'failures']
		const loops = names.map((name) => new MeshLoop(new FileChainAppender(join(folder, `${name}.chain`))))
		for (const [index, loop] of loops.entries()) loop.info(`for ${names[index]}`)
		await Promise.all(loops.map((loop) => loop.close()))
		for (const name of names) {
			expect((await read(join(folder, `${name}.chain`))).map(({ message }) => message)).toEqual([
				`for ${name}`,
			])
		}
	})
})

describe('Beat', () => {
	test('seq restarts at 1 on each boot: here it continues, so that a chain has no duplicates', async () => {
		const path = chainPath()
		for (let boot = 0; boot < 3; boot++) {
			const loop = new MeshLoop(new FileChainAppender(path))
			loop.info('up')
			await loop.close()
		}
		expect((await read(path)).map(({ seq, epoch }) => [seq, epoch])).toEqual([
			[1, 1],
			[2, 2],
			[3, 3],
		])
	})

	test('chain_pending is never retried: here it is, in order, by the next publish or a timer', async () => {
		vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
		const appender = new Failing()
		const loop = new MeshLoop(appender)
		loop.info('one')
		loop.info('two')
		appender.isFailing = false
		await expect.poll(() => appender.taken.map(({ message }) => message)).toEqual(['one', 'two'])
		appender.isFailing = true
		loop.info('three')
		appender.isFailing = false
		loop.info('four')
		expect(appender.taken.map(({ seq }) => seq)).toEqual([1, 2, 3, 4])
		vi.restoreAllMocks()
	})

	test('a missing chain looks durable: here it is none, and a refused record stays marked', () => {
		vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
		expect(new MeshLoop().stats().appender.durability).toBe('none')
		const loop = new MeshLoop({
			append() {
				throw new LogAppendError('never', { retryable: false })
			},
		})
		loop.info('refused')
		expect(loop.snapshot()).toMatchObject([{ chainPending: true }])
		vi.restoreAllMocks()
	})

	test('ring evictions and bursts vanish uncounted: here they are counted, with a gap in the chain', () => {
		vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
		const appender = new Failing()
		const loop = new MeshLoop(appender, { ringCapacity: 10 })
		for (let index = 0; index < 100; index++) loop.info('burst')
		appender.isFailing = false
		loop.info('after')
		const { lost } = loop.stats().appender
		expect(lost.evicted + appender.taken.filter(({ kind }) => kind === 'log').length).toBe(101)
		expect(appender.taken[0]).toMatchObject({
			kind: '$gap',
			data: { fromSeq: 1, cause: 'evicted', count: lost.evicted },
		})
		vi.restoreAllMocks()
	})

	test('the seam has no flush or close, and shutdown does not sync: here it does', async () => {
		const calls: string[] = []
		const loop = new MeshLoop({
			append: () => void calls.push('append'),
			flush: () => void calls.push('flush'),
			sync: async () => void calls.push('sync'),
			close: async () => void calls.push('close'),
		})
		loop.info('x')
		loop.flush()
		await loop.close()
		expect(calls.slice(0, 2)).toEqual(['append', 'flush'])
		expect(calls.indexOf('sync')).toBeGreaterThan(0)
		expect(calls.at(-1)).toBe('close')
	})

	test('an appender panic is not caught: here every throw of an appender is caught', () => {
		vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
		for (const thrown of [new TypeError('bug'), 'a text', null, undefined]) {
			const loop = new MeshLoop({
				append() {
					throw thrown
				},
			})
			expect(loop.info('x')?.seq).toBe(1)
			expect(loop.stats().appender.failures).toBe(1)
		}
		vi.restoreAllMocks()
	})

	test('the whole file is loaded into memory: here a chain may be larger than the heap', async () => {
		const path = chainPath()
		const appender = new FileChainAppender(path)
		for (let seq = 1; seq <= 3000; seq++) {
			appender.append(record(seq, { message: 'x'.repeat(50_000) }))
			if (seq % 50 === 0) appender.flush()
		}
		await appender.close()
		const source = `
			import { openChain } from 'mesh-chain'
			const chain = await openChain(process.argv.at(-1))
			let records = 0
			let peak = 0
			for await (const batch of chain.batches()) {
				records += batch.length
				peak = Math.max(peak, process.memoryUsage.rss())
			}
			console.log(JSON.stringify({ records, peakMiB: Math.round(peak / 2 ** 20) }))
		`
		const { stdout } = await runModule(source, [path])
		const { records, peakMiB } = JSON.parse(stdout)
		expect(records).toBe(3000)
		expect(readFileSync(path).length).toBeGreaterThan(140 * 2 ** 20)
		expect(peakMiB).toBeLessThan(140)
	})

	test('there is no writer lock: here a second writer is refused by name', async () => {
		const path = chainPath()
		const first = new FileChainAppender(path)
		expect(() => new FileChainAppender(path)).toThrow(expect.objectContaining({ code: 'CHAIN_LOCKED' }))
		await first.close()
	})

	test('reading from 0 fails beyond 1,024 records: here it works', async () => {
		const path = chainPath()
		const loop = new MeshLoop(new FileChainAppender(path))
		for (let index = 0; index < 5000; index++) loop.info('x')
		await loop.close()
		expect(await read(path, { fromSeq: 0 })).toHaveLength(5000)
		expect((await verifyChain(path)).ok).toBe(true)
	})

	test('there is no dump command: here there is one', async () => {
		const path = chainPath()
		const loop = new MeshLoop(new FileChainAppender(path))
		loop.info('for all to see')
		await loop.close()
		const { stdout } = await meshChain(['dump', path])
		expect(JSON.parse(stdout)).toMatchObject({ message: 'for all to see' })
	})
})
