/** A clock that only goes when it is told to. */
import type { ReplayClock } from '../../src/replay/clock.ts'

interface Timer {
	readonly atMs: number
	readonly callback: () => void
}

export class ManualClock implements ReplayClock {
	#nowMs = 0
	readonly #timers = new Set<Timer>()
	/** What was waited for at a time, at the longest. */
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

	/** Lets time go by; whatever was waiting for a moment in between runs at that moment. */
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

	/** Lets time go by from one wait to the next, until something is done. */
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

	/** The process was busy: time has gone by, and nobody could look at it. */
	jump(ms: number): void {
		this.#nowMs += ms
	}
}

/** Everything that can happen without time has happened. */
export async function settled(): Promise<void> {
	for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}
