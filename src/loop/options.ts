/** Options of a loop. */
import {
	defineOptions,
	type OptionRules,
	optionalFunction,
	type ResolvedOptions,
	timerMs,
	wholeNumber,
	wholeNumberOrInfinity,
	withDefault,
} from '../model/define-options.ts'
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

const LOOP_RULES = {
	nodeId: withDefault<Id | null>(null, checkNodeId),
	level: withDefault<LogLevel>('trace', checkLevel),
	ringCapacity: withDefault(RING_CAPACITY_DEFAULT, wholeNumber(1)),
	ringBytesMax: withDefault(Number.POSITIVE_INFINITY, wholeNumberOrInfinity(1)),
	clock: optionalFunction<NonNullable<MeshLoopOptions['clock']>>(),
	context: optionalFunction<NonNullable<MeshLoopOptions['context']>>(),
	transform: optionalFunction<NonNullable<MeshLoopOptions['transform']>>(),
	nestedDepthMax: withDefault(NESTED_DEPTH_DEFAULT, wholeNumber(1)),
	nestedDeliveriesMax: withDefault(NESTED_DELIVERIES_DEFAULT, wholeNumber(1)),
	closeTimeoutMs: withDefault(CLOSE_TIMEOUT_MS_DEFAULT, timerMs()),
} satisfies OptionRules<MeshLoopOptions>

const LOOP_OPTIONS = defineOptions(LOOP_RULES)

/** The options in full. */
export type ResolvedLoopOptions = ResolvedOptions<typeof LOOP_RULES>

/** Checks and completes the options. @throws {MeshChainError} `INVALID_OPTION`, `INVALID_LEVEL`, `INVALID_ID` */
export function resolveLoopOptions(options: MeshLoopOptions): ResolvedLoopOptions {
	return LOOP_OPTIONS.resolve(options)
}

function checkNodeId(name: string, nodeId: unknown): Id | null {
	checkId(name, nodeId)
	return nodeId as Id | null
}

function checkLevel(_name: string, level: unknown): LogLevel {
	if (levelIndex(level) < 0) throw invalidLevel(level)
	return level as LogLevel
}
