/**
 * The ring and the appender as one: each record goes into the ring first and then to the appender, and stays pending
 * in the ring until the appender has it.
 *
 * Invariant: a record in the ring is durable as far as the appender promises, or {@link Custody.isPending} is true for it.
 */
import { durabilityOf, type LogChainAppender } from '../appender.ts'
import type { LogAppendError } from '../model/errors.ts'
import type { LogRecord } from '../model/record.ts'
import type { Gap } from '../outbox/gap-list.ts'
import { HealthReporter } from '../outbox/health-reporter.ts'
import { Outbox } from '../outbox/outbox.ts'
import type { OutboxStats } from '../outbox/outbox-stats.ts'
import type { Ring } from './ring.ts'

export interface CustodyOptions {
	readonly appender: LogChainAppender
	readonly ring: Ring
	readonly nextSeq: number
	readonly epoch: number
	readonly clock: () => number
	/** Who reports what goes wrong. */
	readonly source: object
}

export class Custody {
	readonly #ring: Ring
	readonly #appender: LogChainAppender
	readonly #announcer: HealthReporter
	readonly #handover: Outbox
	/** Losses by eviction that were not told of yet. */
	readonly #untold: { readonly gap: Gap; readonly error: LogAppendError | undefined }[] = []
	#evicting = false
	/** Stretches that were given up and may still be in the ring, in order. */
	readonly #refused: { readonly from: number; readonly to: number }[] = []

	constructor(options: CustodyOptions) {
		const { appender, ring, nextSeq, epoch, clock } = options
		this.#ring = ring
		this.#appender = appender
		this.#announcer = new HealthReporter(options.source, appender)
		this.#handover = new Outbox({
			appender,
			queue: ring.queue,
			nextSeq,
			epoch,
			clock,
			evictionCause: 'evicted',
			events: {
				failing: (error) => this.#announcer.failing(error),
				recovered: () => this.#announcer.recovered(),
				lost: (gap, error) => this.#lost(gap, error),
				progress: () => {},
			},
		})
	}

	get committedSeq(): number {
		return this.#handover.committedSeq
	}

	/**
	 * Evicts until the ring can take `records` of `bytes` together. Comes before anything is stamped, because the appender
	 * may publish when it is asked once more.
	 */
	makeRoom(records: number, bytes: number): void {
		if (!this.#ring.isFullFor(records, bytes)) return
		const { queue } = this.#ring
		// Before a record that waits is given up, its appender is asked once more.
		if (queue.first >= this.#handover.needed) this.#handover.pump()
		this.#evicting = true
		try {
			do {
				this.#handover.evicting(queue.first)
				this.#ring.evict()
			} while (this.#ring.isFullFor(records, bytes))
		} finally {
			this.#evicting = false
		}
	}

	/** There is room: {@link makeRoom} was called, and nothing was published since. */
	accept(record: LogRecord, bytes: number): void {
		this.#ring.push(record, bytes)
		this.#handover.pump()
		if (this.#untold.length > 0) this.#tell()
	}

	/** As {@link accept}; `bytes` holds the estimate for each record. */
	acceptBatch(records: readonly LogRecord[], bytes: readonly number[]): void {
		for (let index = 0; index < records.length; index++) this.#ring.push(records[index]!, bytes[index]!)
		this.#handover.pumpBatch(records.length)
		if (this.#untold.length > 0) this.#tell()
	}

	/** Whether a record of the ring is not, or not yet, where the appender promises it to be. */
	isPending(seq: number): boolean {
		if (durabilityOf(this.#appender) === 'none') return false
		return seq > this.committedSeq || this.#refused.some(({ from, to }) => from <= seq && seq <= to)
	}

	flush(): void {
		this.#handover.flush()
	}

	sync(): Promise<void> {
		return this.#handover.sync()
	}

	close(timeoutMs: number): Promise<void> {
		this.#tell()
		return this.#handover.close(timeoutMs)
	}

	stats(): OutboxStats {
		return this.#handover.stats()
	}

	#lost(gap: Gap, error: LogAppendError | undefined): void {
		const { first } = this.#ring.queue
		while (this.#refused.length > 0 && this.#refused[0]!.to < first) this.#refused.shift()
		if (gap.to >= first) this.#refuse(gap.from, gap.to)
		if (this.#evicting) this.#untold.push({ gap, error })
		else this.#announcer.lost(gap, error)
	}

	/** Whoever hears of a loss may publish, and so cause the next one: told when the ring is in order again. */
	#tell(): void {
		for (const { gap, error } of this.#untold.splice(0)) this.#announcer.lost(gap, error)
	}

	#refuse(from: number, to: number): void {
		const last = this.#refused.at(-1)
		if (last !== undefined && last.to + 1 === from)
			this.#refused[this.#refused.length - 1] = { from: last.from, to }
		else this.#refused.push({ from, to })
	}
}
