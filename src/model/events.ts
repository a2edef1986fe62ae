/**
 * Types for the events of a loop. An event map assigns a data type to each of an application's kinds.
 * Publishers pass data of that type, and listeners and readers receive the data in canonical form.
 */
import type { Canonical } from './canonical-data.ts'
import type { LogFilter } from './filter.ts'
import type { LogLevelInput } from './level.ts'
import type { OwnEvents } from './own-events.ts'
import type { GapData, LineFields, LogLine, LogRecord, RecordOrigin } from './record.ts'

/**
 * The event map of an untyped loop or chain. It allows every kind, with data of type `unknown`. Any interface
 * or type with string keys can be an event map.
 */
// Only `any` allows a loop with any event map to be passed as an untyped loop.
// biome-ignore lint/suspicious/noExplicitAny: see above
export type EventMap = any

/** Whether an event map allows every kind. */
type IsOpen<E> = string extends keyof E ? true : false

/** The kinds of a loop with this event map, including mesh-chain's own kinds. */
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
 * A record of one of these kinds. With several kinds, this is a union that TypeScript narrows by `kind`.
 * `data` is a required property if its type in the event map excludes undefined.
 */
export type RecordOf<E, K extends string = KindOf<E>> = string extends K
	? LogRecord
	: K extends string
		? LogRecord<K, DataOf<E, K>>
		: never

/** The record that replaces absent records. A filter excludes a gap only by its range of seqs. */
export type GapRecord = LogRecord<'$gap', GapData>

/** A record of one of these kinds, or a gap. */
export type RecordOrGap<E, K extends string = KindOf<E>> = RecordOf<E, K> | GapRecord

/**
 * A record in a chain: any record if the event map allows every kind; otherwise, a record of one of these
 * kinds or a gap.
 */
export type ChainRecord<E, K extends string = KindOf<E>> =
	IsOpen<E> extends true ? LogRecord : RecordOrGap<E, K>

/** A filter with an explicit kind or kinds. */
export interface KindFilter<K extends string> extends LogFilter {
	readonly kind: K | readonly K[]
}

/** Fields for the third argument of `emit`. */
export interface EmitFields extends LineFields {
	/** Level of the record. Default: `'info'`. */
	readonly level?: LogLevelInput | undefined
	/** Message of the record. Default: the kind. */
	readonly message?: string | undefined
}

/** The arguments of `emit` after the kind. Data can be omitted if its type includes undefined. */
export type EmitArgs<D> = [undefined] extends [D]
	? [data?: D, fields?: EmitFields]
	: [data: D, fields?: EmitFields]

/**
 * A line for `publish`: a line whose kind and data match the event map, a line of the kind `log`, or a line
 * of any kind with an `origin`.
 */
export type LineOf<E> =
	IsOpen<E> extends true
		? LoopLine
		: EventLine<E, keyof E & string> | LoopLine<'log'> | (LoopLine & { readonly origin: RecordOrigin })

/** A line for a loop, which also accepts levels in other forms and pino's name of the message. */
type LoopLine<K extends string = string, D = unknown> = Omit<LogLine<K, D>, 'level'> & {
	readonly level?: LogLevelInput | undefined
	/** The message, if `message` is missing. */
	readonly msg?: string | undefined
}

type EventLine<E, K extends keyof E & string> = K extends string
	? LoopLine<K, E[K]> & { readonly kind: K } & ([undefined] extends [E[K]]
				? unknown
				: { readonly data: E[K] })
	: never

/**
 * Makes a misspelt field of an object a compile error: a field whose name is almost the name of a field of
 * lines, such as `mesage` or `nodeID`. Every other field is allowed, and becomes part of the data.
 */
export type WellSpelt<T> = { readonly [K in keyof T]: K extends string ? Spelling<K, T[K]> : T[K] }

type Spelling<K extends string, V> = K extends LineFieldName
	? V
	: Lowercase<K> extends Lowercase<LineFieldName>
		? never
		: K extends `${LongName}s`
			? V
			: IsNear<K> extends true
				? never
				: V

type LineFieldName = keyof LogLine
/** Names that are so long that a name with one other letter is a mistake and not another word. */
type LongName = Exclude<LineFieldName, 'kind' | 'data' | 'tsMs'>

/** Whether one letter is missing, too many, or wrong in a name. */
type IsNear<K extends string> =
	K extends Shortened<LongName>
		? true
		: Shortened<K> & (LongName | Shortened<LongName>) extends never
			? false
			: true

/** The names that remain when one letter is removed. */
type Shortened<Name extends string, Before extends string = ''> = Name extends `${infer Letter}${infer Rest}`
	? `${Before}${Rest}` | Shortened<Rest, `${Before}${Letter}`>
	: never
