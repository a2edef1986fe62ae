/** The options of a replay, checked and in full. */

import {
	checkBoolean,
	checkFunction,
	checkName,
	checkOptionNames,
	checkSignal,
	checkWholeNumber,
	ifGiven,
	invalidOption,
} from '../model/check.ts'
import { MeshChainError } from '../model/errors.ts'
import { FILTER_NAMES, type LogFilter, type ResolvedFilter, resolveFilter } from '../model/filter.ts'
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
	/** How often a record that the target did not take is tried again, after 100 ms, 200 ms and so on, at most 5 s. Default 2. */
	retries?: number
	/** How long the target may take over one record. Default 30,000. */
	timeoutMs?: number
	/** End with the first record that failed. Default false. */
	stopOnError?: boolean
	/** Do everything but hand records over: count them, at their times. Default false. */
	dryRun?: boolean
	/** Ends the replay; what is with the target is waited for. */
	signal?: AbortSignal
	/** Called about every `progressIntervalMs`, default 1,000, also while a record is waited for. */
	onProgress?: (progress: ReplayProgress) => void
	progressIntervalMs?: number
	/** The chain that records without an origin are of, where the source does not say. Default `'replay'`. */
	sourceId?: string
	clock?: ReplayClock
}

export interface ResolvedReplayOptions {
	readonly filter: ResolvedFilter
	readonly query: LogFilter
	readonly limit: number
	readonly speed: number
	readonly gapMsMax: number | undefined
	readonly concurrency: number
	readonly key: (record: LogRecord) => unknown
	readonly retries: number
	readonly timeoutMs: number
	readonly stopOnError: boolean
	readonly dryRun: boolean
	readonly signal: AbortSignal | undefined
	readonly onProgress: ((progress: ReplayProgress) => void) | undefined
	readonly progressIntervalMs: number
	readonly sourceId: string | undefined
	readonly clock: ReplayClock
}

const NAMES = [
	'limit',
	'speed',
	'gapMsMax',
	'concurrency',
	'key',
	'retries',
	'timeoutMs',
	'stopOnError',
	'dryRun',
	'signal',
	'onProgress',
	'progressIntervalMs',
	'sourceId',
	'clock',
] as const

/** @throws {MeshChainError} `INVALID_OPTION`, `INVALID_FILTER`, `INVALID_LEVEL`, before anything is read. */
export function resolveReplayOptions(options: ReplayOptions): ResolvedReplayOptions {
	checkOptionNames(options, [...NAMES, ...FILTER_NAMES])
	const query = Object.fromEntries(
		FILTER_NAMES.filter((name) => options[name] !== undefined).map((name) => [name, options[name]]),
	) as LogFilter
	const filter = resolveFilter(query)
	refuseInverted(filter)
	const {
		limit,
		speed = 'max',
		key = producerOf,
		stopOnError = false,
		dryRun = false,
		clock = systemClock,
	} = options
	return {
		filter,
		query,
		limit: limit === undefined ? Number.POSITIVE_INFINITY : checkWholeNumber('limit', limit, 0),
		speed: checkSpeed('speed', speed),
		gapMsMax: ifGiven('gapMsMax', options.gapMsMax, checkGap),
		concurrency: checkWholeNumber('concurrency', options.concurrency ?? 1, 1),
		key: checkFunction('key', key),
		retries: checkWholeNumber('retries', options.retries ?? 2, 0),
		timeoutMs: checkWholeNumber('timeoutMs', options.timeoutMs ?? 30_000, 1),
		stopOnError: checkBoolean('stopOnError', stopOnError),
		dryRun: checkBoolean('dryRun', dryRun),
		signal: ifGiven('signal', options.signal, checkSignal),
		onProgress: ifGiven('onProgress', options.onProgress, checkFunction),
		progressIntervalMs: checkWholeNumber('progressIntervalMs', options.progressIntervalMs ?? 1000, 1),
		sourceId: ifGiven('sourceId', options.sourceId, checkName),
		clock: checkClock(clock),
	}
}

/**
 * A playback speed as a factor; Infinity for `'max'`.
 *
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export function checkSpeed(name: string, speed: unknown): number {
	if (speed === 'max') return Number.POSITIVE_INFINITY
	if (typeof speed === 'number' && Number.isFinite(speed) && speed > 0) return speed
	throw invalidOption(name, speed, "'max' or a number above 0")
}

function checkGap(name: string, gapMsMax: number): number {
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
