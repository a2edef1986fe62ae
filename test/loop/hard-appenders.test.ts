/** RELIABILITY, row 17: publishing under load to an appender that is slow, fails, or never answers. */
import { expect, test, vi } from 'vitest'
import type { LogChainAppender } from '../../src/appender.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { LogAppendError } from '../../src/model/errors.ts'
import { type GapData, isGap, type LogRecord } from '../../src/model/record.ts'
import { tellCounts } from '../support/counts.ts'

const RECORDS = 20_000
const RING = 500

/** Takes records as a chain does, without failures. */
class Recording {
	readonly taken: LogRecord[] = []
	take(record: LogRecord): void {
		this.taken.push(record)
	}
}

class Slow extends Recording implements LogChainAppender {
	readonly append = (record: LogRecord): Promise<void> =>
		new Promise((resolve) => setImmediate(() => resolve(this.take(record))))
}

class Failing extends Recording implements LogChainAppender {
	#calls = 0
	readonly append = (record: LogRecord): void => {
		if (++this.#calls % 3 !== 0) throw new LogAppendError('the disk says no')
		this.take(record)
	}
}

class Hanging extends Recording implements LogChainAppender {
	readonly append = (record: LogRecord): void | Promise<void> => {
		if (this.taken.length < 100) this.take(record)
		else return new Promise(() => {})
	}
}

test.each([
	['slow', Slow],
	['failing', Failing],
	['hanging', Hanging],
])(
	'with a %s appender, every record is in the chain, pending, or in a counted gap',
	async (name, Appender) => {
		vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
		const appender = new Appender()
		const loop = new MeshLoop(appender, { ringCapacity: RING })
		let slowestMs = 0
		for (let turn = 0; turn < RECORDS / 100; turn++) {
			for (let count = 0; count < 100; count++) {
				const begun = performance.now()
				loop.info('message', { turn, count })
				slowestMs = Math.max(slowestMs, performance.now() - begun)
			}
			await new Promise((resolve) => setImmediate(resolve))
		}
		const { pending, lost } = loop.stats().appender
		const gaps = appender.taken.filter(isGap)
		const written = appender.taken.length - gaps.length
		expect(written + pending + lost.evicted).toBe(RECORDS)
		expect(pending).toBeLessThanOrEqual(RING + 1)
		let next = 1
		for (const record of appender.taken) {
			const { fromSeq, toSeq } = isGap(record)
				? (record.data as GapData)
				: { fromSeq: record.seq, toSeq: record.seq }
			expect(fromSeq).toBe(next)
			next = toSeq + 1
		}
		// No assertion on time, but a publisher that waits for the appender would take minutes.
		const counts = { published: RECORDS, 'in the chain': written, pending, 'in counted gaps': lost.evicted }
		tellCounts(17, `a ${name} appender`, { ...counts, 'slowest publish, ms': Math.round(slowestMs) })
		vi.restoreAllMocks()
	},
)
