/** What a sample must be to be stored. Remembers the last time and the type for as long as the source is known. */
import { types } from 'node:util'
import { SAMPLE_TIME_MIN_MS, SAMPLE_TIME_WINDOW_MS } from '../model/limits.ts'
import { TIME_MAX_MS } from '../platform/time-limits.ts'

/** Why a sample that came in was not stored. */
export type CheckVerdict = 'timestamp' | 'order' | 'type'

/** What outlives flushes, pauses and restarts. */
export interface CheckMemory {
	/** Of the last sample stored, by the source's own clock. */
	lastMs: number | null
	/** Of the first value that had one. */
	type: string | null
}

export interface Judged {
	readonly verdict: CheckVerdict | undefined
	readonly type: string | undefined
}

export class SampleChecks {
	readonly memory: CheckMemory

	constructor(memory: CheckMemory) {
		this.memory = memory
	}

	/**
	 * @param tsMs by the source's own clock; undefined where it has none: then the order is that of arrival, and nothing is to be checked.
	 * @param isFirst since the source was (re)connected: its time may be long past, because many sources send what they last had. No sample may
	 * be from further in the future than half an hour: it would shut out all that follow until then.
	 */
	judge(value: unknown, tsMs: unknown, nowMs: number, isFirst: boolean): Judged {
		const type = typeOf(value)
		return { type, verdict: this.#judgeTime(tsMs, nowMs, isFirst) ?? this.#judgeType(type) }
	}

	/** A sample that passed was taken. */
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

	/** The time that no sample may be before. One in the future does not hold for a sample that is not: the source's clock was set right. */
	#lastMs(tsMs: number, nowMs: number): number | undefined {
		const { lastMs } = this.memory
		return lastMs === null || (lastMs > nowMs && tsMs <= nowMs) ? undefined : lastMs
	}

	#judgeType(type: string | undefined): CheckVerdict | undefined {
		if (type === undefined) return 'type'
		return type === 'null' || (this.memory.type ?? type) === type ? undefined : 'type'
	}
}

/** The type of a value as sources have them; undefined for what is no value. */
export function typeOf(value: unknown): string | undefined {
	if (value === null) return 'null'
	if (typeof value === 'object') return classOf(value)
	return ['number', 'string', 'boolean', 'bigint'].includes(typeof value) ? typeof value : undefined
}

function classOf(value: object): string | undefined {
	// A proxy may throw at whoever looks at it.
	if (types.isProxy(value)) return 'object'
	if (Array.isArray(value)) return 'array'
	if (types.isDate(value)) return 'date'
	return types.isUint8Array(value) ? 'bytes' : 'object'
}
