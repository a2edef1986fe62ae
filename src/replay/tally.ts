/** What a replay counts on its way: which records the target is to see, what became of them, and where another replay goes on. */

import { hush } from '../guard/hush.ts'
import { discard } from '../guard/promises.ts'
import { messageOf } from '../guard/values.ts'
import { GAP_KIND, gapDataOf, type LogRecord } from '../model/record.ts'
import { warn } from '../platform/diagnostics.ts'
import type { ReplayClock } from './clock.ts'
import type { Pacer } from './pacer.ts'
import type { ReplayProgress, ReplaySummary } from './replay-summary.ts'
import type { TargetWriter } from './target-writer.ts'

export interface TallyOptions {
	/** The chain of records without an origin. */
	readonly sourceId: string
	readonly keepsGaps: boolean
	readonly pacer: Pacer
	readonly clock: ReplayClock
	readonly onProgress: ((progress: ReplayProgress) => void) | undefined
	readonly progressIntervalMs: number
}

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
	/** Records that were begun. */
	taken = 0

	constructor(delivery: TargetWriter, options: TallyOptions) {
		this.#delivery = delivery
		this.#options = options
		this.#begunMs = options.clock.now()
		this.#toldMs = this.#begunMs
	}

	/** A record that the filter does not let through. */
	filtered(): void {
		this.#filtered++
	}

	/** A record as the target is to see it, with its identity; undefined for one that is not meant for it. */
	forTarget(record: LogRecord): LogRecord | undefined {
		// Those of merged chains, which have an origin, among them.
		if (record.kind === GAP_KIND) {
			this.#gaps.count++
			this.#gaps.records += gapDataOf(record.data)?.count ?? 0
			if (!this.#options.keepsGaps) return undefined
		}
		if (record.origin !== undefined) return record
		const { seq, epoch } = record
		return { ...record, origin: { chainId: this.#options.sourceId, epoch, seq } }
	}

	/** The record that comes next, and may have to wait for its time. */
	next({ seq }: LogRecord): void {
		this.#nextSeq = seq
	}

	/** Says what is waited for. Returns after how many milliseconds to ask again. */
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
			if (!this.#saidFailing) warn('HOOK_FAILED', `onProgress of a replay failed: ${messageOf(thrown)}`)
			this.#saidFailing = true
		}
	}

	end(record: LogRecord): void {
		this.#outstanding.delete(record)
		// They may end in another order than they began.
		this.#nextSeq = Math.max(this.#nextSeq ?? 0, record.seq + 1)
	}

	/** The first seq that was not dealt with. */
	get nextSeq(): number | undefined {
		const [oldest] = this.#outstanding
		return oldest?.seq ?? this.#nextSeq
	}

	/** What the target could not keep has to come again. */
	get #goOnSeq(): number | undefined {
		const { undeliveredFrom: unkeptFrom } = this.#delivery
		if (unkeptFrom === 'first') return this.#first?.seq
		return unkeptFrom === undefined ? this.nextSeq : Math.min(unkeptFrom, this.nextSeq ?? unkeptFrom)
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
