/**
 * The words everyone speaks: line, record, level, gap. Shapes only; nothing here does I/O or keeps state.
 */

import { show } from '../guard/show.ts'
import { TIME_MAX_MS } from '../platform/time-limits.ts'
import { MeshChainError } from './errors.ts'
import { EPOCH_MAX, SEQ_MAX } from './limits.ts'

/** From the least to the most severe. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** A daemon or node id. Its type survives the round trip through a chain: a bigint comes back as that bigint. */
export type Id = string | number | bigint

/** What a publisher hands in. */
export interface LogLine<K extends string = string, D = unknown> {
	/** Default `'log'`. `'*'` and names that start with `$` are refused. */
	readonly kind?: K
	/** Default `'info'`. */
	readonly level?: LogLevel
	/** Default: the kind. */
	readonly message?: string
	/** Copied into canonical form before `publish` returns: later mutation changes nothing. */
	readonly data?: D
	readonly daemonId?: Id | null
	/** Default: the loop's. */
	readonly nodeId?: Id | null
	/** Milliseconds since 1970 UTC, default the loop's clock; fractions are cut off, before 1970 gives 0. */
	readonly tsMs?: number
	/** Set by replay, import and merge: whose record this was. Lets kinds that start with `$` through. */
	readonly origin?: RecordOrigin
}

/** The identity of a record in the chain it came from. */
export interface RecordOrigin {
	readonly chainId: string
	readonly epoch: number
	readonly seq: number
}

/** One immutable entry of history. */
export interface LogRecord<K extends string = string, D = unknown> {
	/** From 1, strictly increasing in a chain. */
	readonly seq: number
	/** Which opening of the chain wrote it; a record's identity is `(chainId, epoch, seq)`. */
	readonly epoch: number
	/** Whole milliseconds since 1970 UTC. May step back from one record to the next. */
	readonly tsMs: number
	readonly level: LogLevel
	readonly kind: K
	readonly message: string
	readonly data?: D
	readonly daemonId: Id | null
	readonly nodeId: Id | null
	/** True only in `snapshot()`: not in the chain, or not yet. */
	readonly chainPending: boolean
	/** Only on records that were merged, imported or replayed. */
	readonly origin?: RecordOrigin
}

/** Why records are absent. */
export type GapCause =
	| 'evicted'
	| 'appendFailed'
	| 'overflow'
	| 'damaged'
	| 'unsynced'
	| 'retained'
	| 'lagged'
	| 'notImported'
	| 'tooLarge'

/** The `data` of a `$gap`: which records are absent, both ends inclusive, and why. */
export interface GapData {
	readonly fromSeq: number
	readonly toSeq: number
	readonly count: number
	readonly cause: GapCause
}

/** The kind of a record that stands for absent ones. Its `seq` is the gap's `toSeq`; it passes every filter. */
export const GAP_KIND = '$gap'

/** Fields that every level method takes beside message and data. */
export type Fields = Pick<LogLine, 'daemonId' | 'nodeId' | 'tsMs'>

/** What `emit` carries, by kind. */
export type EventMap = Record<string, unknown>

/** Whether a record can have this time: whole milliseconds from 1970 on that a `Date` holds. */
export function isRecordTime(tsMs: unknown): tsMs is number {
	return Number.isInteger(tsMs) && (tsMs as number) >= 0 && (tsMs as number) <= TIME_MAX_MS
}

/** Whether a value is a time to compare those of records with: one that a `Date` holds, before 1970 too, whole or not. */
export function isPointInTime(ms: unknown): ms is number {
	return typeof ms === 'number' && Math.abs(ms) <= TIME_MAX_MS
}

/** Whether a value is a time that a span of time can begin or end with; an infinite one is no bound. */
export function isTimeBound(ms: unknown): ms is number {
	return isPointInTime(ms) || ms === Number.POSITIVE_INFINITY || ms === Number.NEGATIVE_INFINITY
}

