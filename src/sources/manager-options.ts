/** Validates the options of a `SourceManager` and applies the defaults. */
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

/** Options for a `SourceManager`. */
export interface SourceManagerOptions {
	/**
	 * Path of the chain that contains the registry: the archived sources, their options and their counters. The
	 * chain is limited to about 200,000 records. Default: no registry, so the information is lost when the
	 * process ends.
	 */
	readonly registry?: string | undefined
	/**
	 * Policies that override the mode passed to `archive`. If there is no policy for the exact name, the first
	 * matching glob applies. Default: none.
	 */
	readonly policies?: readonly SourcePolicy[] | undefined
	/** Maximum number of samples in the queue, across all sources. Default: 500,000. */
	readonly queueSamplesMax?: number | undefined
	/** Maximum size of the samples in the queue, in bytes. Default: 256 MiB. */
	readonly queueBytesMax?: number | undefined
	/** Drop policy, which applies if the queue is full and the source cannot wait. Default: `'newest'`. */
	readonly drop?: DropPolicy | undefined
	/**
	 * Maximum time that a sample stays in the queue before it is passed to the loop. If the process is killed,
	 * the queued samples are lost. Default: 0 ms, which means until the end of the turn.
	 */
	readonly flushIntervalMs?: number | undefined
	/**
	 * Interval at which the counters are saved to the registry. If the process is killed, the counts since the
	 * last save are lost. Default: 10,000 ms.
	 */
	readonly saveIntervalMs?: number | undefined
	/**
	 * Time limit for a source to subscribe or to answer a read, and for `create` to return a source. Default:
	 * 10,000 ms.
	 */
	readonly connectTimeoutMs?: number | undefined
	/**
	 * Delay before a failed source is retried. For extra fields, the delay doubles up to one minute. Default:
	 * 5,000 ms.
	 */
	readonly retryIntervalMs?: number | undefined
	/** Maximum number of concurrent reads in scan mode. Further reads wait. Default: 1,000. */
	readonly concurrency?: number | undefined
	/**
	 * Time limit for a source to end, and for the appender to accept the queued samples during `close`. A
	 * source that takes longer is abandoned: the manager accepts no more samples from it, and its `lastError`
	 * contains the reason. Default: 5,000 ms.
	 */
	readonly closeTimeoutMs?: number | undefined
	/**
	 * Function that returns the time in ms since 1970. If it throws or does not return a time, the manager uses
	 * `Date.now` for that reading, and reports the first such failure. Default: `Date.now`.
	 */
	readonly clock?: (() => number) | undefined
	/** File system for the registry. Default: Node's file system. */
	readonly fs?: FileSystem | undefined
}

const MANAGER_RULES = {
	registry: optional(checkFileOption),
	policies: (_name, policies) =>
		new Policies((policies === undefined ? [] : policies) as readonly SourcePolicy[]),
	queueSamplesMax: withDefault(QUEUE_SAMPLES_DEFAULT, wholeNumber(1)),
	queueBytesMax: withDefault(QUEUE_BYTES_DEFAULT, wholeNumber(1)),
	drop: withDefault('newest', oneOf('newest', 'oldest')),
	flushIntervalMs: withDefault(0, timerMs(0)),
	saveIntervalMs: withDefault(10_000, timerMs()),
	connectTimeoutMs: withDefault(CONNECT_TIMEOUT_MS_DEFAULT, timerMs()),
	retryIntervalMs: withDefault(SOURCE_RETRY_MS_DEFAULT, timerMs()),
	concurrency: withDefault(1000, wholeNumber(1)),
	closeTimeoutMs: withDefault(SOURCE_CLOSE_TIMEOUT_MS_DEFAULT, timerMs()),
	// `Date.now` is read for each manager, because a program may have replaced it, as fake timers do.
	clock: (name, clock) => checkFunction(name, (clock === undefined ? Date.now : clock) as () => number),
	fs: optional(checkFileSystem),
} satisfies OptionRules<SourceManagerOptions>

const MANAGER_OPTIONS = defineOptions(MANAGER_RULES)

/** Manager options with all defaults applied. */
export type ResolvedManagerOptions = ResolvedOptions<typeof MANAGER_RULES>

/**
 * Validates the options and applies the defaults.
 *
 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_POLICY`
 */
export function resolveManagerOptions(options: SourceManagerOptions): ResolvedManagerOptions {
	const resolved = MANAGER_OPTIONS.resolve(options)
	return { ...resolved, clock: toldClock('the clock of a SourceManager', resolved.clock) }
}
