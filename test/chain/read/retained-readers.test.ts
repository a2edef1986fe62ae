import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Chain } from '../../../src/chain/chain.ts'
import { openChain } from '../../../src/chain/read/open-chain.ts'
import { verifyChain } from '../../../src/chain/verify/verify.ts'
import { FileChainAppender } from '../../../src/chain/write/file-chain-appender.ts'
import { consume } from '../../../src/consume/consume.ts'
import { type GapData, isGap, type LogRecord } from '../../../src/model/record.ts'
import { type FileSystem, nodeFileSystem } from '../../../src/platform/file-system.ts'
import { newChainPath } from '../../support/chains.ts'
import { record } from '../../support/records.ts'

const BOUNDS = { rotateRecords: 10, retain: { records: 40 } }

/**
 * A writer that continues on command, and a file system that gives the command in the middle of a reader's
 * call.
 */
class BusyChain {
	readonly path = newChainPath()
	readonly appender = new FileChainAppender(this.path, BOUNDS)
	/** Number of records to write during each of the reader's next calls; none once the list is empty. */
	bursts: number[] = []
	calls = 0

	async write(count: number): Promise<void> {
		for (let index = 0; index < count; index++) {
			const seq = this.appender.nextSeq
			this.appender.append(record(seq, { level: seq % 3 === 0 ? 'warn' : 'info' }))
			if (index % 5 === 4) await this.appender.sync()
		}
		await this.appender.sync()
		// Lets the due rotation and the following retention happen.
		for (let turn = 0; turn < 3; turn++) {
			await new Promise((resolve) => setImmediate(resolve))
			await this.appender.sync()
		}
	}

	/** A file system for the reader. Writes happen during each of its asynchronous calls. */
	get system(): FileSystem {
		const meanwhile = async <T>(work: () => Promise<T>): Promise<T> => {
			this.calls++
			const count = this.bursts.shift() ?? 0
			if (count > 0) await this.write(count)
			return work()
		}
		return {
			...nodeFileSystem,
			open: (path, flags) => meanwhile(() => nodeFileSystem.open(path, flags)),
			fstat: (fd) => meanwhile(() => nodeFileSystem.fstat(fd)),
			read: (...args) => meanwhile(() => nodeFileSystem.read(...args)),
		}
	}
}

/** Returns the range of seqs that a record covers. Only a gap covers more than its own seq. */
function spanOf(each: LogRecord): readonly [number, number] {
	if (!isGap(each)) return [each.seq, each.seq]
	const { fromSeq, toSeq, cause } = each.data as GapData
	expect(cause).toBe('retained')
	return [fromSeq, toSeq]
}

/** Fails unless the records cover each seq up to at least `toSeq`, in order and once. */
function expectWhole(found: readonly LogRecord[], toSeq: number): void {
	let next = 1
	for (const each of found) {
		const [from, to] = spanOf(each)
		expect(from).toBe(next)
		next = to + 1
	}
	expect(next).toBeGreaterThan(toSeq)
}

const burst = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 2, arbitrary: fc.nat(120) })
const bursts = fc.array(burst, { maxLength: 40 })

/**
 * Runs a reader of one kind against a writer whose bursts happen during any call of the reader or between two
 * of its records.
 */
async function overtaken(
	read: (chain: Chain, busy: BusyChain, between: () => Promise<void>) => Promise<void>,
): Promise<void> {
	const property = fc.asyncProperty(fc.nat(120), bursts, bursts, async (before, during, paces) => {
		const busy = new BusyChain()
		await busy.write(before + 1)
		const chain = await openChain(busy.path, { fs: busy.system })
		await busy.write(during[0] ?? 0)
		busy.bursts = [...during]
		const left = [...paces]
		try {
			await read(chain, busy, () => busy.write(left.shift() ?? 0))
		} finally {
			await chain.close()
			await busy.appender.close()
		}
	})
	await fc.assert(property, { numRuns: 8 })
}

test('retention never ends an iteration over records in order', async () => {
	await overtaken(async (chain, busy, between) => {
		const toSeq = busy.appender.nextSeq - 1
		const found: LogRecord[] = []
		for await (const each of chain.records()) {
			found.push(each)
			if (found.length % 4 === 0) await between()
		}
		expectWhole(found, toSeq)
	})
}, 120_000)

test('batches, newest first, omit nothing that was there at the start', async () => {
	await overtaken(async (chain, busy, between) => {
		const toSeq = busy.appender.nextSeq - 1
		const found: LogRecord[] = []
		for await (const batch of chain.batches({ reverse: true })) {
			found.push(...batch)
			await between()
		}
		expectWhole(found.reverse(), toSeq)
	})
}, 120_000)

for (const [kind, query] of [
	['everything', {}],
	['what a filter passes', { level: 'warn' }],
	['what is on disk', { durableOnly: true }],
] as const) {
	test(`a tail of ${kind} continues, however far it lags`, async () => {
		await overtaken(async (chain, busy, between) => {
			const found: LogRecord[] = []
			await busy.write(3)
			let toSeq = Number.POSITIVE_INFINITY
			for await (const each of chain.tail({ ...query, pollIntervalMs: 2 })) {
				found.push(each)
				if (found.length < 20) {
					await between()
					// Three in a row, one of which passes.
					await busy.write(3)
				} else if (toSeq === Number.POSITIVE_INFINITY) {
					busy.bursts = []
					await busy.write(3)
					toSeq = busy.appender.nextSeq - 3
				}
				if (spanOf(each)[1] >= toSeq) break
			}
			if (kind !== 'what a filter passes') expectWhole(found, toSeq)
			let before = 0
			for (const each of found) {
				const [from, to] = spanOf(each)
				if (!isGap(each)) for (let seq = before + 1; seq < from; seq++) expect(seq % 3).not.toBe(0)
				expect(from).toBeGreaterThan(before)
				before = to
			}
		})
	}, 120_000)
}

test('a consumer receives a gap for missed records and continues', async () => {
	await overtaken(async (chain, busy, between) => {
		const found: LogRecord[] = []
		const handler = async (each: LogRecord) => {
			found.push(each)
			if (found.length % 5 === 0) await between()
		}
		const consumer = consume(chain, 'slow', handler, { pollIntervalMs: 2 })
		await consumer.lag()
		busy.bursts = []
		await busy.write(30)
		const toSeq = busy.appender.nextSeq - 1
		await expect.poll(() => consumer.cursor.seq, { timeout: 20_000 }).toBeGreaterThanOrEqual(toSeq)
		await consumer.close()
		expectWhole(found, toSeq)
	})
}, 120_000)

test('info counts removed records as retained, and verify finds no damage', async () => {
	await overtaken(async (chain, busy) => {
		const toSeq = busy.appender.nextSeq - 1
		const { gaps, records, lastSeq } = await chain.info()
		expect(Object.keys(gaps.byCause).filter((cause) => cause !== 'retained')).toEqual([])
		expect(lastSeq).toBeGreaterThanOrEqual(toSeq)
		expect(records + gaps.records).toBe(lastSeq)
		busy.bursts = Array.from({ length: 12 }, (_unused, index) => (index % 2) * 70)
		const report = await verifyChain(busy.path, { fs: busy.system })
		expect(report.findings.filter(({ severity }) => severity === 'damage')).toEqual([])
		expect(report.ok).toBe(true)
	})
}, 120_000)
