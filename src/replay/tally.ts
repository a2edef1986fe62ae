/**
 * The counters of a replay. They track which records are for the target, which records were delivered, and
 * where to resume.
 */
import { hush } from '../guard/hush.ts'
import { discard } from '../guard/promises.ts'
import { messageOf } from '../guard/values.ts'
import { GAP_KIND, gapDataOf, type LogRecord } from '../model/record.ts'
import { warn } from '../platform/diagnostics.ts'
import type { ReplayClock } from './clock.ts'
import type { Pacer } from './pacer.ts'
import type { ReplayProgress, ReplaySummary } from './replay-summary.ts'
import type { TargetWriter } from './target-writer.ts'

/** The replay options that the counters use. */
export interface TallyOptions {
	/** Chain id in the origin of records that have no origin yet. */
	readonly sourceId: string
	readonly keepsGaps: boolean
	readonly pacer: Pacer
	readonly clock: ReplayClock
	readonly onProgress: ((progress: ReplayProgress) => void) | undefined
	readonly progressIntervalMs: number
}

/** The counters of one replay. */
export class Tally {
	readonly #options: TallyOptions
	readonly #delivery: TargetWriter
	readonly #gaps = { count: 0, records: 0 }
	readonly #outstanding = new Set<LogRecord>()
	readonly #begunMs: number
	#filtered = 0
	#lateMsMax = 0
	#first: LogRecord | undefined
	#last: LogRecord | undefined
	#nextSeq: number | undefined
	#toldMs: number
	#saidFailing = false
	/** Number of deliveries started. */
	taken = 0

	constructor(delivery: TargetWriter, options: TallyOptions) {
		this.#delivery = delivery
		this.#options = options
		this.#begunMs = options.clock.now()
		this.#toldMs = this.#begunMs
	}

	/** Counts a record that the filter excludes. */
	filtered(): void {
		this.#filtered++
	}

	/**
	 * Returns a record for the target, with its original identity as the origin. Returns undefined if the
	 * record is not for the target.
	 */
	forTarget(record: LogRecord): LogRecord | undefined {
		// Gaps from merged chains have an origin, and are counted too.
		if (record.kind === GAP_KIND) {
			this.#gaps.count++
			this.#gaps.records += gapDataOf(record.data)?.count ?? 0
			if (!this.#options.keepsGaps) return undefined
		}
		if (record.origin !== undefined) return record
		const { seq, epoch } = record
		return { ...record, origin: { chainId: this.#options.sourceId, epoch, seq } }
	}

	/** Notes the next record, which may not be due yet. */
	next({ seq }: LogRecord): void {
		this.#nextSeq = seq
	}

	/** Reports a wait as progress. Returns the number of milliseconds until the next report. */
	waiting({ seq, tsMs }: LogRecord, waitMs: number): number {
		const { onProgress, progressIntervalMs, clock } = this.#options
		if (onProgress === undefined || this.#last === undefined) return Number.POSITIVE_INFINITY
		const silentMs = clock.now() - this.#toldMs
		if (silentMs < progressIntervalMs) return progressIntervalMs - silentMs
		this.#tell(this.#last, { waitsFor: { seq, tsMs, waitMs } })
		return progressIntervalMs
	}

	begin(record: LogRecord, lateMs: number): void {
		this.taken++
		this.#lateMsMax = Math.max(this.#lateMsMax, lateMs)
		this.#first ??= record
		this.#last = record
		this.#outstanding.add(record)
		const { onProgress, progressIntervalMs, clock } = this.#options
		if (onProgress === undefined || clock.now() - this.#toldMs < progressIntervalMs) return
		this.#tell(record)
	}

	#tell({ seq, tsMs }: LogRecord, more: Pick<ReplayProgress, 'waitsFor'> = {}): void {
		this.#toldMs = this.#options.clock.now()
		const { replayed, failed } = this.#delivery.counts
		try {
			discard(this.#options.onProgress?.({ replayed, failed, seq, tsMs, ...more }))
		} catch (thrown) {
			hush(thrown)
			if (!this.#saidFailing) warn('HOOK_FAILED', `the onProgress hook failed: ${messageOf(thrown)}`)
			this.#saidFailing = true
		}
	}

	end(record: LogRecord): void {
		this.#outstanding.delete(record)
		// Concurrent deliveries may end out of order.
		this.#nextSeq = Math.max(this.#nextSeq ?? 0, record.seq + 1)
	}

	/** Seq of the first record that was not handled. */
	get nextSeq(): number | undefined {
		const [oldest] = this.#outstanding
		return oldest?.seq ?? this.#nextSeq
	}

	/** Seq to resume from. Records that the target could not keep must be delivered again. */
	get #goOnSeq(): number | undefined {
		const { undeliveredFrom } = this.#delivery
		if (undeliveredFrom === 'first') return this.#first?.seq
		return undeliveredFrom === undefined
			? this.nextSeq
			: Math.min(undeliveredFrom, this.nextSeq ?? undeliveredFrom)
	}

	summary(
		ended: ReplaySummary['ended'],
		skippedBySource: Readonly<Record<string, number>> = {},
	): ReplaySummary {
		return {
			...this.#delivery.counts,
			skipped: { ...skippedBySource, ...(this.#filtered === 0 ? {} : { filtered: this.#filtered }) },
			gaps: { ...this.#gaps },
			firstError: this.#delivery.firstError,
			firstSeq: this.#first?.seq,
			lastSeq: this.#last?.seq,
			fromMs: this.#first?.tsMs,
			toMs: this.#last?.tsMs,
			ended,
			nextSeq: this.#goOnSeq,
			elapsedMs: this.#options.clock.now() - this.#begunMs,
			shortened: this.#options.pacer.shortened,
			lateMsMax: this.#lateMsMax,
		}
	}
}
