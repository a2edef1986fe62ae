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

/** The options in full. */
export type ResolvedLoopOptions = ResolvedOptions<typeof LOOP_RULES>

/** Checks and completes the options. @throws {MeshChainError} `INVALID_OPTION`, `INVALID_LEVEL`, `INVALID_ID` */
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
