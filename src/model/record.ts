/** Types and pure functions for lines, records, levels and gaps. */
import { TIME_MAX_MS } from '../platform/time-limits.ts'
import { EPOCH_MAX, SEQ_MAX } from './limits.ts'

/** All levels, from the least to the most severe. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error'] as const
/** The severity of a record. */
export type LogLevel = (typeof LOG_LEVELS)[number]

/**
 * The id of a daemon or a node. A chain preserves the type of an id, so a bigint is read back as the same
 * bigint.
 */
export type PublisherId = string | number | bigint

/** The fields that a publisher passes to `publish`. */
export interface LogLine<K extends string = string, D = unknown> {
	/**
	 * Kind of the record, 1 to 256 characters. `'*'` and kinds that start with `$` are refused. Default:
	 * `'log'`.
	 */
	readonly kind?: K | undefined
	/** Level of the record. Default: `'info'`. */
	readonly level?: LogLevel | undefined
	/**
	 * Message of at most 262,144 UTF-16 units. A longer message is truncated and counted. Default: the kind.
	 */
	readonly message?: string | undefined
	/**
	 * Payload of at most 1 MiB. The data is copied in canonical form before `publish` returns, so later changes
	 * to the original have no effect.
	 */
	readonly data?: D | undefined
	/** Id of the daemon. Default: null. */
	readonly daemonId?: PublisherId | null | undefined
	/** Id of the node. Default: the node id of the loop. */
	readonly nodeId?: PublisherId | null | undefined
	/**
	 * Time in milliseconds since 1970 UTC. Fractions are truncated, and a time before 1970 becomes 0. Default:
	 * the time of the loop's clock.
	 */
	readonly tsMs?: number | undefined
	/**
	 * Identity of the original record, set by replay, import and merge. A line with an origin may have a kind
	 * that starts with `$`.
	 */
	readonly origin?: RecordOrigin | undefined
}

/** The identity of a record in its original chain. */
export interface RecordOrigin {
	readonly chainId: string
	readonly epoch: number
	readonly seq: number
}

interface RecordFrame<K extends string> {
	/** Number of the record in its chain, from 1 and strictly increasing within an epoch. */
	readonly seq: number
	/**
	 * Number of the epoch in which the record was stamped. Each opening of a chain starts a new epoch. A
	 * record's identity is `(chainId, epoch, seq)`.
	 */
	readonly epoch: number
	/**
	 * Time in whole milliseconds since 1970 UTC. A record's time may be earlier than the previous record's
	 * time.
	 */
	readonly tsMs: number
	readonly level: LogLevel
	readonly kind: K
	readonly message: string
	readonly daemonId: PublisherId | null
	readonly nodeId: PublisherId | null
	/**
	 * Whether the appender has yet to commit the record, or will never commit it. Can be true only in records
	 * from `snapshot()`.
	 */
	readonly chainPending: boolean
	/** Identity of the original record. Present only on merged, imported or replayed records. */
	readonly origin?: RecordOrigin
}

/**
 * An immutable unit of the history: a line with a seq, a time and an epoch.
 *
 * `D` is the type of the record's `data` in canonical form. `data` is optional if `D` includes undefined.
 */
export type LogRecord<K extends string = string, D = unknown> = RecordFrame<K> &
	([undefined] extends [D] ? { readonly data?: D } : { readonly data: D })

/**
 * The reason why records are absent: evicted from a ring (`evicted`) or a queue (`overflow`) before the
 * appender accepted them, refused by the appender (`appendFailed`), damaged in the file (`damaged`), lost
 * before they were synced (`unsynced`), removed by retention (`retained`), evicted before a subscription read
 * them (`lagged`), left out of an import (`notImported`), or too large for a message in a stream
 * (`tooLarge`).
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

/** The `data` of a `$gap` record: the range of absent records and the cause. */
export interface GapData {
	/** Seq of the first absent record. */
	readonly fromSeq: number
	/** Seq of the last absent record. */
	readonly toSeq: number
	/**
	 * Number of absent records. It is lower than the number of seqs in the range if some seqs were never
	 * assigned.
	 */
	readonly count: number
	readonly cause: GapCause
}

/**
 * The kind of a record that replaces absent records. The record's `seq` is the gap's `toSeq`. A gap passes
 * every filter whose range of seqs overlaps the gap.
 */
export const GAP_KIND = '$gap'

