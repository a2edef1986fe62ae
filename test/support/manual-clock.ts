/** A clock that a test advances by hand. */
import type { ReplayClock } from '../../src/replay/clock.ts'

interface Timer {
	readonly atMs: number
	readonly callback: () => void
}

export class ManualClock implements ReplayClock {
	#nowMs = 0
	readonly #timers = new Set<Timer>()
	/** Longest wait for a time so far. */
	longestWaitMs = 0

	now(): number {
		return this.#nowMs
	}

	after(ms: number, callback: () => void): () => void {
		this.longestWaitMs = Math.max(this.longestWaitMs, ms)
		const timer = { atMs: this.#nowMs + ms, callback }
		this.#timers.add(timer)
		return () => void this.#timers.delete(timer)
	}

	/** Advances time. Waits that end in between are resolved at their time. */
	async advance(ms: number): Promise<void> {
		const until = this.#nowMs + ms
		for (;;) {
			await settled()
			const [next] = [...this.#timers].sort((a, b) => a.atMs - b.atMs)
			if (next === undefined || next.atMs > until) break
			this.#timers.delete(next)
			this.#nowMs = Math.max(this.#nowMs, next.atMs)
			next.callback()
		}
		this.#nowMs = until
		await settled()
	}

	/** Advances time from one wait to the next, until `done` settles. */
	async runUntil(done: Promise<unknown>): Promise<void> {
		let isDone = false
		const ended = () => {
			isDone = true
		}
		done.then(ended, ended)
		while (!isDone) {
			await settled()
			const waits = [...this.#timers].map(({ atMs }) => atMs)
			if (!isDone && waits.length > 0) await this.advance(Math.max(0, Math.min(...waits) - this.#nowMs))
		}
	}

	/** Advances time at once, as if the process had been busy. */
	jump(ms: number): void {
		this.#nowMs += ms
	}
}

/** Resolves when everything that does not depend on time has happened. */
export async function settled(): Promise<void> {
	for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}
