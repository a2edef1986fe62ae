import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { SaveSchedule } from '../../src/consume/save-schedule.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function scheduled() {
	const saves: number[] = []
	const schedule = new SaveSchedule({ saveIntervalRecords: 3, saveIntervalMs: 100 }, () => {
		schedule.cancel()
		saves.push(Date.now())
	})
	vi.setSystemTime(0)
	return { schedule, saves }
}

test('a save is due once enough records are unsaved', () => {
	const { schedule } = scheduled()
	expect([2, 3, 4].map((unsaved) => schedule.isDue(unsaved))).toEqual([false, true, true])
})

test('a scheduled save runs once, an interval after the first call', () => {
	const { schedule, saves } = scheduled()
	schedule.later()
	vi.advanceTimersByTime(60)
	schedule.later()
	vi.advanceTimersByTime(1000)
	expect(saves).toEqual([100])
	schedule.later()
	vi.advanceTimersByTime(1000)
	expect(saves).toEqual([100, 1160])
})

test('a cancelled save does not run, and a stopped schedule takes no other', () => {
	const { schedule, saves } = scheduled()
	schedule.later()
	schedule.cancel()
	vi.advanceTimersByTime(1000)
	schedule.later()
	schedule.stop()
	schedule.later()
	vi.advanceTimersByTime(1000)
	expect([saves, vi.getTimerCount()]).toEqual([[], 0])
})
