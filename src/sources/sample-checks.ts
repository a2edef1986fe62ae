/**
 * Checks that a sample can be stored. Keeps the last time and the type as long as the source is registered.
 */
import { types } from 'node:util'
import { SAMPLE_TIME_MIN_MS, SAMPLE_TIME_WINDOW_MS } from '../model/limits.ts'
import { TIME_MAX_MS } from '../platform/time-limits.ts'

/** Why a received sample was not stored. */
export type CheckVerdict = 'timestamp' | 'order' | 'type'

/** The state of the checks, which survives pauses and restarts. */
export interface CheckMemory {
	/** Time of the last stored sample, by the source's own clock. */
	lastMs: number | undefined
	/** Type of the first value that had a type. */
	type: string | undefined
}

/** The result of a check: the type of the value, and the cause if the sample is dropped. */
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
	 * @param tsMs time by the source's own clock; undefined for a source without one, whose samples are in
	 * the order of arrival and have no time to check.
	 * @param isFirst whether this is the first sample since the source (re)connected. Its time may be long
	 * past, because many sources send their last value again. No sample may be more than half an hour in the
	 * future: later samples would be dropped until then.
	 */
	judge(value: unknown, tsMs: unknown, nowMs: number, isFirst: boolean): Judged {
		const type = typeOf(value)
		return { type, verdict: this.#judgeTime(tsMs, nowMs, isFirst) ?? this.#judgeType(type) }
	}

	/** Records a sample that passed. */
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
	 * Returns the earliest time allowed. A last time in the future does not bind a sample with a present
	 * time: the clock was corrected.
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

/** Returns the type of a value, as sources name it; undefined for something that is not a value. */
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