/** Fields that every level method accepts after the message and the data. */
export type LineFields = Pick<LogLine, 'daemonId' | 'nodeId' | 'tsMs'>

/**
 * Returns whether a value is a valid time for a record: whole milliseconds since 1970, within the range of a
 * `Date`.
 */
export function isRecordTime(tsMs: unknown): tsMs is number {
	return Number.isInteger(tsMs) && (tsMs as number) >= 0 && (tsMs as number) <= TIME_MAX_MS
}

/**
 * Returns whether a value is a time within the range of a `Date`. Fractions and times before 1970 are
 * allowed.
 */
export function isPointInTime(ms: unknown): ms is number {
	return typeof ms === 'number' && Math.abs(ms) <= TIME_MAX_MS
}

/** Returns whether a value can be a bound of a time range. An infinite value means no bound. */
export function isTimeBound(ms: unknown): ms is number {
	return isPointInTime(ms) || ms === Number.POSITIVE_INFINITY || ms === Number.NEGATIVE_INFINITY
}

/** Converts any clock reading to a valid time for a record by truncating and clamping it. */
export function toRecordTime(tsMs: number): number {
	return tsMs > 0 ? Math.min(Math.floor(tsMs), TIME_MAX_MS) : 0
}

/** Returns whether a value is a whole number from `min` to {@link SEQ_MAX}. */
export function isSeq(value: unknown, min = 1): value is number {
	return Number.isInteger(value) && (value as number) >= min && (value as number) <= SEQ_MAX
}

/** Returns whether a value is a whole number from `min` to {@link EPOCH_MAX}. */
export function isEpoch(value: unknown, min = 1): value is number {
	return Number.isInteger(value) && (value as number) >= min && (value as number) <= EPOCH_MAX
}

/** Returns whether a kind is one of mesh-chain's own. */
export function isOwnKind(kind: string): boolean {
	return kind.charCodeAt(0) === 36 /* $ */
}

/** Returns the index of a level in {@link LOG_LEVELS}; -1 for any other value. */
export function levelIndex(level: unknown): number {
	// This function runs several times per record, and a map would hash the level's name each time.
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

/** Creates the record that replaces absent records. */
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

/** Returns the part of a gap that is within a range. The gap and the range must overlap. */
export function clippedGap(
	gap: LogRecord<'$gap', GapData>,
	range: { readonly fromSeq?: number; readonly toSeq?: number },
): LogRecord<'$gap', GapData> {
	const { data } = gap
	const fromSeq = Math.max(data.fromSeq, range.fromSeq ?? data.fromSeq)
	const toSeq = Math.min(data.toSeq, range.toSeq ?? data.toSeq)
	if (fromSeq === data.fromSeq && toSeq === data.toSeq) return gap
	return gapRecord(
		{ fromSeq, toSeq, count: Math.min(data.count, toSeq - fromSeq + 1), cause: data.cause },
		gap,
	)
}

/**
 * Returns whether a record replaces absent records of this chain. A gap from another chain has an `origin`
 * and is treated as an ordinary record.
 */
export function isGap(record: LogRecord): record is LogRecord<'$gap', GapData> {
	return record.kind === GAP_KIND && record.origin === undefined
}

/**
 * Returns whether a gap has valid data with a range that ends at the gap's seq. Readers must not trust any
 * other gap.
 */
export function isWholeGap({ seq, data }: Pick<LogRecord, 'seq' | 'data'>): boolean {
	return gapDataOf(data)?.toSeq === seq
}

/**
 * Returns the data of a `$gap` record from any writer; undefined if the range, the count or the cause is
 * invalid.
 */
export function gapDataOf(data: unknown): GapData | undefined {
	const { fromSeq, toSeq, count, cause } = (data ?? {}) as Partial<GapData>
	const isRange = isSeq(fromSeq) && isSeq(toSeq) && fromSeq <= toSeq
	const isWhole = isRange && isSeq(count) && count <= toSeq - fromSeq + 1 && isGapCause(cause)
	return isWhole ? (data as GapData) : undefined
}

/**
 * Returns whether a string can be a cause: 1 to 40 letters that are not the name of a property of
 * `Object.prototype`. Later versions may add causes.
 */
export function isGapCause(cause: unknown): cause is string {
	return typeof cause === 'string' && /^[a-zA-Z]{1,40}$/.test(cause) && !(cause in Object.prototype)
}
