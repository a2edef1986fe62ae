/** Options for replaying statements. */
import { checkBoolean, checkTimerMs } from '../model/check.ts'
import {
	defineOptions,
	type OptionRules,
	oneOf,
	optional,
	optionalFunction,
	type ResolvedOptions,
	timerMs,
	wholeNumber,
	withDefault,
} from '../model/define-options.ts'
import { MeshChainError } from '../model/errors.ts'
import { FILTER_NAMES, type LogFilter, picked, type ResolvedFilter, resolveFilter } from '../model/filter.ts'
import type { ReplayClock } from '../replay/clock.ts'
import {
	type ReplayOptions,
	type ResolvedReplayOptions,
	resolveReplayOptions,
} from '../replay/replay-options.ts'
import { STATEMENT_KIND } from './statement.ts'
import type { StatementProgress } from './statement-report.ts'

/**
 * Options of {@link replayStatements}. The window (`since`, `until`, `fromSeq`, `toSeq`, `afterSeq`) selects
 * the records to read. Only transactions that are entirely within the window are replayed. The other filter
 * conditions select the transactions that contain at least one matching statement.
 *
 * A replay cannot apply settings that a session changed before the window, for example with a `SET
 * search_path = …` that a pool sends on each new connection. Configure such settings on the target with
 * `ALTER ROLE … SET`, or with `options` in the target's URL.
 */
export interface ReplayStatementsOptions extends LogFilter {
	/**
	 * Order of the replay. Default: `'commit'`.
	 * - `commit`: one transaction at a time in commit order, each on a clean connection.
	 * - `asRecorded`: statements in chain order, interleaved as recorded, with one connection for each recorded
	 *   session.
	 */
	readonly mode?: 'commit' | 'asRecorded' | undefined
	/** Whether to compare rows, checksums and errors with the recording. Default: false. */
	readonly compare?: boolean | undefined
	/**
	 * Treatment of read-only transactions: `'skip'` skips them, and `'compare'` replays and compares them.
	 * Default: `'compare'` if `compare` is true, otherwise `'skip'`.
	 */
	readonly reads?: 'skip' | 'compare' | undefined
	/** Whether to also replay transactions that were rolled back. Default: false. */
	readonly includeRolledBack?: boolean | undefined
	/**
	 * Playback speed: 1 is real time, 10 is ten times as fast, `'max'` is as fast as possible. Default:
	 * `'max'`.
	 */
	readonly speed?: 'max' | number | undefined
	/**
	 * Maximum pause between two transactions or statements, in milliseconds of recorded time. Default: as in
	 * `replay`.
	 */
	readonly gapMsMax?: number | undefined
	/**
	 * Maximum number of retries for each connection or transaction. The delay starts at 100 ms and doubles up
	 * to 5 s. Default: 10.
	 */
	readonly retries?: number | undefined
	/** Timeout for each statement, which is also set on the target. Default: 600,000 ms. */
	readonly timeoutMs?: number | undefined
	/**
	 * Timeout for the first answer on a new connection. In `asRecorded` mode, this is also the maximum time
	 * that a transaction waits to begin while a pooler has no free connection. Default: 10,000 ms.
	 */
	readonly connectMs?: number | undefined
	/** Whether to stop after the first transaction with a failed statement. Default: false. */
	readonly stopOnError?: boolean | undefined
	/** Whether to read and count statements without connecting to the target. Default: false. */
	readonly dryRun?: boolean | undefined
	/** Signal that ends the replay after the transaction in progress. */
	readonly signal?: AbortSignal | undefined
	/** Function that is called with the progress about once per `progressIntervalMs`. Default: none. */
	readonly onProgress?: ((progress: StatementProgress) => void) | undefined
	/** Interval between calls to `onProgress`. Default: 1,000 ms. */
	readonly progressIntervalMs?: number | undefined
	/**
	 * Memory limit for open transactions, in bytes. If it is exceeded, the largest open transaction is not
	 * replayed. Default: 64 MiB.
	 */
	readonly openBytesMax?: number | undefined
	/** Maximum number of statements in each list of the report. Default: 1,000. */
	readonly listMax?: number | undefined
	/** Clock that paces the replay. Default: `systemClock`. */
	readonly clock?: ReplayClock | undefined
}

const MIB = 1024 * 1024

/** Options shared with `replay`. */
const SHARED_NAMES = [
	'speed',
	'gapMsMax',
	'retries',
	'timeoutMs',
	'stopOnError',
	'dryRun',
	'signal',
	'progressIntervalMs',
	'clock',
] as const satisfies readonly (keyof ReplayOptions)[]

type SharedName = (typeof SHARED_NAMES)[number]
type Shared = Exclude<SharedName, 'timeoutMs'> | 'retries'

const OWN_RULES = {
	mode: withDefault('commit', oneOf('commit', 'asRecorded')),
	compare: withDefault(false, checkBoolean),
	reads: optional(oneOf('skip', 'compare')),
	includeRolledBack: withDefault(false, checkBoolean),
	connectMs: withDefault(10_000, timerMs()),
	onProgress: optionalFunction<(progress: StatementProgress) => void>(),
	openBytesMax: withDefault(64 * MIB, wholeNumber(0)),
	listMax: withDefault(1000, wholeNumber(0)),
} satisfies OptionRules<Omit<ReplayStatementsOptions, SharedName | keyof LogFilter>>

const OWN_OPTIONS = defineOptions(OWN_RULES, [...SHARED_NAMES, ...FILTER_NAMES])

const WINDOW_NAMES = ['since', 'until', 'fromSeq', 'toSeq', 'afterSeq'] as const

/** Statement replay options with all defaults applied. */
export interface ResolvedStatementsOptions
	extends Pick<ResolvedReplayOptions, Shared>,
		Omit<ResolvedOptions<typeof OWN_RULES>, 'reads'> {
	/** Query for the records in the window. */
	readonly window: LogFilter
	/** Filter that selects transactions. */
	readonly chosen: ResolvedFilter
	readonly from: number | null
	readonly to: number | null
	readonly skipsReads: boolean
	readonly timeoutMs: number
}

/**
 * Validates the options and applies the defaults before anything is read or any connection is opened.
 *
 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_FILTER`, `INVALID_LEVEL`
 */
export function resolveStatementsOptions(options: ReplayStatementsOptions): ResolvedStatementsOptions {
	const { reads, ...own } = OWN_OPTIONS.resolve(options)
	const { retries = 10, timeoutMs = 600_000 } = options
	const { filter, ...shared } = resolveReplayOptions({
		...picked(options, [...SHARED_NAMES, ...FILTER_NAMES]),
		retries,
	})
	const chosen = picked(
		options,
		FILTER_NAMES.filter((name) => !(WINDOW_NAMES as readonly string[]).includes(name)),
	)
	if (reads === 'compare' && !own.compare)
		throw new MeshChainError('INVALID_OPTION', "reads: 'compare' requires compare: true")
	return {
		...shared,
		...own,
		window: { ...picked(options, WINDOW_NAMES), kind: STATEMENT_KIND },
		chosen: resolveFilter(chosen),
		from: Number.isFinite(filter.sinceMs) ? filter.sinceMs : null,
		to: Number.isFinite(filter.untilMs) ? filter.untilMs : null,
		skipsReads: (reads ?? (own.compare ? 'compare' : 'skip')) === 'skip',
		timeoutMs: checkTimerMs('timeoutMs', timeoutMs),
	}
}
