/**
 * The losses of a loop's outbox: the records of the ring that the appender will never get, and when a loss is
 * reported.
 *
 * Invariant: no loss is reported while the ring evicts. An application that hears of a loss may publish, and
 * so cause the next eviction.
 */
import type { LogAppendError } from '../model/errors.ts'
import type { Gap } from '../outbox/gap-list.ts'
import type { HealthReporter } from '../outbox/health-reporter.ts'
import type { RecordQueue } from '../outbox/record-queue.ts'

export class RingLosses {
	readonly #queue: RecordQueue
	readonly #health: HealthReporter
	/** Losses during an eviction that have not been reported yet. */
	readonly #unreported: { readonly gap: Gap; readonly error: LogAppendError | undefined }[] = []
	/** Lost ranges that may still be in the ring, in order. */
	readonly #lost: { readonly from: number; readonly to: number }[] = []
	/** Whether the ring is evicting; losses are then kept until {@link report}. */
	evicting = false

	constructor(queue: RecordQueue, health: HealthReporter) {
		this.#queue = queue
		this.#health = health
	}

	get hasUnreported(): boolean {
		return this.#unreported.length > 0
	}

	/** Tells whether the appender will never get a record of the ring. */
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

	/** Reports the losses of the last evictions. */
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
