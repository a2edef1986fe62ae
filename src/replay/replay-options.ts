/** The options of a replay, checked and in full. */

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

/** Which records, when, and what becomes of those that the target does not take. */
export interface ReplayOptions extends LogFilter {
	/** Only so many of the records that match. */
	limit?: number
	/** `'max'`: as fast as the target takes them. A number: at so many times the speed of life. Default `'max'`. */
	speed?: 'max' | number
	/**
	 * The longest distance between two records, in milliseconds of the recording, that a paced replay waits for; a longer one is shortened to it.
	 * `Infinity` waits for any. Default: less than an hour is waited for in full, and more not at all: the clock was set then, or nothing happened.
	 * `shortened` of the summary counts them.
	 */
	gapMsMax?: number
	/** How many records may be with the target at a time. Default 1: all of them in order. */
	concurrency?: number
	/** With `concurrency`, records of one key stay in order. Default: the node and daemon that a record is of. */
	key?: (record: LogRecord) => unknown
	/** How often a record that the target did not take is tried again, after 50 ms, 100 ms and so on, at most 5 s. Default 2. */
	retries?: number
	/** How long the target may take over one record. Default 30,000. */
	timeoutMs?: number
	/** End with the first record that failed. Default false. */
	stopOnError?: boolean
	/** Do everything but hand records over: count them, at their times. Default false. */
	dryRun?: boolean
	/** Ends the replay; what is with the target is waited for. */
	signal?: AbortSignal
	/** Called about every `progressMs`, default 1,000, also while a record is waited for. */
	onProgress?: (progress: ReplayProgress) => void
	progressMs?: number
	/** The chain that records without an origin are of, where the source does not say. Default `'replay'`. */
	sourceId?: string
	clock?: ReplayClock
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
	progressMs: withDefault(1000, wholeNumber(1)),
	sourceId: optional(checkName),
	clock: withDefault(systemClock, (_name, clock) => checkClock(clock as ReplayClock)),
} satisfies OptionRules<Omit<ReplayOptions, keyof LogFilter>>

const REPLAY_OPTIONS = defineOptions(REPLAY_RULES, FILTER_NAMES)

/** The options in full. */
export interface ResolvedReplayOptions extends Omit<ResolvedOptions<typeof REPLAY_RULES>, 'speed'> {
	readonly filter: ResolvedFilter
	readonly query: LogFilter
	readonly rate: number
}

/**
 * Checks and completes the options, before anything is read.
 *
 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_FILTER`, `INVALID_LEVEL`
 */
export function resolveReplayOptions(options: ReplayOptions): ResolvedReplayOptions {
	const { speed: rate, ...resolved } = REPLAY_OPTIONS.resolve(options)
	const query = filterIn(options)
	const filter = resolveFilter(query)
	refuseInverted(filter)
	return { ...resolved, rate, filter, query }
}

/** @throws {MeshChainError} `INVALID_OPTION` */
export function checkRate(name: string, rate: unknown, allowed: string): number {
	if (typeof rate === 'number' && Number.isFinite(rate) && rate > 0) return rate
	throw invalidOption(name, rate, allowed)
}

function checkSpeed(name: string, speed: unknown): number {
	return speed === 'max' ? Number.POSITIVE_INFINITY : checkRate(name, speed, "'max' or a number above 0")
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
