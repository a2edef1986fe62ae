/** The options of a replay, checked and complete. */
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

/** Which records are replayed, when, and what happens to records that the target does not accept. */
export interface ReplayOptions extends LogFilter {
	/** Upper bound of the matching records that are replayed. Default: no bound. */
	readonly limit?: number
	/**
	 * Playback speed: 1 is real time, 10 is 10×, `'max'` is as fast as the target accepts records. Default:
	 * `'max'`.
	 */
	readonly speed?: 'max' | number
	/**
	 * Longest distance between two records, in milliseconds of the recording, that a paced replay waits for;
	 * longer ones are shortened to it. `Infinity` waits for any distance. Default: distances of an hour or
	 * more, where the clock was adjusted or nothing happened, are skipped. `shortened` of the summary counts
	 * them.
	 */
	readonly gapMsMax?: number
	/** Upper bound of records in delivery at a time. Default: 1, which keeps all of them in order. */
	readonly concurrency?: number
	/**
	 * With `concurrency`, records with the same key stay in order. Default: the node and daemon of the record.
	 */
	readonly key?: (record: LogRecord) => unknown
	/** Retries of a failed delivery, after 100 ms, 200 ms and so on up to 5 s. Default: 2. */
	readonly retries?: number
	/** Time limit for the delivery of one record. Default: 30,000 ms. */
	readonly timeoutMs?: number
	/** End after the first failed record. Default: false. */
	readonly stopOnError?: boolean
	/** Deliver nothing: only count the records, at their times. Default: false. */
	readonly dryRun?: boolean
	/** Ends the replay, after the deliveries in flight. */
	readonly signal?: AbortSignal
	/** Called about once per `progressIntervalMs`, also during a wait. */
	readonly onProgress?: (progress: ReplayProgress) => void
	/** Interval of the calls of `onProgress`. Default: 1,000 ms. */
	readonly progressIntervalMs?: number
	/** Chain of records without an origin, if the source does not name one. Default: `'replay'`. */
	readonly sourceId?: string
	/** The clock. Default: `systemClock`. */
	readonly clock?: ReplayClock
}

/** The options of a replay, with every default in place. */
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
