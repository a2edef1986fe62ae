/**
 * The levels that applications use: in any case, as pino's numbers, and with two levels that no record has,
 * `fatal` and `silent`.
 */
import { show } from '../guard/show.ts'
import { MeshChainError } from './errors.ts'
import { LOG_LEVELS, type LogLevel, levelIndex } from './record.ts'

/**
 * Level of a line. A line at level `fatal` becomes a record at level `error` whose data contains `level:
 * 'fatal'`.
 */
export type LineLevel = LogLevel | 'fatal'

/** Lowest level that a loop publishes. At `silent`, it publishes no lines. */
export type LogLevelMin = LineLevel | 'silent'

/**
 * A level as applications write it: one of the levels, in any case, `'warning'`, or one of pino's numbers,
 * such as 40.
 */
export type LogLevelInput = LogLevelMin | (string & {}) | number

/** All levels of lines, from the lowest to the highest. */
export const LINE_LEVELS: readonly LineLevel[] = [...LOG_LEVELS, 'fatal']
/** All levels that a loop can have, from the lowest to the highest. */
const LEVELS_MIN: readonly LogLevelMin[] = [...LINE_LEVELS, 'silent']

const FATAL_RANK = LINE_LEVELS.length - 1
/** Rank of `silent`, which is above the rank of every line. */
const SILENT_RANK = LEVELS_MIN.length - 1

/** Value of `data.level` in the record of a line at level `fatal`. */
export const FATAL = 'fatal'

/** Pino's numbers. A number between two of them has the lower level. */
const NUMBERS: readonly (readonly [number, LogLevelMin])[] = [
	[Number.POSITIVE_INFINITY, 'silent'],
	[60, 'fatal'],
	[50, 'error'],
	[40, 'warn'],
	[30, 'info'],
	[20, 'debug'],
	[0, 'trace'],
]

/** Returns the rank of a level in any form, from 0 for `trace` to 6 for `silent`; -1 for any other value. */
export function rankOf(level: unknown): number {
	const index = levelIndex(level)
	return index >= 0 ? index : LEVELS_MIN.indexOf(levelOf(level)!)
}

/** Returns the rank of the level of a line; -1 for a value that no line has as its level. */
export function lineRankOf(level: unknown): number {
	const rank = rankOf(level)
	return rank === SILENT_RANK ? -1 : rank
}

/** Returns the level with a rank. */
export function levelAt(rank: number): LogLevelMin {
	return LEVELS_MIN[rank]!
}

/** Returns the level that a value means; undefined if the value is not a level. */
function levelOf(level: unknown): LogLevelMin | undefined {
	if (typeof level === 'number') return NUMBERS.find(([least]) => level >= least)?.[1]
	if (typeof level !== 'string') return undefined
	const name = level.trim().toLowerCase()
	return LEVELS_MIN.find((each) => each === (name === 'warning' ? 'warn' : name))
}

/**
 * Checks the lowest level of a loop and returns its rank.
 *
 * @throws {MeshChainError} `INVALID_LEVEL`
 */
export function checkLevelMin(level: unknown): number {
	const rank = rankOf(level)
	if (rank < 0) throw invalidLevel(level, LEVELS_MIN)
	return rank
}

export function invalidLevel(level: unknown, valid: readonly string[] = LOG_LEVELS): MeshChainError {
	return new MeshChainError(
		'INVALID_LEVEL',
		`no such level: ${show(level)}; valid levels: ${valid.join(', ')}`,
	)
}

/** Returns whether a record is the record of a line at level `fatal`. */
export function isFatal({ level, data }: { readonly level: LogLevel; readonly data?: unknown }): boolean {
	return level === 'error' && (data as { readonly level?: unknown } | null | undefined)?.level === FATAL
}

/** Returns the rank of the level of the line from which a record was made. */
export function rankOfRecord(record: { readonly level: LogLevel; readonly data?: unknown }): number {
	return isFatal(record) ? FATAL_RANK : levelIndex(record.level)
}

/**
 * Parses the level of a line from an external string, such as an environment variable. Ignores case and
 * accepts `'warning'` for `'warn'`.
 *
 * @throws {MeshChainError} `INVALID_LEVEL`. The message contains the string and all levels.
 */
export function parseLevel(text: string): LineLevel {
	const rank = lineRankOf(String(text))
	if (rank < 0) throw invalidLevel(text, LINE_LEVELS)
	return levelAt(rank) as LineLevel
}
