/** The options of a loop, their defaults and their check. */
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
import {
	type LineFields,
	type LogLevel,
	type LogLine,
	levelIndex,
	type PublisherId,
} from '../model/record.ts'

/** Fields that a `context` or a child adds to each line. */
export interface ScopeFields extends LineFields {
	/** Merged into the line's data, key by key; the line's own keys win. */
	readonly data?: Readonly<Record<string, unknown>> | undefined
}

export interface MeshLoopOptions {
	/** The `nodeId` of every line that does not bring its own. Default: null. */
	readonly nodeId?: PublisherId | null | undefined
	/**
	 * Lowest level to publish; lines below it are counted and not built. A text from outside is not a level:
	 * `parseLevel(process.env.LOG_LEVEL ?? 'info')` makes one, or throws. Default: `'trace'`.
	 */
	readonly level?: LogLevel | undefined
	/** Most records in the ring. Whole number from 1. Default: 2,048. */
	readonly ringCapacity?: number | undefined
	/**
	 * Most bytes in the ring, estimated. Whole number from 1, or Infinity. The newest record always stays.
	 * Default: Infinity.
	 */
	readonly ringBytesMax?: number | undefined
	/**
	 * Milliseconds since 1970 UTC. `Date.now` also stands in when it throws or gives no time. Default:
	 * `Date.now`.
	 */
	readonly clock?: (() => number) | undefined
	/**
	 * Called for each line at or above the level, to read an `AsyncLocalStorage` for example. When it throws,
	 * the line is published without it, counted. A child's fields and the line's own win over it.
	 */
	readonly context?: (() => ScopeFields | undefined) | undefined
	/**
	 * Gets each line as it would be published, and returns the line to publish instead: to remove secrets, for
	 * example. null drops the line, counted; a throw, a promise or something that is not a line removes message
	 * and data, counted.
	 */
	readonly transform?: ((line: LogLine) => LogLine | null) | undefined
	/**
	 * Most listeners between a record and its first publisher, where listeners publish. A record beyond it is
	 * kept and counted as `recursionCut`, but no listener gets it. The stack does not grow with it. Whole number
	 * from 1. Default: 10,000.
	 */
	readonly nestedDepthMax?: number | undefined
	/** The same for all deliveries that one outermost `publish` causes. Whole number from 1. Default: 65,536. */
	readonly nestedDeliveriesMax?: number | undefined
	/**
	 * Longest wait of `close` for an appender that does not answer: half of it for its appends in flight, the
	 * rest for its `sync` and `close`. What is given up is counted, and `close` rejects. An appender with its
	 * own `closeTimeoutMs` is waited for that long instead. Whole number from 1. Default: 3,000 ms.
	 */
	readonly closeTimeoutMs?: number | undefined
}

/** The options in full. */
export interface ResolvedLoopOptions {
	readonly nodeId: PublisherId | null
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
