/** The options of a `SourceManager`, checked and complete. */
import { toldClock } from '../guard/clock.ts'
import {
	checkFileOption,
	checkFileSystem,
	checkFunction,
	checkOptionNames,
	checkTimerMs,
	checkWholeNumber,
	checkWord,
	ifGiven,
} from '../model/check.ts'
import {
	CONNECT_TIMEOUT_MS_DEFAULT,
	QUEUE_BYTES_DEFAULT,
	QUEUE_SAMPLES_DEFAULT,
	SOURCE_CLOSE_TIMEOUT_MS_DEFAULT,
	SOURCE_RETRY_MS_DEFAULT,
} from '../model/limits.ts'
import type { FileSystem } from '../platform/file-system.ts'
import type { DropPolicy } from './managed-source.ts'
import { Policies, type SourcePolicy } from './policies.ts'

/** Options of a `SourceManager`. */
export interface SourceManagerOptions {
	/**
	 * Path of the chain that holds the registry: which sources are archived, how, and their counters. The chain
	 * is bounded to some 200,000 records. Default: no registry, and nothing of this survives the process.
	 */
	readonly registry?: string
	/**
	 * Policies that override the mode passed to `archive`: the one for the exact name, or else the first
	 * matching glob.
	 */
	readonly policies?: readonly SourcePolicy[]
	/** Upper bound of the samples in the queue, for all sources together. Default: 500,000. */
	readonly queueSamplesMax?: number
	/** Upper bound of the bytes of samples in the queue. Default: 256 MiB. */
	readonly queueBytesMax?: number
	/** Which sample of a source that cannot wait is dropped when there is no room. Default: `'newest'`. */
	readonly drop?: DropPolicy
	/**
	 * Longest time that a sample stays in the queue before it goes to the loop; a killed process loses its
	 * queue. Default: 0 ms, until the end of the turn.
	 */
	readonly flushIntervalMs?: number
	/**
	 * Interval at which the counters are saved to the registry, and how old they can be after a kill. Default:
	 * 10,000 ms.
	 */
	readonly saveIntervalMs?: number
	/** Time limit for a source to subscribe or answer, and for `create` to return one. Default: 10,000 ms. */
	readonly connectTimeoutMs?: number
	/**
	 * Delay before a failed source is retried. For extra fields it doubles up to a minute. Default: 5,000 ms.
	 */
	readonly retryIntervalMs?: number
	/** Upper bound of concurrent scans; further ones wait. Default: 1,000. */
	readonly concurrency?: number
	/**
	 * How long to wait for a source that was told to end, and how long `close` waits for an appender that lags.
	 * A source that takes longer is abandoned: nothing more is taken from it, and its `lastError` says so.
	 * Default: 5,000 ms.
	 */
	readonly closeTimeoutMs?: number
	/**
	 * Returns the time in ms since 1970. Default: `Date.now`, which also replaces a reading when this function
	 * throws or returns no time; the first such failure is reported.
	 */
	readonly clock?: () => number
	/** The file system of the registry. Default: that of Node. */
	readonly fs?: FileSystem
}

/** The options of a `SourceManager`, with every default in place. */
export interface ResolvedManagerOptions {
	readonly registry: string | undefined
	readonly policies: Policies
	readonly queueSamplesMax: number
	readonly queueBytesMax: number
	readonly drop: DropPolicy
	readonly flushIntervalMs: number
	readonly saveIntervalMs: number
	readonly connectTimeoutMs: number
	readonly retryIntervalMs: number
	readonly concurrency: number
	readonly closeTimeoutMs: number
	readonly clock: () => number
	readonly fs: FileSystem | undefined
}

const NAMES = [
	'registry',
	'policies',
	'queueSamplesMax',
	'queueBytesMax',
	'drop',
	'flushIntervalMs',
	'saveIntervalMs',
	'connectTimeoutMs',
	'retryIntervalMs',
	'concurrency',
	'closeTimeoutMs',
	'clock',
	'fs',
] as const

/** @throws {MeshChainError} `INVALID_OPTION`, `INVALID_POLICY` */
export function resolveManagerOptions(options: SourceManagerOptions): ResolvedManagerOptions {
	checkOptionNames(options, NAMES)
	const { registry, policies = [], drop = 'newest', clock = Date.now, fs } = options
	const { queueSamplesMax = QUEUE_SAMPLES_DEFAULT, queueBytesMax = QUEUE_BYTES_DEFAULT } = options
	const { connectTimeoutMs = CONNECT_TIMEOUT_MS_DEFAULT, retryIntervalMs = SOURCE_RETRY_MS_DEFAULT } = options
	return {
		registry: ifGiven('registry', registry, checkFileOption),
		policies: new Policies(policies),
		queueSamplesMax: checkWholeNumber('queueSamplesMax', queueSamplesMax, 1),
		queueBytesMax: checkWholeNumber('queueBytesMax', queueBytesMax, 1),
		drop: checkWord('drop', drop, ['newest', 'oldest']),
		flushIntervalMs: checkTimerMs('flushIntervalMs', options.flushIntervalMs ?? 0, 0),
		saveIntervalMs: checkTimerMs('saveIntervalMs', options.saveIntervalMs ?? 10_000),
		connectTimeoutMs: checkTimerMs('connectTimeoutMs', connectTimeoutMs),
		retryIntervalMs: checkTimerMs('retryIntervalMs', retryIntervalMs),
		concurrency: checkWholeNumber('concurrency', options.concurrency ?? 1000, 1),
		closeTimeoutMs: checkTimerMs('closeTimeoutMs', options.closeTimeoutMs ?? SOURCE_CLOSE_TIMEOUT_MS_DEFAULT),
		clock: toldClock('the clock of a SourceManager', checkFunction('clock', clock)),
		fs: ifGiven('fs', fs, checkFileSystem),
	}
}
