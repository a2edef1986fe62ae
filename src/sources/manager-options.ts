/** What a `SourceManager` can be told, checked and in full. */

import { toldClock } from '../guard/clock.ts'
import { checkFileOption, checkFileSystem } from '../model/check.ts'
import {
	defineOptions,
	functionWithDefault,
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

export interface SourceManagerOptions {
	/**
	 * The chain that holds what is archived, how, and with which counters. Without it nothing of that survives the process. It is bounded:
	 * some 200,000 records.
	 */
	readonly registry?: string
	/** Decide over the mode that was asked for: the one for the exact name, or else the first glob that matches. */
	readonly policies?: readonly SourcePolicy[]
	/** Samples in the queue, of all sources together. Default 500,000. */
	readonly queueCapacity?: number
	/** Bytes of samples in the queue. Default 256 MiB. */
	readonly queueBytesMax?: number
	/** Which sample of a source that cannot wait gives way when there is no room: the `'newest'` (default), or its `'oldest'`. */
	readonly drop?: DropPolicy
	/**
	 * How long a sample may wait in the queue before it goes to the loop: a killed process takes what waits with it. Default 0 ms: until the end of
	 * the turn.
	 */
	readonly flushIntervalMs?: number
	/** How often the counters go to the registry, and after a kill the most that they are behind. Default 10,000 ms. */
	readonly saveMs?: number
	/** How long a source may take to subscribe or to answer, and `create` to make one. Default 10,000 ms. */
	readonly connectTimeoutMs?: number
	/** When a source that failed is tried again; for extra fields the first wait, doubling up to a minute. Default 5,000 ms. */
	readonly retryMs?: number
	/** Scans under way at once; others wait. Default 1,000. */
	readonly concurrency?: number
	/**
	 * How long a source that was told to end is waited for, and how long `close` waits for an appender that is behind. A source that takes longer is left to itself:
	 * nothing of it is taken any more, and its `lastError` says so. Default 5,000 ms.
	 */
	readonly closeTimeoutMs?: number
	/** Default `Date.now`, which also stands in, told once, when this throws or gives no time. */
	readonly clock?: () => number
	readonly fs?: FileSystem
}

const MANAGER_RULES = {
	registry: optional(checkFileOption),
	policies: (_name, policies) => new Policies((policies ?? []) as readonly SourcePolicy[]),
	queueCapacity: withDefault(QUEUE_SAMPLES_DEFAULT, wholeNumber(1)),
	queueBytesMax: withDefault(QUEUE_BYTES_DEFAULT, wholeNumber(1)),
	drop: withDefault('newest', oneOf('newest', 'oldest')),
	flushIntervalMs: withDefault(0, timerMs(0)),
	saveMs: withDefault(10_000, timerMs()),
	connectTimeoutMs: withDefault(CONNECT_TIMEOUT_MS_DEFAULT, timerMs()),
	retryMs: withDefault(SOURCE_RETRY_MS_DEFAULT, timerMs()),
	concurrency: withDefault(1000, wholeNumber(1)),
	closeTimeoutMs: withDefault(SOURCE_CLOSE_TIMEOUT_MS_DEFAULT, timerMs()),
	clock: functionWithDefault<() => number>(Date.now),
	fs: optional(checkFileSystem),
} satisfies OptionRules<SourceManagerOptions>

const MANAGER_OPTIONS = defineOptions(MANAGER_RULES)

/** The options in full. */
export type ResolvedManagerOptions = ResolvedOptions<typeof MANAGER_RULES>

/** Checks and completes the options. @throws {MeshChainError} `INVALID_OPTION`, `INVALID_POLICY` */
export function resolveManagerOptions(options: SourceManagerOptions): ResolvedManagerOptions {
	const resolved = MANAGER_OPTIONS.resolve(options)
	return { ...resolved, clock: toldClock('the clock of a SourceManager', resolved.clock) }
}
