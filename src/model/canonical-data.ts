/**
 * Canonical form at the type level. `Canonical<T>` is the type of a record's data after a value of type `T`
 * is published. It mirrors `codec/canonical.ts`, which converts values. The table of types is in
 * docs/FORMAT.md.
 */

/** A marker, which replaces a value that cannot be stored and states the reason. */
export interface Unserializable {
	readonly $unserializable: string
}

/**
 * The canonical form of a type:
 *
 * - strings, numbers, booleans, bigints and null are unchanged; a `Date` remains a `Date`, and a `RegExp`
 *   becomes a string;
 * - arrays, tuples and sets become arrays, with null for undefined; typed arrays become arrays of numbers;
 * - bytes (`Buffer`, `ArrayBuffer`, `DataView`) become a `Uint8Array`;
 * - a map becomes an object if all keys are strings, otherwise `{ $map: [[key, value], …] }`;
 * - any other object, including an `Error` or a class instance, becomes a plain object with its own
 *   enumerable fields; undefined fields and class methods are omitted;
 * - a type with `toJSON` becomes the result type of that method;
 * - requests, responses, streams and agents have the type `unknown`, because only parts of them are recorded;
 * - functions, symbols, promises, generators and weak collections become an {@link Unserializable} marker.
 *
 * Everything except dates and bytes is frozen. Cycles, invalid dates, and data that is nested too deeply or
 * larger than 1 MiB also become markers. These markers depend on the value, so they are not part of the type.
 */
export type Canonical<T> =
	IsAny<T> extends true
		? unknown
		: T extends void
			? undefined
			: T extends Scalar
				? T
				: T extends symbol | Callable
					? Unserializable
					: T extends object
						? CanonicalObject<T>
						: unknown

type IsAny<T> = 0 extends 1 & T ? true : false
type Scalar = string | number | boolean | bigint | null
type Callable = ((...args: never) => unknown) | (abstract new (...args: never) => unknown)
type Bytes = Uint8Array | Uint8ClampedArray | DataView | ArrayBuffer | SharedArrayBuffer
/**
 * Matches `Headers`, `URLSearchParams` and `FormData`, which can have several entries with the same key. A
 * map has no `append` method.
 */
interface EntryList<K, V> {
	append(...args: never): unknown
	entries(): Iterable<readonly [K, V]>
}
/** Matches `Headers`, in which the values of some headers are withheld. */
interface HeaderList {
	getSetCookie(): unknown
}
type HeaderPairs =
	| { readonly [name: string]: string | Unserializable }
	| MapPairs<string, string | Unserializable>
/** Messages of HTTP, streams and agents. What is recorded of them depends on their class. */
type WebObject =
	| { readonly headers: object; arrayBuffer(): unknown }
	| { getHeaders(): object }
	| { pipe(...args: never): unknown; readonly readable: boolean }
	| { pipe(...args: never): unknown; readonly writable: boolean }
	| { readonly freeSockets: object }
/** Objects that are not data. A map has all methods of a `WeakMap`, so maps are tested first. */
type NotData =
	| Promise<unknown>
	| Generator
	| AsyncGenerator
	| WeakMap<WeakKey, unknown>
	| WeakSet<WeakKey>
	| WeakRef<WeakKey>

/** The conditions are in the same order as the tests in `codec/canonical.ts`. */
type CanonicalObject<T extends object> = T extends readonly unknown[]
	? { readonly [I in keyof T]: CanonicalItem<T[I]> }
	: keyof T extends never
		? unknown
		: T extends Error
			? CanonicalFields<T>
			: T extends Date
				? Date
				: T extends Bytes
					? Uint8Array
					: T extends ArrayBufferView & ArrayLike<infer N extends number | bigint>
						? readonly N[]
						: T extends EntryList<infer K, infer V>
							? T extends HeaderList
								? HeaderPairs
								: CanonicalPairs<K, V> | MapPairs<K, V>
							: T extends ReadonlyMap<infer K, infer V>
								? CanonicalPairs<K, V>
								: T extends ReadonlySet<infer V>
									? readonly CanonicalItem<V>[]
									: T extends RegExp
										? string
										: T extends NotData
											? Unserializable
											: T extends WebObject
												? unknown
												: CanonicalInstance<T>

type CanonicalInstance<T extends object> = T extends { toJSON(...args: never): infer J }
	? CanonicalAnswer<J>
	: T extends { entries(): Iterable<readonly [infer K, infer V]> }
		? // A class without fields that iterates like a map.
			[Exclude<DataKey<T>, 'size'>] extends [never]
			? CanonicalPairs<K, V> | MapPairs<K, V>
			: CanonicalFields<T>
		: CanonicalFields<T>

/** If `toJSON` returns a value with its own `toJSON`, that method is not called. */
type CanonicalAnswer<J> =
	IsAny<J> extends true
		? unknown
		: J extends void
			? null
			: J extends { toJSON(...args: never): unknown }
				? J extends Date | Bytes
					? Canonical<J>
					: CanonicalFields<J>
				: Canonical<J>

/** The canonical form of an array element. Undefined becomes null. */
type CanonicalItem<V> =
	IsAny<V> extends true ? unknown : unknown extends V ? unknown : V extends void ? null : Canonical<V>

/** Undefined fields are omitted. Methods are also omitted, because they belong to the class. */
type MayBeAbsent<V> = undefined extends V ? true : [V] extends [Callable] ? true : false
type DataKey<T> = keyof { [K in keyof T as K extends symbol ? never : T[K] extends Callable ? never : K]: 0 }

type CanonicalFields<T> = Flat<
	{
		readonly [K in keyof T as K extends symbol
			? never
			: MayBeAbsent<T[K]> extends true
				? never
				: K]: Canonical<T[K]>
	} & {
		readonly [K in keyof T as K extends symbol
			? never
			: MayBeAbsent<T[K]> extends true
				? K
				: never]?: Canonical<Exclude<T[K], undefined>>
	}
>
type Flat<T> = { [K in keyof T]: T[K] } & {}

type CanonicalPairs<K, V> =
	IsAny<K> extends true
		? { readonly [key: string]: CanonicalItem<V> } | MapPairs<K, V>
		: [K] extends [string]
			? TextPairs<K, V>
			: [Extract<K, string>] extends [never]
				? MapPairs<K, V>
				: TextPairs<string, V> | MapPairs<K, V>
type TextPairs<K extends string, V> = string extends K
	? { readonly [key: string]: Canonical<Exclude<V, undefined>> }
	: { readonly [P in K]?: Canonical<Exclude<V, undefined>> }
/** An empty map becomes `{}`, regardless of the type of its keys. */
type MapPairs<K, V> = { readonly $map?: readonly (readonly [CanonicalItem<K>, CanonicalItem<V>])[] }
