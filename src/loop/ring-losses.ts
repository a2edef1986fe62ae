/**
 * Tracks the losses of a loop's outbox: records in the ring that the appender will never receive, and losses
 * that have not been reported yet.
 *
 * Invariant: no loss is reported while the ring is evicting records. An application that is notified of a
 * loss may publish, which could cause another eviction.
 */
import type { LogAppendError } from '../model/errors.ts'
import type { Gap } from '../outbox/gap-list.ts'
import type { HealthReporter } from '../outbox/health-reporter.ts'
import type { RecordQueue } from '../outbox/record-queue.ts'

export class RingLosses {
	readonly #queue: RecordQueue
	readonly #health: HealthReporter
	/** Losses that occurred during an eviction and have not been reported yet. */
	readonly #unreported: { readonly gap: Gap; readonly error: LogAppendError | undefined }[] = []
	/** Lost ranges that may still be in the ring, in order. */
	readonly #lost: { readonly from: number; readonly to: number }[] = []
	/** Whether the ring is evicting records. If true, losses are not reported until {@link report}. */
	evicting = false

	constructor(queue: RecordQueue, health: HealthReporter) {
		this.#queue = queue
		this.#health = health
	}

	get hasUnreported(): boolean {
		return this.#unreported.length > 0
	}

	/** Returns whether a record in the ring is lost: the appender will never receive it. */
	covers(seq: number): boolean {
		return this.#lost.some(({ from, to }) => from <= seq && seq <= to)
	}

	add(gap: Gap, error: LogAppendError | undefined): void {
		const { first } = this.#queue
		while (this.#lost.length > 0 && this.#lost[0]!.to < first) this.#lost.shift()
		if (gap.to >= first) this.#remember(gap.from, gap.to)
		if (this.evicting) this.#unreported.push({ gap, error })
		else this.#health.lost(gap, error)
	}

	/** Reports the losses that occurred during evictions since the last call. */
	report(): void {
		for (const { gap, error } of this.#unreported.splice(0)) this.#health.lost(gap, error)
	}

	#remember(from: number, to: number): void {
		const last = this.#lost.at(-1)
		if (last !== undefined && last.to + 1 === from) {
			this.#lost[this.#lost.length - 1] = { from: last.from, to }
		} else this.#lost.push({ from, to })
	}
}
