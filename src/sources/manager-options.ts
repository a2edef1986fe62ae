/** The options of a `SourceManager`, checked and complete. */
import { toldClock } from '../guard/clock.ts'
import { checkFileOption, checkFileSystem, checkFunction } from '../model/check.ts'
import {
	defineOptions,
	type OptionRules,
	oneOf,
	optional,
	type ResolvedOptions,
	timerMs,
	wholeNumber,
	withDefault,
} from '../model/define-options.ts'
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
	 * Path of the chain that holds the registry: the archived sources, their options and their counters. The
	 * chain is bounded to some 200,000 records. Default: no registry, and none of this survives the process.
	 */
	readonly registry?: string | undefined
	/**
	 * Policies that override the mode passed to `archive`: the policy for the exact name, or else the first
	 * matching glob.
	 */
	readonly policies?: readonly SourcePolicy[] | undefined
	/** Maximum number of samples in the queue, for all sources together. Default: 500,000. */
	readonly queueSamplesMax?: number | undefined
	/** Maximum number of bytes of samples in the queue. Default: 256 MiB. */
	readonly queueBytesMax?: number | undefined
	/** Sample to drop if a source that cannot wait finds no room. Default: `'newest'`. */
	readonly drop?: DropPolicy | undefined
	/**
	 * Longest time that a sample stays in the queue before it goes to the loop; a killed process loses its
	 * queue. Default: 0 ms, until the end of the turn.
	 */
	readonly flushIntervalMs?: number | undefined
	/**
	 * Interval at which the counters are saved to the registry, and their maximum age after a kill. Default:
	 * 10,000 ms.
	 */
	readonly saveIntervalMs?: number | undefined
	/**
	 * Time limit for a source to subscribe or answer, and for `create` to return a source. Default: 10,000
	 * ms.
	 */
	readonly connectTimeoutMs?: number | undefined
	/**
	 * Delay before a failed source is retried. For extra fields it doubles up to a minute. Default: 5,000 ms.
	 */
	readonly retryIntervalMs?: number | undefined
	/** Maximum number of concurrent scans; further ones wait. Default: 1,000. */
	readonly concurrency?: number | undefined
	/**
	 * Time limit for a source to end, and for the appender to keep up during `close`. A source that takes
	 * longer is abandoned: no more samples are taken from it, and its `lastError` states the reason. Default:
	 * 5,000 ms.
	 */
	readonly closeTimeoutMs?: number | undefined
	/**
	 * Returns the time in ms since 1970. Default: `Date.now`, which also replaces a reading if this function
	 * throws or returns no time; the first such failure is reported.
	 */
	readonly clock?: (() => number) | undefined
	/** File system of the registry. Default: that of Node. */
	readonly fs?: FileSystem | undefined
}

const MANAGER_RULES = {
	registry: optional(checkFileOption),
	policies: (_name, policies) => new Policies((policies ?? []) as readonly SourcePolicy[]),
	queueSamplesMax: withDefault(QUEUE_SAMPLES_DEFAULT, wholeNumber(1)),
	queueBytesMax: withDefault(QUEUE_BYTES_DEFAULT, wholeNumber(1)),
	drop: withDefault('newest', oneOf('newest', 'oldest')),
	flushIntervalMs: withDefault(0, timerMs(0)),
	saveIntervalMs: withDefault(10_000, timerMs()),
	connectTimeoutMs: withDefault(CONNECT_TIMEOUT_MS_DEFAULT, timerMs()),
	retryIntervalMs: withDefault(SOURCE_RETRY_MS_DEFAULT, timerMs()),
	concurrency: withDefault(1000, wholeNumber(1)),
	closeTimeoutMs: withDefault(SOURCE_CLOSE_TIMEOUT_MS_DEFAULT, timerMs()),
	// Read at each call: a program may have replaced Date, as fake timers do.
	clock: (name, clock) => checkFunction(name, (clock === undefined ? Date.now : clock) as () => number),
	fs: optional(checkFileSystem),
} satisfies OptionRules<SourceManagerOptions>

const MANAGER_OPTIONS = defineOptions(MANAGER_RULES)

/** The complete options. */
export type ResolvedManagerOptions = ResolvedOptions<typeof MANAGER_RULES>

/**
 * Checks and completes the options.
 *
 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_POLICY`
 */
export function resolveManagerOptions(options: SourceManagerOptions): ResolvedManagerOptions {
	const resolved = MANAGER_OPTIONS.resolve(options)
	return { ...resolved, clock: toldClock('the clock of a SourceManager', resolved.clock) }
}
