/** A backlog larger than a file, written at once: over several files, with retention between files. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openChain } from '../../../src/chain/read/open-chain.ts'
import { verifyChain } from '../../../src/chain/verify/verify.ts'
import { FileChainAppender } from '../../../src/chain/write/file-chain-appender.ts'
import type { FileChainOptions } from '../../../src/chain/write/file-chain-options.ts'
import { MemoryFileSystem } from '../../support/memory-file-system.ts'
import { collect, record } from '../../support/records.ts'

const PATH = '/disk/node.chain'
const RETAIN_BYTES = 256 * 1024

function filled(options: FileChainOptions, count: number, bytes: number) {
	const fs = new MemoryFileSystem()
	const appender = new FileChainAppender(PATH, { fs, ...options })
	const append = (many: number) => {
		for (let left = many; left > 0; left--) {
			appender.append(record(appender.nextSeq, { message: 'x'.repeat(bytes) }))
		}
	}
	append(1)
	appender.flush()
	fs.capacity = fs.usedBytes
	append(count)
	return { fs, appender, append }
}

const sizesOf = (fs: MemoryFileSystem) =>
	fs.paths.filter((path) => path.endsWith('.chain')).map((path) => fs.get(path).length)

test('every record is there once, and files stay within their bounds, whatever the sizes', async () => {
	const sizes = fc.record({
		count: fc.integer({ min: 1, max: 3_000 }),
		bytes: fc.nat(500),
		rotateBytes: fc.integer({ min: 4096, max: 100_000 }),
		durability: fc.constantFrom('os' as const, 'disk' as const),
	})
	const property = fc.asyncProperty(sizes, async ({ count, bytes, rotateBytes, durability }) => {
		const { fs, appender, append } = filled({ rotateBytes, durability }, count, bytes)
		fs.capacity = Number.POSITIVE_INFINITY
		appender.flush()
		append(3)
		expect(Math.max(...sizesOf(fs))).toBeLessThan(2 * rotateBytes + 24_000)
		expect(appender.stats().pendingRecords).toBe(3)
		await appender.close()
		const report = await verifyChain(PATH, { fs })
		expect(report.findings).toEqual([])
		const chain = await openChain(PATH, { fs })
		const seqs = (await collect(chain.records())).map(({ seq }) => seq)
		await chain.close()
		expect(seqs).toEqual(Array.from({ length: count + 4 }, (_unused, index) => index + 1))
	})
	await fc.assert(property, { numRuns: 40 })
}, 120_000)

test('no second sync of a file starts while one is in flight, and its failure is noticed', async () => {
	const disk = new MemoryFileSystem()
	const inFlight = new Set<number>()
	const twice: number[] = []
	let hangs = true
	let fail: (() => void) | undefined
	const fs = new Proxy(disk, {
		get(target, name) {
			if (name === 'fdatasync' && hangs) {
				return (fd: number) => {
					inFlight.add(fd)
					return new Promise<void>((_resolve, reject) => {
						fail = () => {
							inFlight.delete(fd)
							reject(Object.assign(new Error('EIO'), { code: 'EIO' }))
						}
					})
				}
			}
			const value: unknown = Reflect.get(target, name, target)
			if (typeof value !== 'function') return value
			return (...args: unknown[]) => {
				if (name === 'fdatasyncSync' && inFlight.has(args[0] as number)) twice.push(args[0] as number)
				return Reflect.apply(value, target, args) as unknown
			}
		},
	})
	const appender = new FileChainAppender(PATH, { fs, rotateBytes: 8192 })
	const append = (many: number) => {
		for (let left = many; left > 0; left--) {
			appender.append(record(appender.nextSeq, { message: 'x'.repeat(100) }))
		}
	}
	append(1)
	const synced = appender.sync()
	await expect.poll(() => inFlight.size, { timeout: 20_000 }).toBe(1)
	append(1_000)
	appender.flush()
	expect(twice).toEqual([])
	fail!()
	await expect(synced).rejects.toMatchObject({ code: 'SYNC_FAILED' })
	hangs = false
	await appender.close()
	expect(
		(await verifyChain(PATH, { fs: disk })).findings.filter(({ severity }) => severity === 'damage'),
	).toEqual([])
})

test('with rotateRecords, a backlog fills files up to the bound, as far as frames allow', async () => {
	const { fs, appender } = filled({ rotateRecords: 300 }, 5_000, 10)
	fs.capacity = Number.POSITIVE_INFINITY
	appender.flush()
	expect(appender.stats().segment).toBeGreaterThanOrEqual(9)
	await appender.close()
	expect((await verifyChain(PATH, { fs })).findings).toEqual([])
})

test('a backlog larger than retention keeps exceeds the bound by at most one file', async () => {
	const { fs, appender } = filled({ retain: { bytes: RETAIN_BYTES } }, 10_000, 100)
	fs.capacity = Number.POSITIVE_INFINITY
	let most = 0
	fs.onOperation = () => {
		most = Math.max(
			most,
			sizesOf(fs).reduce((sum, size) => sum + size, 0),
		)
	}
	appender.flush()
	expect(most).toBeLessThan(RETAIN_BYTES + RETAIN_BYTES / 2)
	expect(appender.stats().removedFiles).toBeGreaterThan(10)
	await appender.close()
	expect((await verifyChain(PATH, { fs })).ok).toBe(true)
})

test('on a volume that stays full, the oldest files make room for waiting records', async () => {
	const { fs, appender, append } = filled({ retain: { bytes: RETAIN_BYTES } }, 2, 100)
	fs.capacity = Number.POSITIVE_INFINITY
	for (let turn = 0; turn < 30; turn++) {
		append(100)
		await appender.sync()
	}
	// Other data permanently occupies all but a little of the rest.
	fs.capacity = fs.usedBytes + 8192
	const before = appender.stats().removedFiles
	append(1_000)
	await expect.poll(() => appender.stats().pendingRecords, { timeout: 20_000 }).toBe(0)
	expect(appender.stats().removedFiles).toBeGreaterThan(before)
	await appender.close()
	expect((await verifyChain(PATH, { fs })).ok).toBe(true)
})
