import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openChain } from '../../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../../src/chain/write/file-chain-appender.ts'
import type { FileChainOptions } from '../../../src/chain/write/file-chain-options.ts'
import { countToRemove, type RetainedFile } from '../../../src/chain/write/retention.ts'
import { newChainPath } from '../../support/chains.ts'
import { record } from '../../support/records.ts'

const HOUR = 3_600_000
const START = Date.UTC(2026, 5, 1)
const WILD = [0, Date.UTC(1999, 0, 1), Date.UTC(2038, 0, 19), Date.UTC(2099, 0, 1), 8.64e15]

/**
 * Writes a record at each time and lets due rotations and retention happen. Restarts before every `every`th
 * record.
 */
async function writeAt(
	times: readonly number[],
	options: FileChainOptions,
	every = Number.POSITIVE_INFINITY,
	settled = async (_appender: FileChainAppender): Promise<void> => {},
): Promise<{ readonly records: number; readonly files: number; readonly retained: number }> {
	const path = newChainPath()
	let now = times[0]!
	const all = { clock: () => now, ...options }
	let appender = new FileChainAppender(path, all)
	for (const [index, time] of times.entries()) {
		now = time
		if (index > 0 && index % every === 0) {
			await appender.close()
			appender = new FileChainAppender(path, all)
		}
		appender.append(record(appender.nextSeq, { epoch: appender.epoch }))
		appender.flush()
		for (let turn = 0; turn < 4; turn++) {
			await appender.sync()
			await new Promise((resolve) => setImmediate(resolve))
		}
	}
	await settled(appender)
	await appender.close()
	const chain = await openChain(path)
	const { records, segments, gaps } = await chain.info()
	await chain.close()
	return { records, files: segments.length, retained: gaps.byCause['retained'] ?? 0 }
}

const hours = (count: number) => Array.from({ length: count }, (_unused, index) => START + index * HOUR)

/** Hours with single wild readings in between, never two in a row. */
const spiked = fc
	.array(fc.option(fc.constantFrom(...WILD), { freq: 3 }), { minLength: 8, maxLength: 24 })
	.map((wild) =>
		hours(wild.length).map((time, index) =>
			(index === 0 ? null : wild[index - 1]) === null ? (wild[index] ?? time) : time,
		),
	)

test('a file begun under a wrong clock is still rotated by age', async () => {
	for (const wild of WILD) {
		const { files } = await writeAt([wild, ...hours(8)], { rotateAgeMs: HOUR })
		expect(files).toBeGreaterThanOrEqual(8)
	}
})

test('repeated wild readings remove nothing younger than ageMs, even across restarts', async () => {
	const property = fc.asyncProperty(spiked, fc.integer({ min: 2, max: 9 }), async (times, every) => {
		const options = { rotateAgeMs: HOUR, retain: { ageMs: 100 * HOUR } }
		const { records, files, retained } = await writeAt(times, options, every)
		expect({ records, retained }).toEqual({ records: times.length, retained: 0 })
		expect(files).toBeGreaterThan(times.length / 3)
	})
	// Three wrong readings in order outnumbered the right ones when the last of them counted twice.
	const wrongInOrder = [0, START + HOUR, 0, ...hours(5).slice(3), Date.UTC(1999, 0, 1), ...hours(8).slice(6)]
	await fc.assert(property, { numRuns: 12, examples: [[wrongInOrder, 2]] })
}, 120_000)

test('files that start at wrong readings, never two in a row, are never too old', () => {
	const property = fc.property(spiked, (times) => {
		for (const [index, time] of times.entries()) {
			if (index === 0) continue
			const files = times.slice(0, index + 1).map((begunMs, at): RetainedFile => {
				return { path: `${at}`, firstSeq: at + 1, bytes: 1, records: 1, begunMs }
			})
			// The reading that starts the live file is also the present time, bounded by the reading before it.
			const nowMs = Math.min(time, times[index - 1]! + HOUR)
			const removed = countToRemove(files.slice(0, -1), files.at(-1)!, { ageMs: 100 * HOUR }, nowMs)
			expect([times, index, removed]).toEqual([times, index, 0])
		}
	})
	fc.assert(property, { numRuns: 2_000 })
})

test('a clock that is wrong for any single call removes nothing', async () => {
	const property = fc.asyncProperty(fc.nat(60), fc.constantFrom(...WILD), async (at, wild) => {
		let calls = 0
		let now = START
		const options = {
			rotateRecords: 2,
			retain: { ageMs: 100 * HOUR },
			clock: () => (calls++ === at ? wild : now++),
		}
		const { records, retained } = await writeAt(hours(12), options, 5)
		expect({ records, retained }).toEqual({ records: 12, retained: 0 })
	})
	await fc.assert(property, { numRuns: 12 })
}, 120_000)

test('files older than ageMs are removed, even if a clock was wrong meanwhile', async () => {
	const property = fc.asyncProperty(spiked, async (times) => {
		const options = { rotateAgeMs: HOUR, retain: { ageMs: 2 * HOUR } }
		const all = [...times, ...hours(30).slice(times.length)]
		const settled = async (appender: FileChainAppender) => {
			// This needs another reading of the clock, some time after the last one.
			const kept = () => all.length - appender.stats().removedRecords
			await expect.poll(kept, { timeout: 20_000 }).toBeLessThanOrEqual(6)
		}
		const { records } = await writeAt(all, options, undefined, settled)
		expect(records).toBeLessThanOrEqual(6)
	})
	await fc.assert(property, { numRuns: 5 })
}, 120_000)

test('one wrong file time never makes retention remove more files', () => {
	const file = fc.record({ hours: fc.integer({ min: 1, max: 20 }) })
	const property = fc.property(
		fc.array(file, { minLength: 3, maxLength: 12 }),
		fc.nat(11),
		fc.constantFrom(...WILD, Number.NaN),
		fc.integer({ min: 1, max: 60 }),
		(files, index, wild, ageHours) => {
			let begunMs = START
			const right: RetainedFile[] = files.map((each, at) => {
				begunMs += each.hours * HOUR
				return { path: `${at}`, firstSeq: at + 1, bytes: 1, records: 1, begunMs }
			})
			const nowMs = begunMs + HOUR
			const count = (all: readonly RetainedFile[]) =>
				countToRemove(all.slice(0, -1), all.at(-1)!, { ageMs: ageHours * HOUR }, nowMs)
			const wrong = right.map((each, at) => (at === index % right.length ? { ...each, begunMs: wild } : each))
			expect(count(wrong)).toBeLessThanOrEqual(count(right))
			// At most the files next to the wrong one are kept longer.
			expect(count(wrong)).toBeGreaterThanOrEqual(count(right) - 2)
		},
	)
	fc.assert(property, { numRuns: 2_000 })
})
