/**
 * The types of a loop's events. An event map names the kinds of an application and the type of the data of
 * each; what a publisher gives has that type, what a listener or a reader gets has its canonical form.
 */
import type { Canonical } from './canonical-data.ts'
import type { LogFilter } from './filter.ts'
import type { OwnEvents } from './own-events.ts'
import type { GapData, LineFields, LogLevel, LogLine, LogRecord, RecordOrigin } from './record.ts'

/**
 * The event map of a plain loop or chain, which allows every kind; data is unknown. Any other interface or
 * type with texts as keys is an event map too.
 */
// biome-ignore lint/suspicious/noExplicitAny: only any is assignable from every other map, so that typed loops pass as plain ones
export type EventMap = any

/** Whether an event map allows every kind. */
type IsOpen<E> = string extends keyof E ? true : false

/** The kinds that a loop with this event map knows: its own, and those of mesh-chain. */
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
 * A record of one of these kinds: a union that narrows by `kind` where there are several. `data` is required
 * where the event map declares data that is never undefined.
 */
export type RecordOf<E, K extends string = KindOf<E>> = string extends K
	? LogRecord
	: K extends string
		? LogRecord<K, DataOf<E, K>>
		: never

/** The record that stands for absent ones. Readers give it whatever the filter. */
export type GapRecord = LogRecord<'$gap', GapData>

/** A record of one of these kinds, or a gap. */
export type RecordOrGap<E, K extends string = KindOf<E>> = RecordOf<E, K> | GapRecord

/** A record of a chain: one of these kinds or a gap; any record where the event map allows every kind. */
export type ChainRecord<E, K extends string = KindOf<E>> =
	IsOpen<E> extends true ? LogRecord : RecordOrGap<E, K>

/** A filter that names the kinds it wants. */
export interface KindFilter<K extends string> extends LogFilter {
	readonly kind: K | readonly K[]
}

/** What the third argument of `emit` sets. */
export interface EmitFields extends LineFields {
	/** Default: `'info'`. */
	readonly level?: LogLevel | undefined
	/** Default: the kind. */
	readonly message?: string | undefined
}

/** The arguments of `emit` after the kind: data may be left out where it may be undefined. */
export type EmitArgs<D> = [undefined] extends [D]
	? [data?: D, fields?: EmitFields]
	: [data: D, fields?: EmitFields]

/**
 * A line for `publish`: of a kind of the event map, with its data; of kind `log`; or one with an `origin`, of
 * any kind.
 */
export type LineOf<E> =
	IsOpen<E> extends true
		? LogLine
		: EventLine<E, keyof E & string> | LogLine<'log'> | (LogLine & { readonly origin: RecordOrigin })

type EventLine<E, K extends keyof E & string> = K extends string
	? LogLine<K, E[K]> & { readonly kind: K } & ([undefined] extends [E[K]] ? unknown : { readonly data: E[K] })
	: never
