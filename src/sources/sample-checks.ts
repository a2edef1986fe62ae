/**
 * Checks whether samples can be stored. The newest time and the type are remembered for as long as the source
 * is in the registry.
 */
import { types } from 'node:util'
import { SAMPLE_TIME_MIN_MS, SAMPLE_TIME_WINDOW_MS } from '../model/limits.ts'
import { TIME_MAX_MS } from '../platform/time-limits.ts'

/** Reason for dropping a received sample. */
export type CheckVerdict = 'timestamp' | 'order' | 'type'

/** The state of the checks, which survives pauses and restarts. */
export interface CheckMemory {
	/** Newest time among the samples that entered the queue, from the source's own clock. */
	lastMs: number | undefined
	/** Type of the first value that was not `null`. */
	type: string | undefined
}

/** The result of a check: the value's type, and the reason if the sample must be dropped. */
export interface Judged {
	readonly verdict: CheckVerdict | undefined
	readonly type: string | undefined
}

/** The checks of one source. */
export class SampleChecks {
	readonly memory: CheckMemory

	constructor(memory: CheckMemory) {
		this.memory = memory
	}

	/**
	 * Checks a sample.
	 *
	 * @param tsMs Time from the source's own clock; undefined for a source without a clock, in which case the
	 * time checks are skipped.
	 * @param isFirst Whether this is the first sample since the source connected or reconnected. The time of
	 * the first sample may be far in the past, because many sources resend their last value. The time of any
	 * other sample must be within half an hour of the current time. No time may be more than half an hour in
	 * the future.
	 */
	judge(value: unknown, tsMs: unknown, nowMs: number, isFirst: boolean): Judged {
		const type = typeOf(value)
		return { type, verdict: this.#judgeTime(tsMs, nowMs, isFirst) ?? this.#judgeType(type) }
	}

	/** Records a sample that entered the queue. */
	accept(type: string | undefined, tsMs: number | undefined, nowMs: number): void {
		if (type !== 'null' && type !== undefined) this.memory.type ??= type
		if (tsMs === undefined) return
		this.memory.lastMs = Math.max(this.#lastMs(tsMs, nowMs) ?? tsMs, tsMs)
	}

	#judgeTime(tsMs: unknown, nowMs: number, isFirst: boolean): CheckVerdict | undefined {
		if (tsMs === undefined) return undefined
		if (typeof tsMs !== 'number' || !(Math.abs(tsMs) <= TIME_MAX_MS)) return 'timestamp'
		const isTooNew = tsMs - nowMs > SAMPLE_TIME_WINDOW_MS
		const isTooOld = tsMs < SAMPLE_TIME_MIN_MS || nowMs - tsMs > SAMPLE_TIME_WINDOW_MS
		if (isTooNew || (isTooOld && !isFirst)) return 'timestamp'
		const lastMs = this.#lastMs(tsMs, nowMs)
		return lastMs !== undefined && tsMs < lastMs ? 'order' : undefined
	}

	/**
	 * Returns the earliest allowed time; undefined if every time is allowed. If the last time is in the future
	 * but the sample's time is not, the clock was corrected, so the last time is ignored.
	 */
	#lastMs(tsMs: number, nowMs: number): number | undefined {
		const { lastMs } = this.memory
		return lastMs === undefined || (lastMs > nowMs && tsMs <= nowMs) ? undefined : lastMs
	}

	#judgeType(type: string | undefined): CheckVerdict | undefined {
		if (type === undefined) return 'type'
		return type === 'null' || (this.memory.type ?? type) === type ? undefined : 'type'
	}
}

/** Returns the name of a value's type; undefined if the argument is not a value. */
export function typeOf(value: unknown): string | undefined {
	if (value === null) return 'null'
	if (typeof value === 'object') return classOf(value)
	return ['number', 'string', 'boolean', 'bigint'].includes(typeof value) ? typeof value : undefined
}

function classOf(value: object): string | undefined {
	// A proxy may throw during inspection.
	if (types.isProxy(value)) return 'object'
	if (Array.isArray(value)) return 'array'
	if (types.isDate(value)) return 'date'
	return types.isUint8Array(value) ? 'bytes' : 'object'
}
