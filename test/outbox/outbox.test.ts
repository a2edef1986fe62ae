import fc from 'fast-check'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { LogChainAppender } from '../../src/appender.ts'
import { TeeAppender } from '../../src/appenders/tee.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { isGap, type LogRecord } from '../../src/model/record.ts'
import { POISON, RETRYABLE, settled } from '../appenders/scripted-appender.ts'
import { warnings } from '../loop/observed.ts'

/**
 * The behaviour of an appender in one call: throws or rejects, now or when the test settles it; or publishes
 * first.
 */
type Act = 'take' | 'fail' | 'refuse' | 'takeLater' | 'failLater' | 'refuseLater' | 'publish'

/** Follows a script, then takes everything. A batch is taken as a whole or not at all. */
class Erratic implements LogChainAppender {
	readonly taken: LogRecord[][] = []
	readonly script: Act[]
	readonly appendBatch?: (records: readonly LogRecord[]) => void | Promise<void>
	readonly inFlightMax: number
	publish: () => void = () => {}
	#later: (() => void)[] = []

	constructor(script: readonly Act[], batches: boolean, inFlightMax = 1) {
		this.inFlightMax = inFlightMax
		this.script = [...script]
		if (batches) this.appendBatch = (records) => this.#act([...records])
	}

	append(record: LogRecord): void | Promise<void> {
		return this.#act([record])
	}

	async settleAll(): Promise<void> {
		while (this.#later.length > 0) {
			for (const settle of this.#later.splice(0)) settle()
			await settled()
		}
	}

	#act(records: LogRecord[]): void | Promise<void> {
		const act = this.script.shift() ?? 'take'
		if (act === 'publish') {
			this.publish()
			return this.#act(records)
		}
		if (act === 'take') return void this.taken.push(records)
		if (act === 'fail') throw RETRYABLE()
		if (act === 'refuse') throw POISON()
		return new Promise((resolve, reject) => {
			this.#later.push(() => {
				if (act === 'takeLater') resolve(void this.taken.push(records))
				else reject(act === 'failLater' ? RETRYABLE() : POISON())
			})
		})
	}
}

/** Returns every seq of the calls, in their order; a gap stands for its range. */
function accountedFor(taken: readonly LogRecord[][]): number[] {
	return taken.flat().flatMap((record) => {
		if (!isGap(record)) return [record.seq]
		const { fromSeq, toSeq } = record.data!
		return Array.from({ length: toSeq - fromSeq + 1 }, (_unused, index) => fromSeq + index)
	})
}

const act = fc.constantFrom<Act>('take', 'fail', 'refuse', 'takeLater', 'failLater', 'refuseLater', 'publish')
const step = fc.oneof(
	{ weight: 5, arbitrary: fc.constant('publish' as const) },
	{ weight: 2, arbitrary: fc.integer({ min: 1, max: 4 }) },
	{ weight: 1, arbitrary: fc.constantFrom('settle' as const, 'wait' as const) },
)

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] }))
afterEach(() => void vi.useRealTimers())

async function run(loop: MeshLoop, appenders: readonly Erratic[], steps: readonly (string | number)[]) {
	const batches: number[][] = []
	for (const appender of appenders) appender.publish = () => void loop.info('inner')
	for (const what of steps) {
		if (what === 'publish') loop.info('hello')
		else if (what === 'wait') vi.advanceTimersByTime(60)
		else if (what === 'settle') for (const appender of appenders) await appender.settleAll()
		else
			batches.push(loop.publishBatch(Array.from({ length: Number(what) }, () => ({}))).map(({ seq }) => seq))
	}
	// Repairs the appender: it refuses nothing from here on, so that every gap is explained.
	for (const appender of appenders) appender.script.length = 0
	for (let round = 0; round < 20; round++) {
		for (const appender of appenders) await appender.settleAll()
		vi.advanceTimersByTime(6000)
	}
	return batches
}

