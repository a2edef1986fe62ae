/** Options of a replay of statements. */
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
 * the records to read; a transaction must lie in it as a whole. All other conditions select transactions:
 * those with a matching statement.
 *
 * Settings that a session made before the window (`SET search_path = …`, as a pool does when it connects) are
 * not known: give them to the target by `ALTER ROLE … SET`, or by `options` in its URL.
 */
export interface ReplayStatementsOptions extends LogFilter {
	/**
	 * Order of the replay. Default: `'commit'`.
	 * - `commit`: one transaction after the other, in the order of their commits, each on a clean connection.
	 * - `asRecorded`: statements in the order of the chain, interleaved as recorded, with one connection per
	 *   recorded session.
	 */
	readonly mode?: 'commit' | 'asRecorded' | undefined
	/** Whether to compare rows, checksums and errors with the recording. Default: false. */
	readonly compare?: boolean | undefined
	/**
	 * Whether transactions that only read are replayed. Default: `'compare'` with `compare`, and `'skip'`
	 * otherwise.
	 */
	readonly reads?: 'skip' | 'compare' | undefined
	/** Whether to replay transactions that were rolled back too. Default: false. */
	readonly includeRolledBack?: boolean | undefined
	/** Speed: 1 is real time, 10 is 10×, `'max'` is as fast as the target answers. Default: `'max'`. */
	readonly speed?: 'max' | number | undefined
	/**
	 * Longest pause between two transactions or statements, in milliseconds of the recording. Default: as for
	 * `replay`.
	 */
	readonly gapMsMax?: number | undefined
	/**
	 * Retries of a lost connection and of a transaction, after 100 ms, 200 ms and so on, at most 5 s. Default:
	 * 10.
	 */
	readonly retries?: number | undefined
	/** Time-out of one statement, also set on the target. Default: 600,000. */
	readonly timeoutMs?: number | undefined
	/**
	 * Time until a new connection has answered, in milliseconds. Default: 10,000. In the mode `asRecorded` also
	 * the time that a transaction may wait to begin while the target answers on no other connection, because a
	 * pooler has none left.
	 */
	readonly connectMs?: number | undefined
	/** Whether to end after the first transaction with a failed statement. Default: false. */
	readonly stopOnError?: boolean | undefined
	/** Whether to only read and count, without connecting to the target. Default: false. */
	readonly dryRun?: boolean | undefined
	/** Ends the replay after the transaction in progress. */
	readonly signal?: AbortSignal | undefined
	/** Called about once per `progressIntervalMs`. */
	readonly onProgress?: ((progress: StatementProgress) => void) | undefined
	/** Time between two calls of `onProgress`, in milliseconds. Default: 1,000. */
	readonly progressIntervalMs?: number | undefined
	/** Bytes held of open transactions. Beyond it, the largest one is not replayed. Default: 64 MiB. */
	readonly openBytesMax?: number | undefined
	/** Statements in each list of the report. Default: 1,000. */
	readonly listMax?: number | undefined
	/** Clock. Default: that of the system. */
	readonly clock?: ReplayClock | undefined
}

const MIB = 1024 * 1024

/** Options that a replay of records has too. */
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

/** The options in full. */
export interface ResolvedStatementsOptions
	extends Pick<ResolvedReplayOptions, Shared>,
		Omit<ResolvedOptions<typeof OWN_RULES>, 'reads'> {
	/** Query for the chain. */
	readonly window: LogFilter
	/** Filter that selects transactions. */
	readonly chosen: ResolvedFilter
	readonly from: number | null
	readonly to: number | null
	readonly skipsReads: boolean
	readonly timeoutMs: number
}

/**
 * Checks and completes the options, before anything is read or connected.
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
		throw new MeshChainError('INVALID_OPTION', "reads: 'compare' needs compare: true")
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
