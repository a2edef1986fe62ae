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

/** Options of a `MeshLoop`. */
export interface MeshLoopOptions {
	/** `nodeId` of every line that has none of its own. Default: null. */
	readonly nodeId?: PublisherId | null | undefined
	/**
	 * Lowest level to publish; lines below it are counted and not built. Use
	 * `parseLevel(process.env.LOG_LEVEL ?? 'info')` for a text from outside: it returns a level or throws.
	 * Default: `'trace'`.
	 */
	readonly level?: LogLevel | undefined
	/** Maximum number of records in the ring. Whole number from 1. Default: 2,048. */
	readonly ringCapacity?: number | undefined
	/**
	 * Maximum size of the ring in bytes, estimated. Whole number from 1, or Infinity. The newest record is
	 * never evicted. Default: Infinity.
	 */
	readonly ringBytesMax?: number | undefined
	/**
	 * Returns milliseconds since 1970 UTC. If it throws or returns no time, `Date.now` is used instead.
	 * Default: `Date.now`.
	 */
	readonly clock?: (() => number) | undefined
	/**
	 * Called for each line at or above the level, for example to read an `AsyncLocalStorage`. If it throws,
	 * the line is published without its fields, and the failure is counted. A child's fields and the line's
	 * own take precedence.
	 */
	readonly context?: (() => ScopeFields | undefined) | undefined
	/**
	 * Gets each line as it would be published and returns the line to publish instead, for example without
	 * secrets. null drops the line, counted. A throw, a promise or a result that is not a line removes
	 * message and data, counted.
	 */
	readonly transform?: ((line: LogLine) => LogLine | null) | undefined
	/**
	 * Maximum number of listeners between a record and its outermost publisher, if listeners publish. A
	 * record beyond it is kept and counted as `recursionCut`, but not delivered to listeners. The stack does
	 * not grow with the depth. Whole number from 1. Default: 10,000.
	 */
	readonly nestedDepthMax?: number | undefined
	/**
	 * Maximum number of deliveries that one outermost `publish` may cause; records beyond it are treated in
	 * the same way. Whole number from 1. Default: 65,536.
	 */
	readonly nestedDeliveriesMax?: number | undefined
	/**
	 * Longest time that `close` waits for an appender that does not answer: half of it for appends in flight,
	 * the rest for `sync` and `close`. Records given up are counted, and `close` rejects. If the appender has
	 * its own `closeTimeoutMs`, that one applies. Whole number from 1. Default: 3,000 ms.
	 */
	readonly closeTimeoutMs?: number | undefined
}

const LOOP_RULES = {
	nodeId: withDefault<PublisherId | null>(null, checkNodeId),
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

/** The complete options. */
export type ResolvedLoopOptions = ResolvedOptions<typeof LOOP_RULES>

/**
 * Checks and completes the options.
 *
 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_LEVEL`, `INVALID_ID`
 */
export function resolveLoopOptions(options: MeshLoopOptions): ResolvedLoopOptions {
	return LOOP_OPTIONS.resolve(options)
}

function checkNodeId(name: string, nodeId: unknown): PublisherId | null {
	checkId(name, nodeId)
	return nodeId as PublisherId | null
}

function checkLevel(_name: string, level: unknown): LogLevel {
	if (levelIndex(level) < 0) throw invalidLevel(level)
	return level as LogLevel
}
