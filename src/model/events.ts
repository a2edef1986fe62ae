/**
 * The types of a loop's events. An event map lists the kinds of an application with the type of their data.
 * Publishers pass data of that type; listeners and readers receive its canonical form.
 */
import type { Canonical } from './canonical-data.ts'
import type { LogFilter } from './filter.ts'
import type { OwnEvents } from './own-events.ts'
import type { GapData, LineFields, LogLevel, LogLine, LogRecord, RecordOrigin } from './record.ts'

/**
 * The event map of an untyped loop or chain: allows every kind, with data of type unknown. Any other
 * interface or type with texts as keys can be an event map.
 */
// biome-ignore lint/suspicious/noExplicitAny: only any is assignable from every other map, so that typed loops pass as plain ones
export type EventMap = any

/** Whether an event map allows every kind. */
type IsOpen<E> = string extends keyof E ? true : false

/** The kinds of a loop with this event map: those of the map and those of mesh-chain. */
export type KindOf<E> = (keyof E & string) | keyof OwnEvents

type DataOf<E, K extends string> = K extends keyof OwnEvents
	? IsOpen<E> extends true
		? OwnEvents[K]
		: K extends keyof E
			? Canonical<E[K]>
			: OwnEvents[K]
	: K extends keyof E
		? Canonical<E[K]>
		: unknown

/**
 * A record of one of these kinds: with several kinds, a union that narrows by `kind`. `data` is required if
 * the event map declares data that is never undefined.
 */
export type RecordOf<E, K extends string = KindOf<E>> = string extends K
	? LogRecord
	: K extends string
		? LogRecord<K, DataOf<E, K>>
		: never

/** The record that replaces absent records. Readers return it regardless of the filter. */
export type GapRecord = LogRecord<'$gap', GapData>

/** A record of one of these kinds, or a gap. */
export type RecordOrGap<E, K extends string = KindOf<E>> = RecordOf<E, K> | GapRecord

/** A record of a chain: one of these kinds or a gap; any record if the event map allows every kind. */
export type ChainRecord<E, K extends string = KindOf<E>> =
	IsOpen<E> extends true ? LogRecord : RecordOrGap<E, K>

/** A filter with an explicit kind or kinds. */
export interface KindFilter<K extends string> extends LogFilter {
	readonly kind: K | readonly K[]
}

/** Fields that the third argument of `emit` sets. */
export interface EmitFields extends LineFields {
	/** Level of the record. Default: `'info'`. */
	readonly level?: LogLevel | undefined
	/** Message of the record. Default: the kind. */
	readonly message?: string | undefined
}

/** The arguments of `emit` after the kind. Data may be omitted if its type includes undefined. */
export type EmitArgs<D> = [undefined] extends [D]
	? [data?: D, fields?: EmitFields]
	: [data: D, fields?: EmitFields]

/**
 * A line for `publish`: a kind of the event map with its data, the kind `log`, or any kind with an `origin`.
 */
export type LineOf<E> =
	IsOpen<E> extends true
		? LogLine
		: EventLine<E, keyof E & string> | LogLine<'log'> | (LogLine & { readonly origin: RecordOrigin })

type EventLine<E, K extends keyof E & string> = K extends string
	? LogLine<K, E[K]> & { readonly kind: K } & ([undefined] extends [E[K]] ? unknown : { readonly data: E[K] })
	: never
