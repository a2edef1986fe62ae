/** What a loop can be told, the defaults, and the check of both. */

import { show } from '../guard/show.ts'
import { checkOptionNames, checkTimerMs, checkWholeNumber } from '../model/check.ts'
import { MeshChainError } from '../model/errors.ts'
import {
	CLOSE_TIMEOUT_MS_DEFAULT,
	NESTED_DELIVERIES_DEFAULT,
	NESTED_DEPTH_DEFAULT,
	RING_CAPACITY_DEFAULT,
} from '../model/limits.ts'
import { checkId, invalidLevel } from '../model/line-check.ts'
import { type Fields, type Id, type LogLevel, type LogLine, levelIndex } from '../model/record.ts'

/** Fields that a `context` or a child adds to each line. */
export interface ScopeFields extends Fields {
	/** Merged into the line's data, key by key; the line's own keys win. */
	readonly data?: Readonly<Record<string, unknown>>
}

export interface MeshLoopOptions {
	/** The `nodeId` of every line that does not bring its own. Default null. */
	readonly nodeId?: Id | null
	/** Lines below it are counted and not built. Default `'trace'`: everything is kept. */
	readonly level?: LogLevel
	/** Records in the ring, from 1; default 2,048. */
	readonly ringCapacity?: number
	/** Estimated bytes in the ring, from 1; no bound by default. The newest record stays, however large. */
	readonly ringBytesMax?: number
	/** Milliseconds since 1970 UTC. Default `Date.now`, which also stands in when this throws or gives no time. */
	readonly clock?: () => number
	/**
	 * Asked for each line at or above the level, e.g. to read an `AsyncLocalStorage`. When it throws, the line goes on
	 * without it, counted. A child's fields and the line's own win over it.
	 */
	readonly context?: () => ScopeFields | undefined
	/**
	 * Sees each line as it would be published, and gives the line to publish instead: to drop secrets, for one. null
	 * drops the line, counted; a throw, a promise or something that is no line removes message and data, counted.
	 */
	readonly transform?: (line: LogLine) => LogLine | null
	/**
	 * How many listeners there may be between a record and the publisher that started it, where listeners publish. A record beyond it is kept, but
	 * no listener gets it; it is counted as `recursionCut`. Whole number from 1, default 10,000. However deep, the stack does not grow.
	 */
	readonly nestedDepthMax?: number
	/** The same for all deliveries together that one outermost `publish` leads to. Whole number from 1, default 65,536. */
	readonly nestedDeliveriesMax?: number
	/**
	 * How long `close` waits for an appender that answers nothing: half for its appends in flight, the rest for its `sync` and its `close`. What was given up
	 * is counted, and `close` rejects. An appender with a `closeTimeoutMs` of its own is waited for so long. Whole number from 1, default 3,000 ms.
	 */
	readonly closeTimeoutMs?: number
}

/** The options in full. */
export interface ResolvedLoopOptions {
	readonly nodeId: Id | null
	readonly level: LogLevel
	readonly ringCapacity: number
	readonly ringBytesMax: number
	readonly clock: (() => number) | undefined
	readonly context: (() => ScopeFields | undefined) | undefined
	readonly transform: ((line: LogLine) => LogLine | null) | undefined
	readonly nestedDepthMax: number
	readonly nestedDeliveriesMax: number
	readonly closeTimeoutMs: number
}

export const LOOP_DEFAULTS: ResolvedLoopOptions = Object.freeze({
	nodeId: null,
	level: 'trace',
	ringCapacity: RING_CAPACITY_DEFAULT,
	ringBytesMax: Number.POSITIVE_INFINITY,
	clock: undefined,
	context: undefined,
	transform: undefined,
	nestedDepthMax: NESTED_DEPTH_DEFAULT,
	nestedDeliveriesMax: NESTED_DELIVERIES_DEFAULT,
	closeTimeoutMs: CLOSE_TIMEOUT_MS_DEFAULT,
})

/** @throws {MeshChainError} `INVALID_OPTION`, `INVALID_LEVEL`, `INVALID_ID` */
export function resolveLoopOptions(options: MeshLoopOptions): ResolvedLoopOptions {
	checkOptionNames(options, Object.keys(LOOP_DEFAULTS))
	const given = { ...LOOP_DEFAULTS, ...withoutUndefined(options) }
	checkId('nodeId', given.nodeId)
	if (levelIndex(given.level) < 0) throw invalidLevel(given.level)
	checkWholeNumber('ringCapacity', given.ringCapacity, 1)
	if (given.ringBytesMax !== Number.POSITIVE_INFINITY) checkWholeNumber('ringBytesMax', given.ringBytesMax, 1)
	checkWholeNumber('nestedDepthMax', given.nestedDepthMax, 1)
	checkWholeNumber('nestedDeliveriesMax', given.nestedDeliveriesMax, 1)
	checkTimerMs('closeTimeoutMs', given.closeTimeoutMs)
	for (const name of ['clock', 'context', 'transform'] as const) {
		if (given[name] === undefined || typeof given[name] === 'function') continue
		throw new MeshChainError('INVALID_OPTION', `${name} must be a function, not ${show(given[name])}`)
	}
	return Object.freeze(given)
}

function withoutUndefined(options: MeshLoopOptions): Partial<ResolvedLoopOptions> {
	return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}
