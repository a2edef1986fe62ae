/** The options of a loop. */
import {
	defineOptions,
	type OptionRules,
	optional,
	optionalFunction,
	type ResolvedOptions,
	timerMs,
	wholeNumber,
	wholeNumberOrInfinity,
	withDefault,
} from '../model/define-options.ts'
import { checkLevelMin, type LogLevelInput, levelAt } from '../model/level.ts'
import {
	CLOSE_TIMEOUT_MS_DEFAULT,
	NESTED_DELIVERIES_DEFAULT,
	NESTED_DEPTH_DEFAULT,
	RING_CAPACITY_DEFAULT,
} from '../model/limits.ts'
import { checkId } from '../model/line-check.ts'
import type { LineFields, LogLine, PublisherId } from '../model/record.ts'
import { type RedactOptions, resolveRedact } from './redact-options.ts'
import { type RateLimit, resolveRateLimit, resolveSampling, type SamplingRule } from './sampling.ts'
import { resolveSerializers, type Serializer } from './serializers.ts'

/**
 * Fields that a `context` hook or a child loop adds to each line. Any other field, such as `requestId`, is
 * added to the line's data.
 */
export interface ScopeFields extends LineFields {
	/** Data to merge into the line's data, key by key. The line's own keys take precedence. */
	readonly data?: Readonly<Record<string, unknown>> | undefined
}

/** Options for a `MeshLoop`. */
export interface MeshLoopOptions {
	/** `nodeId` for lines that do not set one. Default: null. */
	readonly nodeId?: PublisherId | null | undefined
	/**
	 * Lowest level to publish: a level in any case, `'fatal'`, `'silent'`, or one of pino's numbers, such as
	 * 40. Lines below this level are counted but not published. `process.env.LOG_LEVEL` can be passed as it
	 * is. Default: `'trace'`.
	 */
	readonly level?: LogLevelInput | undefined
	/** Maximum number of records in the ring. Whole number from 1. Default: 2,048. */
	readonly ringCapacity?: number | undefined
	/**
	 * Maximum estimated size of the ring in bytes. The newest record is never evicted, even if it exceeds this
	 * size. Whole number of at least 1, or Infinity. Default: Infinity.
	 */
	readonly ringBytesMax?: number | undefined
	/**
	 * Function that returns the time in milliseconds since 1970 UTC. If it throws or returns an invalid time,
	 * the loop uses `Date.now` instead. Default: `Date.now`.
	 */
	readonly clock?: (() => number) | undefined
	/**
	 * Hook that returns fields for each line at or above the level, for example from an `AsyncLocalStorage`. If
	 * it throws, the line is published without these fields, and the failure is counted. The fields of a child
	 * loop and of the line itself take precedence.
	 */
	readonly context?: (() => ScopeFields | Readonly<Record<string, unknown>> | undefined) | undefined
	/**
	 * Hook that receives each line before it is published and returns the line to publish instead, for example
	 * a copy without secrets. If it returns null, the line is dropped and counted. If it throws, or returns a
	 * promise or another value that is not a line, the line is published without its message and data, and the
	 * failure is counted.
	 */
	readonly transform?: ((line: LogLine) => LogLine | null) | undefined
	/**
	 * Values in data that are never recorded: paths such as `req.headers.authorization`, `*.password` or
	 * `**.token`, or paths with a censor. Applies to the data of every record, including the fields of errors,
	 * of a child loop and of `context`. Message texts are recorded as they are. Default: no redaction.
	 */
	readonly redact?: readonly string[] | RedactOptions | undefined
	/**
	 * Functions that choose what is recorded of the value of a key in data, such as `{ req: requestSerializer()
	 * }`. They are called for the top-level keys of a line's data, of a child loop and of `context`, before
	 * `transform`. If a serializer throws, a marker replaces its value, and the failure is counted. An error
	 * that is the whole data of a line is passed to the serializer for `error` or `err`. Default: none.
	 */
	readonly serializers?: Readonly<Record<string, Serializer | undefined>> | undefined
	/**
	 * Part of the lines to publish, by kind: a probability from 0 to 1, or a {@link SamplingRule}. The name of
	 * a rule is a kind, the start of kinds followed by `*`, or `*`; the longest one applies. Lines at `warn`
	 * and `error` are always published, unless the rule has a higher `levelMax`. Dropped lines are counted in
	 * `sampledOut`. Default: every line.
	 */
	readonly sampling?: Readonly<Record<string, number | SamplingRule | undefined>> | undefined
	/**
	 * Maximum number of lines to publish per second, by kind, measured with the loop's clock. Rules are named
	 * as in `sampling`, and apply to the lines that `sampling` selects. All kinds of one rule share its limit.
	 * Dropped lines are counted in `rateLimited`. Default: no limit.
	 */
	readonly rateLimit?: Readonly<Record<string, RateLimit | undefined>> | undefined
	/**
	 * Maximum depth of nested publishing: the number of listeners between a record and the outermost publisher.
	 * A record beyond this depth is kept and counted as `recursionCut`, but not delivered to listeners. The
	 * stack does not grow with the depth. Whole number from 1. Default: 10,000.
	 */
	readonly nestedDepthMax?: number | undefined
	/**
	 * Maximum number of nested deliveries that one outermost `publish` can cause. Further records are kept and
	 * counted as `recursionCut`, but not delivered to listeners. Whole number from 1. Default: 65,536.
	 */
	readonly nestedDeliveriesMax?: number | undefined
	/**
	 * Maximum time that `close` waits for an appender that does not respond: half for appends in flight, the
	 * rest for `sync` and `close`. Abandoned records are counted as lost, and `close` rejects. If the appender
	 * has its own `closeTimeoutMs`, that value limits its `sync` and `close` instead. Whole number from 1.
	 * Default: 3,000 ms.
	 */
	readonly closeTimeoutMs?: number | undefined
}

const LOOP_RULES = {
	nodeId: withDefault<PublisherId | null>(null, checkNodeId),
	level: withDefault<LogLevelInput>('trace', checkLevel),
	ringCapacity: withDefault(RING_CAPACITY_DEFAULT, wholeNumber(1)),
	ringBytesMax: withDefault(Number.POSITIVE_INFINITY, wholeNumberOrInfinity(1)),
	clock: optionalFunction<NonNullable<MeshLoopOptions['clock']>>(),
	context: optionalFunction<NonNullable<MeshLoopOptions['context']>>(),
	transform: optionalFunction<NonNullable<MeshLoopOptions['transform']>>(),
	redact: optional(resolveRedact),
	serializers: optional(resolveSerializers),
	sampling: optional(resolveSampling),
	rateLimit: optional(resolveRateLimit),
	nestedDepthMax: withDefault(NESTED_DEPTH_DEFAULT, wholeNumber(1)),
	nestedDeliveriesMax: withDefault(NESTED_DELIVERIES_DEFAULT, wholeNumber(1)),
	closeTimeoutMs: withDefault(CLOSE_TIMEOUT_MS_DEFAULT, timerMs()),
} satisfies OptionRules<MeshLoopOptions>

const LOOP_OPTIONS = defineOptions(LOOP_RULES)

/** Options with all defaults applied. */
export type ResolvedLoopOptions = ResolvedOptions<typeof LOOP_RULES>

/**
 * Checks the options and applies the defaults.
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

function checkLevel(_name: string, level: unknown): LogLevelInput {
	return levelAt(checkLevelMin(level))
}
