/** How statements are replayed, checked and in full. */

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
 * The window (`since`, `until`, `fromSeq`, `toSeq`, `afterSeq`) says which records are looked at; a transaction has to lie in it as a whole. Every
 * other condition chooses transactions: those that have a statement for which it holds.
 *
 * What a session was told before the window (`SET search_path = …`, as a pool does when it connects) is not known in it: give the target such settings by
 * `ALTER ROLE … SET`, or by `options` in its URL.
 */
export interface ReplayStatementsOptions extends LogFilter {
	/**
	 * - `commit`, the default: one transaction after the other, in the order in which they committed, each on a clean connection.
	 * - `asRecorded`: statements in the order of the chain, interleaved as they were, with one connection for each that was recorded.
	 */
	readonly mode?: 'commit' | 'asRecorded'
	/** Compares rows, checksums and errors with the recording. Default false. */
	readonly compare?: boolean
	/** What becomes of transactions that only read. Default `'compare'` with `compare`, and `'skip'` otherwise. */
	readonly reads?: 'skip' | 'compare'
	/** Replays what was rolled back too. Default false. */
	readonly includeRolledBack?: boolean
	/** `'max'`: as fast as the target answers. A number: at so many times the speed of life. Default `'max'`. */
	readonly speed?: 'max' | number
	/** The longest distance between two transactions or statements that is waited for, in milliseconds of the recording. Default: as for `replay`. */
	readonly gapMsMax?: number
	/** How often a lost connection is tried to be made again, and a transaction to be replayed; after 100 ms, 200 ms and so on, at most 5 s. Default 10. */
	readonly retries?: number
	/** How long one statement may take; the target is told. Default 600,000. */
	readonly timeoutMs?: number
	/**
	 * How long a new connection may take until the target has answered on it, in milliseconds. Default 10,000. As recorded, also how long a
	 * transaction may wait to begin where the target answers on no other connection either: a pooler has none left then.
	 */
	readonly connectMs?: number
	/** End after the first transaction of which a statement failed. Default false. */
	readonly stopOnError?: boolean
	/** Look at everything and count it, without connecting to the target. Default false. */
	readonly dryRun?: boolean
	/** Ends the replay; the transaction that is under way is waited for. */
	readonly signal?: AbortSignal
	/** Called about every `progressIntervalMs`, default 1,000. */
	readonly onProgress?: (progress: StatementProgress) => void
	readonly progressIntervalMs?: number
	/** How much is held of transactions that have not ended yet. The largest one is given up where it is more. Default 64 MiB. */
	readonly openBytesMax?: number
	/** How many statements each list of the report holds. Default 1,000. */
	readonly listMax?: number
	readonly clock?: ReplayClock
}

type Shared =
	| 'speed'
	| 'gapMsMax'
	| 'retries'
	| 'stopOnError'
	| 'dryRun'
	| 'signal'
	| 'progressIntervalMs'
	| 'clock'

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
	'progressIntervalMs',
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
