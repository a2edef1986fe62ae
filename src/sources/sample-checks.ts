/**
 * Checks that a sample can be stored. Remembers the last time and the type for as long as the source is
 * known.
 */
import { types } from 'node:util'
import { SAMPLE_TIME_MIN_MS, SAMPLE_TIME_WINDOW_MS } from '../model/limits.ts'
import { TIME_MAX_MS } from '../platform/time-limits.ts'

/** Why a received sample was not stored. */
export type CheckVerdict = 'timestamp' | 'order' | 'type'

/** What the checks remember through pauses and restarts. */
export interface CheckMemory {
	/** Time of the last stored sample, by the source's own clock. */
	lastMs: number | undefined
	/** Type of the first value that had one. */
	type: string | undefined
}

/** The result of a check: the type of the value, and why the sample is dropped, if it is. */
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
	 * @param tsMs by the source's own clock; undefined for a source without one: samples are then in the order
	 * of arrival, and there is no time to check.
	 * @param isFirst whether this is the first sample since the source (re)connected. Its time may be long
	 * past, because many sources send their last value again. No sample may be more than half an hour in the
	 * future: it would shut out all that follow until then.
	 */
	judge(value: unknown, tsMs: unknown, nowMs: number, isFirst: boolean): Judged {
		const type = typeOf(value)
		return { type, verdict: this.#judgeTime(tsMs, nowMs, isFirst) ?? this.#judgeType(type) }
	}

	/** Remembers a sample that passed. */
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
	 * The earliest time allowed. A last time in the future does not bind a sample that is not: the clock was
	 * corrected.
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

/** The type of a value, in the words of sources; undefined for something that is not a value. */
export function typeOf(value: unknown): string | undefined {
	if (value === null) return 'null'
	if (typeof value === 'object') return classOf(value)
	return ['number', 'string', 'boolean', 'bigint'].includes(typeof value) ? typeof value : undefined
}

function classOf(value: object): string | undefined {
	// A proxy may throw when it is inspected.
	if (types.isProxy(value)) return 'object'
	if (Array.isArray(value)) return 'array'
	if (types.isDate(value)) return 'date'
	return types.isUint8Array(value) ? 'bytes' : 'object'
}
