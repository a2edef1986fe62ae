import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Backoff } from '../../src/platform/backoff.ts'
import { aborted, Sleeper, wait } from '../../src/platform/wait.ts'

beforeEach(() => {
	vi.useFakeTimers()
})

afterEach(() => {
	vi.useRealTimers()
})

/** Tracks whether a promise has resolved. */
function watch(promise: Promise<void>): { isDone: boolean } {
	const watched = { isDone: false }
	void promise.then(() => {
		watched.isDone = true
	})
	return watched
}

test('a wait ends after its time', async () => {
	const waiting = watch(wait(1_000))
	await vi.advanceTimersByTimeAsync(999)
	expect(waiting.isDone).toBe(false)
	await vi.advanceTimersByTimeAsync(1)
	expect(waiting.isDone).toBe(true)
})

test('a wait ends as soon as its signal aborts, and leaves no timer', async () => {
	const over = new AbortController()
	const waiting = watch(wait(1_000, over.signal))
	over.abort()
	await vi.advanceTimersByTimeAsync(0)
	expect(waiting.isDone).toBe(true)
	expect(vi.getTimerCount()).toBe(0)
})

test('a wait with an aborted signal ends at once', async () => {
	const waiting = watch(wait(1_000, AbortSignal.abort()))
	const ended = watch(aborted(AbortSignal.abort()))
	await vi.advanceTimersByTimeAsync(0)
	expect([waiting.isDone, ended.isDone]).toEqual([true, true])
	expect(vi.getTimerCount()).toBe(0)
})

test('a sleeper sleeps until its time is over or it is woken', async () => {
	const sleeper = new Sleeper()
	sleeper.wake()
	const first = watch(sleeper.sleep(1_000))
	await vi.advanceTimersByTimeAsync(999)
	expect(first.isDone).toBe(false)
	sleeper.wake()
	await vi.advanceTimersByTimeAsync(0)
	expect(first.isDone).toBe(true)
	expect(vi.getTimerCount()).toBe(0)
	const second = watch(sleeper.sleep(1_000))
	await vi.advanceTimersByTimeAsync(1_000)
	expect(second.isDone).toBe(true)
})

test('a back-off doubles up to its longest wait, and restarts after a success', () => {
	const backoff = new Backoff(50, 300)
	expect([backoff.next(), backoff.next(), backoff.next(), backoff.next(), backoff.next()]).toEqual([
		50, 100, 200, 300, 300,
	])
	expect([backoff.isAtMax(200), backoff.isAtMax(300)]).toEqual([false, true])
	backoff.reset()
	expect(backoff.next()).toBe(50)
})
