/** The shapes of lines, records, levels and gaps. Nothing here does I/O or keeps state. */
import { show } from '../guard/show.ts'
import { TIME_MAX_MS } from '../platform/time-limits.ts'
import { MeshChainError } from './errors.ts'
import { EPOCH_MAX, SEQ_MAX } from './limits.ts'

/** All levels, from the least to the most severe. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error'] as const
/** How severe a record is. */
export type LogLevel = (typeof LOG_LEVELS)[number]

/**
 * The id of a daemon or a node. Its type survives the round trip through a chain: a bigint comes back as that
 * bigint.
 */
export type PublisherId = string | number | bigint

/** What a publisher hands in. */
export interface LogLine<K extends string = string, D = unknown> {
	/** 1 to 256 characters. `'*'` and names that start with `$` are refused. Default: `'log'`. */
	readonly kind?: K | undefined
	/** Default: `'info'`. */
	readonly level?: LogLevel | undefined
	/** At most 262,144 UTF-16 units; a longer message is cut, and counted. Default: the kind. */
	readonly message?: string | undefined
	/** Copied into canonical form before `publish` returns: later mutation changes nothing. At most 1 MiB. */
	readonly data?: D | undefined
	/** Default: null. */
	readonly daemonId?: PublisherId | null | undefined
	/** Default: the loop's. */
	readonly nodeId?: PublisherId | null | undefined
	/** Milliseconds since 1970 UTC; fractions are cut off, before 1970 gives 0. Default: the loop's clock. */
	readonly tsMs?: number | undefined
	/**
	 * Set by replay, import and merge: the identity of the original record. Allows kinds that start with `$`.
	 */
	readonly origin?: RecordOrigin | undefined
}

/** The identity of a record in the chain it came from. */
export interface RecordOrigin {
	readonly chainId: string
	readonly epoch: number
	readonly seq: number
}

interface RecordFrame<K extends string> {
	/** From 1, strictly increasing in a chain. */
	readonly seq: number
	/** The opening of the chain that wrote it; a record's identity is `(chainId, epoch, seq)`. */
	readonly epoch: number
	/** Whole milliseconds since 1970 UTC. May step back from one record to the next. */
	readonly tsMs: number
	readonly level: LogLevel
	readonly kind: K
	readonly message: string
	readonly daemonId: PublisherId | null
	readonly nodeId: PublisherId | null
	/** True only in `snapshot()`: the appender has not committed it, or never will. */
	readonly chainPending: boolean
	/** Only on records that were merged, imported or replayed. */
	readonly origin?: RecordOrigin
}

/**
 * One immutable entry of history.
 *
 * `D` is the type of its `data`, in canonical form. A record whose `D` includes undefined may have none.
 */
export type LogRecord<K extends string = string, D = unknown> = RecordFrame<K> &
	([undefined] extends [D] ? { readonly data?: D } : { readonly data: D })

/**
 * Why records are absent: evicted from a ring (`evicted`) or a queue (`overflow`) before the appender took
 * them; refused by the appender (`appendFailed`); damaged in the file; never synced (`unsynced`); removed by
 * retention (`retained`); evicted before a subscription read them (`lagged`); left out of an import
 * (`notImported`); larger than a message of a stream (`tooLarge`).
 */
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

/** The `data` of a `$gap`: which records are absent, and why. */
export interface GapData {
	/** Seq of the first absent record. */
	readonly fromSeq: number
	/** Seq of the last absent record. */
	readonly toSeq: number
	/** Number of absent records: fewer than seqs where some seqs were never given. */
	readonly count: number
	readonly cause: GapCause
}

/**
 * The kind of a record that stands for absent ones. Its `seq` is the gap's `toSeq`; it passes every filter.
 */
export const GAP_KIND = '$gap'

/** Fields that every level method takes after message and data. */
export type LineFields = Pick<LogLine, 'daemonId' | 'nodeId' | 'tsMs'>

/** Whether a record can have this time: whole milliseconds from 1970 on, within the range of a `Date`. */
export function isRecordTime(tsMs: unknown): tsMs is number {
	return Number.isInteger(tsMs) && (tsMs as number) >= 0 && (tsMs as number) <= TIME_MAX_MS
}

/** Whether a value is a time within the range of a `Date`, before 1970 too, whole or not. */
export function isPointInTime(ms: unknown): ms is number {
	return typeof ms === 'number' && Math.abs(ms) <= TIME_MAX_MS
}

/** Whether a value can bound a range of times. An infinite one does not bound it. */
export function isTimeBound(ms: unknown): ms is number {
	return isPointInTime(ms) || ms === Number.POSITIVE_INFINITY || ms === Number.NEGATIVE_INFINITY
}

/** The nearest time that a record can have to any reading of a clock. */
export function toRecordTime(tsMs: number): number {
	return tsMs > 0 ? Math.min(Math.floor(tsMs), TIME_MAX_MS) : 0
}

/** Whether a value is a whole number from `min` to the highest seq, offset or count. */
export function isSeq(value: unknown, min = 1): value is number {
	return Number.isInteger(value) && (value as number) >= min && (value as number) <= SEQ_MAX
}

/** Whether a value is a whole number from `min` to the highest epoch. */
export function isEpoch(value: unknown, min = 1): value is number {
	return Number.isInteger(value) && (value as number) >= min && (value as number) <= EPOCH_MAX
}

/** Whether a kind is one of mesh-chain's own. */
export function isOwnKind(kind: string): boolean {
	return kind.charCodeAt(0) === 36 /* $ */
}

/** The position of a level in {@link LOG_LEVELS}; -1 for anything else. */
export function levelIndex(level: unknown): number {
	// Called several times a record; a map would hash the name each time.
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
 * Reads a level in any case; `'warning'` is `'warn'`. For texts from outside, such as environment variables.
 *
 * @throws {MeshChainError} `INVALID_LEVEL`, naming the text and all levels.
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

/**
 * Whether a record stands for absent ones of this chain. A gap from another chain, with an `origin`, is a
 * plain record.
 */
export function isGap(record: LogRecord): record is LogRecord<'$gap', GapData> {
	return record.kind === GAP_KIND && record.origin === undefined
}

/** Whether a gap names the records it stands for: a reader must not trust one that does not. */
export function isWholeGap({ seq, data }: Pick<LogRecord, 'seq' | 'data'>): boolean {
	return gapDataOf(data)?.toSeq === seq
}

/**
 * The data of a `$gap` from any writer; undefined where it does not name the absent records and the cause.
 */
export function gapDataOf(data: unknown): GapData | undefined {
	const { fromSeq, toSeq, count, cause } = (data ?? {}) as Partial<GapData>
	const isRange = isSeq(fromSeq) && isSeq(toSeq) && fromSeq <= toSeq
	const isWhole = isRange && isSeq(count) && count <= toSeq - fromSeq + 1 && isGapCause(cause)
	return isWhole ? (data as GapData) : undefined
}

/**
 * Whether a text can be a cause: a word that is not a property of every object. Later versions may add
 * causes.
 */
export function isGapCause(cause: unknown): cause is string {
	return typeof cause === 'string' && /^[a-zA-Z]{1,40}$/.test(cause) && !(cause in Object.prototype)
}
