import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { RetrySchedule } from '../../src/platform/retry-schedule.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** Restarts the schedule at each retry, and returns the length of each wait. */
function waitsOf(count: number, minMs: number, maxMs: number): number[] {
	const waits: number[] = []
	let sinceMs = Date.now()
	const schedule = new RetrySchedule(
		() => {
			waits.push(Date.now() - sinceMs)
			sinceMs = Date.now()
			if (waits.length < count) schedule.start()
		},
		minMs,
		maxMs,
	)
	schedule.start()
	vi.runAllTimers()
	return waits
}

test('the waits double from the shortest to the longest', () => {
	expect(waitsOf(6, 50, 300)).toEqual([50, 100, 200, 300, 300, 300])
})

test('a start during a wait has no effect', () => {
	const retry = vi.fn()
	const schedule = new RetrySchedule(retry, 50, 300)
	schedule.start()
	vi.advanceTimersByTime(40)
	schedule.start()
	vi.advanceTimersByTime(10)
	expect(retry).toHaveBeenCalledTimes(1)
	vi.advanceTimersByTime(1000)
	expect(retry).toHaveBeenCalledTimes(1)
})

test('a reset ends the wait, and makes the next one the shortest', () => {
	const retry = vi.fn()
	const schedule = new RetrySchedule(retry, 50, 300)
	schedule.start()
	vi.advanceTimersByTime(50)
	schedule.start()
	schedule.reset()
	vi.advanceTimersByTime(1000)
	expect(retry).toHaveBeenCalledTimes(1)
	schedule.start()
	vi.advanceTimersByTime(50)
	expect(retry).toHaveBeenCalledTimes(2)
})

test('a wait does not keep the process alive', () => {
	vi.useRealTimers()
	const unref = vi.spyOn(global, 'setTimeout')
	const schedule = new RetrySchedule(() => {}, 60_000, 60_000)
	schedule.start()
	const timer = unref.mock.results[0]?.value as NodeJS.Timeout
	expect(timer.hasRef()).toBe(false)
	schedule.reset()
	unref.mockRestore()
})
