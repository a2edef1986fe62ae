/** Validates the options of a replay and applies the defaults. */
import { checkBoolean, checkName, checkSignal, invalidOption } from '../model/check.ts'
import {
	defineOptions,
	functionWithDefault,
	type OptionRules,
	optional,
	optionalFunction,
	type ResolvedOptions,
	wholeNumber,
	withDefault,
} from '../model/define-options.ts'
import { MeshChainError } from '../model/errors.ts'
import {
	FILTER_NAMES,
	filterIn,
	type LogFilter,
	type ResolvedFilter,
	resolveFilter,
} from '../model/filter.ts'
import type { LogRecord } from '../model/record.ts'
import { checkClock, type ReplayClock, systemClock } from './clock.ts'
import type { ReplayProgress } from './replay-summary.ts'

/**
 * Options for a replay: which records are delivered, when, and what happens if the target does not accept a
 * record.
 */
export interface ReplayOptions extends LogFilter {
	/** Maximum number of matching records to replay. Default: no limit. */
	readonly limit?: number | undefined
	/**
	 * Playback speed: 1 is real time, 10 is ten times as fast, and `'max'` is as fast as the target accepts
	 * records. Default: `'max'`.
	 */
	readonly speed?: 'max' | number | undefined
	/**
	 * Maximum interval between two records in a paced replay, in milliseconds of recorded time. Longer
	 * intervals are shortened to this value. `Infinity` disables the limit. Default: intervals of an hour or
	 * more are skipped, because either the clock was adjusted or nothing happened. The summary counts shortened
	 * and skipped intervals in `shortened`.
	 */
	readonly gapMsMax?: number | undefined
	/** Maximum number of concurrent deliveries. Default: 1, which keeps all records in order. */
	readonly concurrency?: number | undefined
	/**
	 * Function that returns the key of a record. With `concurrency`, records with the same key stay in order.
	 * Default: the record's node id and daemon id.
	 */
	readonly key?: ((record: LogRecord) => unknown) | undefined
	/**
	 * Maximum number of retries for a failed delivery. The delay starts at 100 ms and doubles up to 5 s.
	 * Default: 2.
	 */
	readonly retries?: number | undefined
	/** Time limit for one attempt to deliver a record. Default: 30,000 ms. */
	readonly timeoutMs?: number | undefined
	/** Whether to end the replay after the first failed record. Default: false. */
	readonly stopOnError?: boolean | undefined
	/** Whether to count the records without delivering them, with the same pacing. Default: false. */
	readonly dryRun?: boolean | undefined
	/** Signal that ends the replay after the deliveries in flight have finished. */
	readonly signal?: AbortSignal | undefined
	/**
	 * Function that is called with the progress about once per `progressIntervalMs`, even during a wait.
	 * Default: none.
	 */
	readonly onProgress?: ((progress: ReplayProgress) => void) | undefined
	/** Interval between calls to `onProgress`. Default: 1,000 ms. */
	readonly progressIntervalMs?: number | undefined
	/**
	 * Chain id in the origin of records that have no origin yet. Default: the source's `chainId`, or `'replay'`
	 * if it has none.
	 */
	readonly sourceId?: string | undefined
	/** Clock that paces the replay. Default: `systemClock`. */
	readonly clock?: ReplayClock | undefined
}

const REPLAY_RULES = {
	limit: withDefault(Number.POSITIVE_INFINITY, wholeNumber(0)),
	speed: withDefault(Number.POSITIVE_INFINITY, checkSpeed),
	gapMsMax: optional(checkGap),
	concurrency: withDefault(1, wholeNumber(1)),
	key: functionWithDefault<(record: LogRecord) => unknown>(producerOf),
	retries: withDefault(2, wholeNumber(0)),
	timeoutMs: withDefault(30_000, wholeNumber(1)),
	stopOnError: withDefault(false, checkBoolean),
	dryRun: withDefault(false, checkBoolean),
	signal: optional(checkSignal),
	onProgress: optionalFunction<(progress: ReplayProgress) => void>(),
	progressIntervalMs: withDefault(1000, wholeNumber(1)),
	sourceId: optional(checkName),
	clock: withDefault(systemClock, (_name, clock) => checkClock(clock as ReplayClock)),
} satisfies OptionRules<Omit<ReplayOptions, keyof LogFilter>>

const REPLAY_OPTIONS = defineOptions(REPLAY_RULES, FILTER_NAMES)

/** Replay options with all defaults applied. */
export interface ResolvedReplayOptions extends ResolvedOptions<typeof REPLAY_RULES> {
	readonly filter: ResolvedFilter
	readonly query: LogFilter
}

/**
 * Validates the options and applies the defaults before anything is read from the source.
 *
 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_FILTER`, `INVALID_LEVEL`
 */
export function resolveReplayOptions(options: ReplayOptions): ResolvedReplayOptions {
	const resolved = REPLAY_OPTIONS.resolve(options)
	const query = filterIn(options)
	const filter = resolveFilter(query)
	refuseInverted(filter)
	return { ...resolved, filter, query }
}

/**
 * Returns a playback speed as a factor; Infinity for `'max'`.
 *
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export function checkSpeed(name: string, speed: unknown): number {
	if (speed === 'max') return Number.POSITIVE_INFINITY
	if (typeof speed === 'number' && Number.isFinite(speed) && speed > 0) return speed
	throw invalidOption(name, speed, "'max' or a number above 0")
}

function checkGap(name: string, gapMsMax: unknown): number {
	if (typeof gapMsMax === 'number' && gapMsMax >= 0) return gapMsMax
	throw invalidOption(name, gapMsMax, 'a number of milliseconds from 0, or Infinity')
}

function refuseInverted({ fromSeq, toSeq, sinceMs, untilMs }: ResolvedFilter): void {
	if (sinceMs > untilMs || fromSeq > toSeq) {
		const what = sinceMs > untilMs ? `times ${sinceMs} > ${untilMs}` : `seqs ${fromSeq} > ${toSeq}`
		throw new MeshChainError('INVALID_FILTER', `replay window: from > to (${what})`)
	}
}

function producerOf({ nodeId, daemonId }: LogRecord): string {
	return `${typeof nodeId} ${nodeId} ${typeof daemonId} ${daemonId}`
}
