/**
 * The losses of a loop's outbox: which records of the ring the appender will never get, and when people hear
 * of them.
 *
 * Invariant: nobody is told of a loss while the ring evicts. A program that hears of one may publish, and so
 * cause the next eviction.
 */
import type { LogAppendError } from '../model/errors.ts'
import type { Gap } from '../outbox/gap-list.ts'
import type { HealthReporter } from '../outbox/health-reporter.ts'
import type { RecordQueue } from '../outbox/record-queue.ts'

export class RingLosses {
	readonly #queue: RecordQueue
	readonly #health: HealthReporter
	/** Losses during an eviction that have not been reported. */
	readonly #unreported: { readonly gap: Gap; readonly error: LogAppendError | undefined }[] = []
	/** Ranges that were lost and may still be in the ring, in order. */
	readonly #lost: { readonly from: number; readonly to: number }[] = []
	/** Set while the ring evicts: losses are kept until {@link report}. */
	evicting = false

	constructor(queue: RecordQueue, health: HealthReporter) {
		this.#queue = queue
		this.#health = health
	}

	get hasUnreported(): boolean {
		return this.#unreported.length > 0
	}

	/** Whether a record of the ring was lost to the appender. */
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