/** The nearest time that a record can have, of whatever a clock answers. */
export function toRecordTime(tsMs: number): number {
	return tsMs > 0 ? Math.min(Math.floor(tsMs), TIME_MAX_MS) : 0
}

/** Whether a value is a whole number from `min` to the highest seq, offset or count that there is. */
export function isSeq(value: unknown, min = 1): value is number {
	return Number.isInteger(value) && (value as number) >= min && (value as number) <= SEQ_MAX
}

/** Whether a value is a whole number from `min` to the highest epoch that there is. */
export function isEpoch(value: unknown, min = 1): value is number {
	return Number.isInteger(value) && (value as number) >= min && (value as number) <= EPOCH_MAX
}

/** Whether a kind is one of mesh-chain's own. */
export function isOwnKind(kind: string): boolean {
	return kind.charCodeAt(0) === 36 /* $ */
}

/** The position of a level in {@link LOG_LEVELS}, or -1 for anything that is not a level. */
export function levelIndex(level: unknown): number {
	// Asked several times a record; a map would hash the name each time.
	switch (level) {
		case 'trace':
			return 0
		case 'debug':
			return 1
		case 'info':
			return 2
		case 'warn':
			return 3
		case 'error':
			return 4
		default:
			return -1
	}
}

/**
 * Reads a level in any case; `'warning'` is `'warn'`.
 *
 * @throws {MeshChainError} `INVALID_LEVEL`, naming the text and the levels there are.
 */
export function parseLevel(text: string): LogLevel {
	const name = String(text).trim().toLowerCase()
	const level = name === 'warning' ? 'warn' : name
	if (levelIndex(level) >= 0) return level as LogLevel
	throw new MeshChainError('INVALID_LEVEL', `no such level: ${show(text)} (one of ${LOG_LEVELS.join(', ')})`)
}

/** Builds the record that stands for absent ones. */
export function gapRecord(gap: GapData, at: { epoch: number; tsMs: number }): LogRecord<'$gap', GapData> {
	const { fromSeq, toSeq, count, cause } = gap
	const range = fromSeq === toSeq ? `seq ${fromSeq}` : `seq ${fromSeq} to ${toSeq}`
	return Object.freeze({
		seq: toSeq,
		epoch: at.epoch,
		tsMs: at.tsMs,
		level: 'warn',
		kind: GAP_KIND,
		message: `${count} ${count === 1 ? 'record' : 'records'} absent (${range}): ${cause}`,
		data: Object.freeze({ fromSeq, toSeq, count, cause }),
		daemonId: null,
		nodeId: null,
		chainPending: false,
	})
}

/** Whether a record stands for absent ones of this very chain (a gap that came with a merge is a plain record). */
export function isGap(record: LogRecord): record is LogRecord<'$gap', GapData> {
	return record.kind === GAP_KIND && record.origin === undefined
}

/** Whether a gap says what it stands for: a reader must not trust one that does not. */
export function isWholeGap({ seq, data }: Pick<LogRecord, 'seq' | 'data'>): boolean {
	return gapDataOf(data)?.toSeq === seq
}

/** The data of a `$gap`, whoever wrote the record; undefined where it does not say which records are absent, and why. */
export function gapDataOf(data: unknown): GapData | undefined {
	const { fromSeq, toSeq, count, cause } = (data ?? {}) as Partial<GapData>
	const isRange = isSeq(fromSeq) && isSeq(toSeq) && fromSeq <= toSeq
	const isWhole = isRange && isSeq(count) && count <= toSeq - fromSeq + 1 && isGapCause(cause)
	return isWhole ? (data as GapData) : undefined
}

/** Whether a text can be a cause: a word, and none that every object has a property of. Later versions may have more of them. */
export function isGapCause(cause: unknown): cause is string {
	return typeof cause === 'string' && /^[a-zA-Z]{1,40}$/.test(cause) && !(cause in Object.prototype)
}
