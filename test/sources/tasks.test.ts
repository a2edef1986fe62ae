import pLimit from 'p-limit'
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { Backoff } from '../../src/platform/backoff.ts'
import { MonitorTask } from '../../src/sources/monitor-task.ts'
import { ScanTask } from '../../src/sources/scan-task.ts'

beforeEach(() => {
	vi.useFakeTimers()
	onTestFinished(() => void vi.useRealTimers())
})
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)

describe('a scan', () => {
	function scanOf(
		read: (signal: AbortSignal) => unknown,
		periodMs = 100,
		timeoutMs = 250,
		limit = pLimit(10),
	) {
		const seen = { values: [] as unknown[], failed: [] as string[], missed: 0 }
		const task = new ScanTask(
			{
				read,
				value: (value) => seen.values.push(value),
				failed: (cause) => seen.failed.push((cause as Error).message),
				missed: (periods) => {
					seen.missed += periods
				},
			},
			periodMs,
			timeoutMs,
			limit,
		)
		onTestFinished(() => task.stop())
		return { seen, task }
	}

	test('does not drift, and counts the periods that a slow read takes', async () => {
		const { seen } = scanOf(async () => {
			await new Promise((resolve) => setTimeout(resolve, 150))
			return 1
		})
		await pass(2_010)
		expect([seen.values.length, seen.missed]).toEqual([10, 10])
	})

	test('gives up a read without an answer, and starts none while eight of them hang', async () => {
		let asked = 0
		const { seen } = scanOf(() => {
			asked++
			return new Promise(() => {})
		})
		await pass(10_000)
		expect(asked).toBe(8)
		expect(seen.failed.slice(0, 8)).toEqual(Array(8).fill('the source did not answer within 250 ms'))
		expect(seen.failed.at(-1)).toMatch(/8 reads have not ended/)
	})

	test('takes nothing after it was stopped, and aborts the signal', async () => {
		let signal: AbortSignal | undefined
		const { seen, task } = scanOf(async (given) => {
			signal = given
			await new Promise((resolve) => setTimeout(resolve, 50))
			return 1
		})
		await pass(10)
		await task.stop()
		expect(signal?.aborted).toBe(true)
		await pass(1_000)
		expect(seen).toEqual({ values: [], failed: [], missed: 0 })
	})

	test('has no more reads in flight than the limit allows', async () => {
		let [atOnce, most] = [0, 0]
		const limit = pLimit(2)
		for (let source = 0; source < 5; source++) {
			scanOf(
				async () => {
					most = Math.max(most, ++atOnce)
					await new Promise((resolve) => setTimeout(resolve, 20))
					atOnce--
				},
				100,
				250,
				limit,
			)
		}
		await pass(500)
		expect(most).toBe(2)
	})
})

describe('a subscription', () => {
	test('with eight hanging attempts is not retried before one of them ends', async () => {
		const ends: (() => void)[] = []
		const failed: string[] = []
		const events = {
			push: () => {},
			put: () => undefined,
			lost: () => {},
			failed: (cause: unknown) => failed.push((cause as Error).message),
			abandoned: (ms: number) => failed.push(`abandoned after ${ms} ms`),
		}
		const run = () => new Promise<void>((resolve) => void ends.push(resolve))
		const bounds = { connectTimeoutMs: 50, closeTimeoutMs: 5_000 }
		const task = new MonitorTask(run, events, new Backoff(100), bounds)
		await pass(5_000)
		expect([ends.length, failed.at(-1)]).toEqual([8, expect.stringMatching(/8 attempts have not ended/)])
		ends[0]?.()
		await pass(200)
		expect(ends).toHaveLength(9)
		const stopped = task.stop()
		await pass(5_000)
		await stopped
	})
})
