/** What a sample must be to be stored. Remembers the last time and the type for as long as the source is known. */
import { types } from 'node:util'
import { SAMPLE_TIME_MIN_MS, SAMPLE_TIME_WINDOW_MS, TIME_MAX_MS } from '../limits.ts'

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
	 * @param isFirst since the source was (re)connected: its time may be far off, because many sources send what they last had.
	 */
	judge(value: unknown, tsMs: unknown, nowMs: number, isFirst: boolean): Judged {
		const type = typeOf(value)
		return { type, verdict: this.#judgeTime(tsMs, nowMs, isFirst) ?? this.#judgeType(type) }
	}

	/** A sample that passed was taken. */
	accept(type: string | undefined, tsMs: number | undefined, nowMs: number): void {
		if (type !== 'null' && type !== undefined) this.memory.type ??= type
		if (tsMs === undefined) return
		// The first sample of a source whose clock is years ahead must not shut out all that come when it was set right.
		const lastMs = Math.min(tsMs, nowMs + SAMPLE_TIME_WINDOW_MS)
		this.memory.lastMs = Math.max(this.memory.lastMs ?? lastMs, lastMs)
	}

	#judgeTime(tsMs: unknown, nowMs: number, isFirst: boolean): CheckVerdict | undefined {
		if (tsMs === undefined) return undefined
		if (typeof tsMs !== 'number' || !(Math.abs(tsMs) <= TIME_MAX_MS)) return 'timestamp'
		const isWithin = tsMs >= SAMPLE_TIME_MIN_MS && Math.abs(tsMs - nowMs) <= SAMPLE_TIME_WINDOW_MS
		if (!isWithin && !isFirst) return 'timestamp'
		return this.memory.lastMs !== null && tsMs < this.memory.lastMs ? 'order' : undefined
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