/** Requires what must be true at the end for any appender. */
function expectWhole(
	appender: Erratic,
	published: number,
	batches: readonly number[][],
	dropped: number,
): void {
	const accounted = accountedFor(appender.taken)
	// In order and without repeats; complete unless the appender also refused a gap.
	expect(accounted).toEqual([...new Set(accounted)].sort((a, b) => a - b))
	if (dropped === 0)
		expect(accounted).toEqual(Array.from({ length: published }, (_unused, index) => index + 1))
	if (appender.appendBatch === undefined) return
	const records = appender.taken.flat().filter((record) => !isGap(record))
	const calls = appender.taken
		.filter(([first]) => !isGap(first!))
		.map((call) => call.map(({ seq }) => seq).join('+'))
	for (const batch of batches) {
		const whole = calls.includes(batch.join('+'))
		const present = records.filter(({ seq }) => batch.includes(seq)).length
		expect(present).toBe(whole ? batch.length : 0)
	}
}

test('whatever an appender does, each seq reaches it once and in order, or is in a counted gap', async () => {
	warnings()
	await fc.assert(
		fc.asyncProperty(
			fc.array(act, { maxLength: 40 }),
			fc.array(step, { maxLength: 40 }),
			fc.boolean(),
			fc.integer({ min: 4, max: 8 }),
			async (script, steps, takesBatches, ringCapacity) => {
				const appender = new Erratic(script, takesBatches)
				const loop = new MeshLoop(appender, { ringCapacity })
				const batches = await run(loop, [appender], steps)
				const { published, appender: stats } = loop.stats()
				expectWhole(appender, published, batches, stats.gapsUnwritten)
				const lost = stats.lost.evicted + stats.lost.appendFailed
				expect(stats).toMatchObject({ pending: 0, inFlight: 0, failing: false, appended: published - lost })
				const pending = loop.snapshot().filter(({ chainPending }) => chainPending)
				const taken = new Set(
					appender.taken
						.flat()
						.filter((record) => !isGap(record))
						.map(({ seq }) => seq),
				)
				expect(pending.every(({ seq }) => !taken.has(seq))).toBe(true)
				const durable = loop.snapshot().filter(({ chainPending }) => !chainPending)
				expect(durable.every(({ seq }) => taken.has(seq))).toBe(true)
			},
		),
		{ numRuns: 1000 },
	)
})

test('the same holds for each child of a tee', async () => {
	warnings()
	await fc.assert(
		fc.asyncProperty(
			fc.tuple(fc.array(act, { maxLength: 30 }), fc.array(act, { maxLength: 30 })),
			fc.array(step, { maxLength: 40 }),
			fc.tuple(fc.boolean(), fc.boolean()),
			async (scripts, steps, takesBatches) => {
				const children = scripts.map((script, index) => new Erratic(script, takesBatches[index]!))
				const tee = new TeeAppender(...children)
				const loop = new MeshLoop(tee)
				const batches = await run(loop, children, steps)
				for (const [index, child] of children.entries()) {
					const stats = tee.stats().children[index]!
					expectWhole(child, loop.stats().published, batches, stats.gapsUnwritten)
					expect(stats).toMatchObject({
						pending: 0,
						appended: loop.stats().published - stats.lost.appendFailed,
					})
				}
				expect(tee.stats().queued).toBe(0)
			},
		),
		{ numRuns: 400 },
	)
})

test('an appender with several appends in flight gets each record at least once', async () => {
	warnings()
	await fc.assert(
		fc.asyncProperty(
			fc.array(act, { maxLength: 40 }),
			fc.array(step, { maxLength: 40 }),
			fc.integer({ min: 2, max: 4 }),
			async (script, steps, inFlightMax) => {
				const appender = new Erratic(script, true, inFlightMax)
				const loop = new MeshLoop(appender)
				await run(loop, [appender], steps)
				const { published, appender: stats } = loop.stats()
				const accounted = new Set(accountedFor(appender.taken))
				if (stats.gapsUnwritten === 0) expect(accounted.size).toBe(published)
				expect(stats).toMatchObject({ pending: 0, inFlight: 0, failing: false })
				expect(stats.appended + stats.lost.appendFailed).toBeGreaterThanOrEqual(published)
			},
		),
		{ numRuns: 400 },
	)
})
