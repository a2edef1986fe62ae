/**
 * The times of a recording are input: whatever they are, a paced replay ends, never waits longer than
 * allowed, and reports the skipped time.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CLOCK_JUMP_MS } from '../../src/model/limits.ts'
import { TIME_MAX_MS } from '../../src/platform/time-limits.ts'
import { replay } from '../../src/replay/replay.ts'
import type { ReplayOptions } from '../../src/replay/replay-options.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { record } from '../support/records.ts'

const T0 = Date.UTC(2026, 5, 1)
const DAY_MS = 86_400_000

async function* recorded(times: readonly number[]) {
	for (const [index, tsMs] of times.entries()) yield record(index + 1, { tsMs })
}

/** The wait for each record but the first, in real time, with the summary. */
async function waitsOf(times: readonly number[], options: ReplayOptions = {}) {
	const clock = new ManualClock()
	const came: number[] = []
	const done = replay(recorded(times), () => void came.push(clock.now()), { speed: 1, clock, ...options })
	await clock.runUntil(done)
	const { replayed, shortened } = await done
	return { replayed, shortened, waits: came.slice(1).map((ms, index) => ms - came[index]!) }
}

test.each([
	['one reading decades ahead', [0, 100, 73 * 365 * DAY_MS, 200, 300], [100, 0, 100, 100], 1],
	['one reading an hour ahead', [0, 100, CLOCK_JUMP_MS + 100, 200, 300], [100, 0, 100, 100], 1],
	['first records from before the clock was set', [-T0, 0, 100, 200], [0, 100, 100], 1],
	['a first record an hour late', [CLOCK_JUMP_MS, 0, 500, 1000], [0, 500, 500], 1],
	[
		'two alternating clocks, ten minutes apart',
		[0, -600_000, 10, -599_990, 20, -599_980],
		[0, 10, 0, 10, 0],
		0,
	],
	['a step back of half an hour', [1_800_000, 0, 300, 600, 900], [0, 300, 300, 300], 1],
	['a step back of less than a gap', [0, 100, 95, 110, 120], [100, 0, 10, 10], 0],
	['a silence of less than an hour', [0, CLOCK_JUMP_MS - 1], [CLOCK_JUMP_MS - 1], 0],
	['the latest and the earliest possible time', [0, TIME_MAX_MS - T0, -T0, 1 - T0], [0, 0, 1], 2],
])('%s', async (_name, times, waits, shortened) => {
	const found = await waitsOf(times.map((ms) => T0 + ms))
	expect(found).toMatchObject({ replayed: times.length, waits, shortened: { count: shortened } })
})

test('gapMsMax shortens longer distances at any speed, and the summary counts them', async () => {
	const times = [T0, T0 + 300, T0 + 5300, T0 + 5400, T0 + 5400 + 10 * DAY_MS, T0 + 5500 + 10 * DAY_MS]
	const { waits, shortened } = await waitsOf(times, { gapMsMax: 1000, speed: 2 })
	expect(waits).toEqual([150, 500, 50, 500, 50])
	expect(shortened).toEqual({ count: 2, ms: 4000 + 10 * DAY_MS - 1000 })
	const all = await waitsOf(times, { gapMsMax: Number.POSITIVE_INFINITY })
	expect(all.shortened).toEqual({ count: 0, ms: 0 })
	expect(all.waits[3]).toBe(10 * DAY_MS)
	expect((await waitsOf(times, { gapMsMax: 0 })).waits).toEqual([0, 0, 0, 0, 0])
	for (const wrong of [-1, Number.NaN, '5s', null]) {
		const replayed = replay(recorded([]), () => {}, { gapMsMax: wrong as never })
		await expect(replayed).rejects.toMatchObject({ code: 'INVALID_OPTION' })
	}
})

test('with any times, each record is delivered in order, and no wait exceeds the bound', async () => {
	const step = fc.oneof(
		{ weight: 4, arbitrary: fc.integer({ min: -2000, max: 5000 }) },
		{ weight: 1, arbitrary: fc.integer({ min: -T0, max: TIME_MAX_MS - T0 }) },
	)
	const bound = fc.option(fc.integer({ min: 0, max: 10_000 }), { nil: undefined })
	await fc.assert(
		fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), bound, async (steps, gapMsMax) => {
			let nowMs = T0
			const times = steps.map((ms) => {
				nowMs = Math.min(TIME_MAX_MS, Math.max(0, nowMs + ms))
				return nowMs
			})
			const { replayed, waits } = await waitsOf(times, gapMsMax === undefined ? {} : { gapMsMax })
			expect(replayed).toBe(times.length)
			expect(Math.max(0, ...waits)).toBeLessThanOrEqual(gapMsMax ?? CLOCK_JUMP_MS)
		}),
		{ numRuns: 150 },
	)
})
