/**
 * The clock of a replay is foreign code: whatever it returns, a paced replay neither stalls nor loses its
 * pace.
 */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { within } from '../../src/guard/promises.ts'
import { checkClock, systemClock } from '../../src/replay/clock.ts'
import { replay } from '../../src/replay/replay.ts'
import { record } from '../support/records.ts'

const DAY_MS = 86_400_000

/** The time of the system, which the test advances. */
let systemMs = 0

beforeEach(() => {
	systemMs = 5000
	vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
})
afterEach(() => void vi.restoreAllMocks())

/**
 * The result of a sound clock for these readings, each taken 10 ms of system time after the previous one,
 * starting with the first.
 */
function soundReadings(readings: readonly unknown[], waits: readonly number[] = []): readonly number[] {
	vi.spyOn(performance, 'now').mockImplementation(() => systemMs)
	let count = 0
	const clock = checkClock({ now: () => readings[count++] as number, after: () => () => {} })
	const said = readings.map((_, index) => {
		systemMs += 10
		if (waits[index] !== undefined) clock.after(waits[index], () => {})
		return clock.now()
	})
	return said.map((ms) => ms - said[0]!)
}

test.each([
	['a sound clock is used', [100, 103, 103, 200], [0, 3, 3, 100]],
	['one that jumps within a day', [0, DAY_MS, DAY_MS + 1], [0, DAY_MS, DAY_MS + 1]],
	['one huge reading', [100, 1e300, 103, 105], [0, 10, 20, 22]],
	['a huge first reading', [1e300, 100, 103], [0, 10, 13]],
	['the largest numbers', [-Number.MAX_VALUE, Number.MAX_VALUE, 1, 2], [0, 10, 20, 21]],
	['a step back', [100, 50, 53, 60], [0, 10, 13, 20]],
	['a clock that is set forward, and back', [0, 3 * DAY_MS, 3 * DAY_MS + 4, 9, 11], [0, 10, 14, 24, 26]],
	['never a time', [Number.NaN, undefined, 'noon', 5n, null], [0, 10, 20, 30, 40]],
	['occasionally no time', [100, Number.NaN, 120, undefined, 140], [0, 10, 20, 30, 40]],
])('%s', (_name, readings, said) => {
	expect(soundReadings(readings)).toEqual(said)
})

test('a clock that is moved by hand may skip a wait of any length', () => {
	expect(soundReadings([0, 10 * DAY_MS, 20 * DAY_MS], [0, 10 * DAY_MS])).toEqual([
		0,
		10 * DAY_MS,
		10 * DAY_MS + 10,
	])
})

test.each([
	['is huge once', (count: number, ms: number) => (count === 3 ? 1e300 : ms)],
	['is huge at first', (count: number, ms: number) => (count === 1 ? 1e300 : ms)],
	['steps back an hour', (count: number, ms: number) => (count > 3 ? ms - 3_600_000 : ms)],
	['steps back each time', (count: number) => -count * 1000],
	['is no time', () => Number.NaN],
	['alternates between a time and none', (count: number, ms: number) => (count % 2 === 0 ? Number.NaN : ms)],
])('a paced replay whose clock %s ends, and keeps its pace', async (_name, reading) => {
	let count = 0
	const clock = { ...systemClock, now: () => reading(++count, performance.now()) }
	const records = [0, 40, 80, 120].map((ms, index) => record(index + 1, { tsMs: 1_000_000 + ms }))
	const begunMs = performance.now()
	const outcome = await within(
		replay(records, () => {}, { speed: 1, clock }),
		30_000,
	)
	expect(outcome).toMatchObject({ is: 'fulfilled', value: { replayed: 4 } })
	// A timer may fire a little early by the finer clock.
	expect(performance.now() - begunMs).toBeGreaterThanOrEqual(100)
})
