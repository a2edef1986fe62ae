/** Options of a replay of statements. */
import {
	checkBoolean,
	checkFunction,
	checkOptionNames,
	checkTimerMs,
	checkWholeNumber,
	checkWord,
	ifGiven,
} from '../model/check.ts'
import { MeshChainError } from '../model/errors.ts'
import { FILTER_NAMES, type LogFilter, type ResolvedFilter, resolveFilter } from '../model/filter.ts'
import type { ReplayClock } from '../replay/clock.ts'
import { type ResolvedReplayOptions, resolveReplayOptions } from '../replay/replay-options.ts'
import { STATEMENT_KIND } from './statement.ts'
import type { StatementProgress } from './statement-report.ts'

/**
 * Options of {@link replayStatements}. The window (`since`, `until`, `fromSeq`, `toSeq`, `afterSeq`) selects the records to
 * read; a transaction must lie in it as a whole. All other conditions select transactions: those with a matching statement.
 *
 * Settings that a session made before the window (`SET search_path = …`, as a pool does when it connects) are not known: give
 * them to the target by `ALTER ROLE … SET`, or by `options` in its URL.
 */
export interface ReplayStatementsOptions extends LogFilter {
	/**
	 * Order of the replay. Default: `'commit'`.
	 * - `commit`: one transaction after the other, in the order of their commits, each on a clean connection.
	 * - `asRecorded`: statements in the order of the chain, interleaved as recorded, with one connection per recorded session.
	 */
	readonly mode?: 'commit' | 'asRecorded'
	/** Whether to compare rows, checksums and errors with the recording. Default: false. */
	readonly compare?: boolean
	/** Whether transactions that only read are replayed. Default: `'compare'` with `compare`, and `'skip'` otherwise. */
	readonly reads?: 'skip' | 'compare'
	/** Whether to replay transactions that were rolled back too. Default: false. */
	readonly includeRolledBack?: boolean
	/** Speed: 1 is real time, 10 is 10×, `'max'` is as fast as the target answers. Default: `'max'`. */
	readonly speed?: 'max' | number
	/** Longest pause between two transactions or statements, in milliseconds of the recording. Default: as for `replay`. */
	readonly gapMsMax?: number
	/** Retries of a lost connection and of a transaction, after 50 ms, 100 ms and so on, at most 5 s. Default: 10. */
	readonly retries?: number
	/** Time-out of one statement, also set on the target. Default: 600,000. */
	readonly timeoutMs?: number
	/**
	 * Time until a new connection has answered, in milliseconds. Default: 10,000. In the mode `asRecorded` also the time that a
	 * transaction may wait to begin while the target answers on no other connection, because a pooler has none left.
	 */
	readonly connectMs?: number
	/** Whether to end after the first transaction with a failed statement. Default: false. */
	readonly stopOnError?: boolean
	/** Whether to only read and count, without connecting to the target. Default: false. */
	readonly dryRun?: boolean
	/** Ends the replay after the transaction in progress. */
	readonly signal?: AbortSignal
	/** Called about every `progressMs`. */
	readonly onProgress?: (progress: StatementProgress) => void
	/** Time between two calls of `onProgress`. Default: 1,000. */
	readonly progressMs?: number
	/** Bytes held of open transactions. Beyond it, the largest one is not replayed. Default: 64 MiB. */
	readonly openBytesMax?: number
	/** Statements in each list of the report. Default: 1,000. */
	readonly listMax?: number
	/** Clock. Default: that of the system. */
	readonly clock?: ReplayClock
}

type Shared = 'rate' | 'gapMsMax' | 'retries' | 'stopOnError' | 'dryRun' | 'signal' | 'progressMs' | 'clock'

export interface ResolvedStatementsOptions extends Pick<ResolvedReplayOptions, Shared> {
	/** What to ask the chain for. */
	readonly window: LogFilter
	/** Which transactions. */
	readonly chosen: ResolvedFilter
	readonly from: number | null
	readonly to: number | null
	readonly mode: 'commit' | 'asRecorded'
	readonly compare: boolean
	readonly skipsReads: boolean
	readonly includeRolledBack: boolean
	readonly timeoutMs: number
	readonly connectMs: number
	readonly onProgress: ((progress: StatementProgress) => void) | undefined
	readonly openBytesMax: number
	readonly listMax: number
}

const WINDOW_NAMES = ['since', 'until', 'fromSeq', 'toSeq', 'afterSeq'] as const
const SHARED_NAMES = [
	'speed',
	'gapMsMax',
	'retries',
	'timeoutMs',
	'stopOnError',
	'dryRun',
	'signal',
	'progressMs',
	'clock',
] as const
const OWN_NAMES = [
	'onProgress',
	'mode',
	'compare',
	'reads',
	'includeRolledBack',
	'connectMs',
	'openBytesMax',
	'listMax',
] as const
const MIB = 1024 * 1024

/** @throws {MeshChainError} `INVALID_OPTION`, `INVALID_FILTER`, `INVALID_LEVEL`, before anything is read or connected to. */
export function resolveStatementsOptions(options: ReplayStatementsOptions): ResolvedStatementsOptions {
	checkOptionNames(options, [...OWN_NAMES, ...SHARED_NAMES, ...FILTER_NAMES])
	const { retries = 10, compare = false, reads, mode = 'commit', includeRolledBack = false } = options
	const { filter, ...shared } = resolveReplayOptions({
		...picked(options, [...SHARED_NAMES, ...FILTER_NAMES]),
		retries,
	})
	const chosen = picked(
		options,
		FILTER_NAMES.filter((name) => !(WINDOW_NAMES as readonly string[]).includes(name)),
	)
	checkBoolean('compare', compare)
	if (reads !== undefined) checkWord('reads', reads, ['skip', 'compare'])
	if (reads === 'compare' && !compare)
		throw new MeshChainError('INVALID_OPTION', "reads: 'compare' needs compare: true")
	return {
		...shared,
		window: { ...picked(options, WINDOW_NAMES), kind: STATEMENT_KIND },
		chosen: resolveFilter(chosen),
		from: Number.isFinite(filter.sinceMs) ? filter.sinceMs : null,
		to: Number.isFinite(filter.untilMs) ? filter.untilMs : null,
		mode: checkWord('mode', mode, ['commit', 'asRecorded']),
		compare,
		skipsReads: (reads ?? (compare ? 'compare' : 'skip')) === 'skip',
		includeRolledBack: checkBoolean('includeRolledBack', includeRolledBack),
		timeoutMs: checkTimerMs('timeoutMs', options.timeoutMs ?? 600_000),
		connectMs: checkTimerMs('connectMs', options.connectMs ?? 10_000),
		onProgress: ifGiven('onProgress', options.onProgress, checkFunction),
		openBytesMax: checkWholeNumber('openBytesMax', options.openBytesMax ?? 64 * MIB, 0),
		listMax: checkWholeNumber('listMax', options.listMax ?? 1000, 0),
	}
}

function picked<T extends object, K extends keyof T>(from: T, names: readonly K[]): Pick<T, K> {
	return Object.fromEntries(
		names.filter((name) => from[name] !== undefined).map((name) => [name, from[name]]),
	) as Pick<T, K>
}
