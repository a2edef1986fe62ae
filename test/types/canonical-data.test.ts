/**
 * `Canonical<T>` is the type of the canonical form of a `T`: `npm run types` checks the types, the tests
 * check the values.
 */
import type { Agent, IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { describe, expect, expectTypeOf, test } from 'vitest'
import { canonicalise } from '../../src/codec/canonical.ts'
import type { Canonical, Unserializable } from '../../src/model/canonical-data.ts'

/** Returns the canonical form of a value, with its type. */
function canonical<T>(value: T): Canonical<T> {
	return canonicalise(value).value as Canonical<T>
}

/** A typical class of an application: fields, an accessor, a method. */
class Order {
	readonly id: number
	readonly note: string | undefined
	#secret = 1

	constructor(id: number, note?: string) {
		this.id = id
		this.note = note
	}

	isSecret(): boolean {
		return this.#secret > 0
	}
}

class Money {
	readonly cents: bigint

	constructor(cents: bigint) {
		this.cents = cents
	}

	toJSON(): { readonly amount: string } {
		return { amount: `${this.cents}` }
	}
}

class HttpError extends Error {
	readonly status = 500

	toJSON(): string {
		return 'not asked'
	}
}

describe('the canonical form of a type, and of its values', () => {
	test('scalars stay unchanged', () => {
		const text: 'a' | 'b' = canonical<'a' | 'b'>('a')
		const big: bigint = canonical(2n ** 70n)
		expectTypeOf<Canonical<string | number | boolean | bigint | null>>().toEqualTypeOf<
			string | number | boolean | bigint | null
		>()
		expect([text, big, canonical<null>(null), canonical<undefined>(undefined)]).toEqual([
			'a',
			2n ** 70n,
			null,
			undefined,
		])
	})

	test('dates stay dates, patterns become texts, bytes a Uint8Array, other typed arrays numbers', () => {
		const date: Date = canonical(new Date(5))
		const pattern: string = canonical(/a/g)
		const buffer: Uint8Array = canonical(Buffer.from('a'))
		const view: Uint8Array = canonical(new DataView(new ArrayBuffer(1)))
		const floats: readonly number[] = canonical(Float64Array.of(1.5))
		const bigints: readonly bigint[] = canonical(BigInt64Array.of(1n))
		expect([date, pattern, buffer, view, floats, bigints]).toEqual([
			new Date(5),
			'/a/g',
			Uint8Array.of(97),
			Uint8Array.of(0),
			[1.5],
			[1n],
		])
		// @ts-expect-error canonical form copies bytes into a plain array of bytes
		expect(buffer.toString('utf8')).toBe('97')
	})

	test('arrays, tuples and sets are frozen arrays, in which undefined is null', () => {
		const list: readonly (string | null)[] = canonical<(string | undefined)[]>(['a', undefined])
		const pair: readonly [Date, string | null] = canonical<[Date, string | undefined]>([
			new Date(1),
			undefined,
		])
		const items: readonly number[] = canonical(new Set([1, 2]))
		// @ts-expect-error a set becomes an array
		expect(() => items.has(1)).toThrow(TypeError)
		expect([list, pair, items]).toEqual([
			['a', null],
			[new Date(1), null],
			[1, 2],
		])
	})

	test('a map is an object if its keys are texts, and a list of pairs otherwise', () => {
		const byName: { readonly [key: string]: number } = canonical(new Map([['a', 1]]))
		const known: { readonly a?: number; readonly b?: number } = canonical(
			new Map<'a' | 'b', number>([['a', 1]]),
		)
		const byNumber: { readonly $map?: readonly (readonly [number, string])[] } = canonical(
			new Map([[1, 'a']]),
		)
		expect([byName['a'], known.a, byNumber.$map]).toEqual([1, 1, [[1, 'a']]])
		expect(canonical(new Map<number, string>()).$map).toBeUndefined()
		// @ts-expect-error a map becomes an object
		expect(() => byName.get('a')).toThrow(TypeError)
	})

	test('an error is an object of its fields', () => {
		const error = canonical(new TypeError('no'))
		const name: string = error.name
		const stack: string | undefined = error.stack
		const http: number = canonical(new HttpError('no')).status
		expect([name, error.message, typeof stack, http, error instanceof Error]).toEqual([
			'TypeError',
			'no',
			'string',
			500,
			false,
		])
		expectTypeOf<Canonical<AggregateError>['errors']>().toEqualTypeOf<readonly unknown[]>()
	})

	test('a class instance is an object of its fields, without methods and undefined fields', () => {
		const order = canonical(new Order(7))
		const id: number = order.id
		const note: string | undefined = order.note
		expectTypeOf(order).toEqualTypeOf<{
			readonly id: number
			readonly note?: string
			readonly isSecret?: Unserializable
		}>()
		expect(order).toStrictEqual({ id })
		expect(note).toBeUndefined()
		// @ts-expect-error a method is not part of canonical data
		expect(() => order.isSecret()).toThrow(TypeError)
	})

	test('the result of toJSON replaces its object, except for errors and types with their own form', () => {
		const amount: string = canonical(new Money(5n)).amount
		const url: string = canonical(new URL('http://a/'))
		const bytes: Uint8Array = canonical({ buffer: Buffer.of(1) }).buffer
		expect([amount, url, bytes]).toEqual(['5', 'http://a/', Uint8Array.of(1)])
	})

	test('non-data is a marker', () => {
		const marked: Unserializable[] = [
			canonical(() => 1),
			canonical(Symbol('a')),
			canonical(Promise.resolve(1)),
			canonical(new WeakMap()),
			canonical(new WeakRef({})),
			canonical((function* () {})()),
			canonical(Date),
		]
		expect(marked.map(({ $unserializable }) => $unserializable)).toEqual([
			'function',
			'symbol',
			'not data',
			'not data',
			'not data',
			'not data',
			'function',
		])
	})

	test('requests, responses and streams are unknown, and headers of users may be markers', () => {
		expectTypeOf<Canonical<Request>>().toBeUnknown()
		expectTypeOf<Canonical<Response>>().toBeUnknown()
		expectTypeOf<Canonical<IncomingMessage>>().toBeUnknown()
		expectTypeOf<Canonical<ServerResponse>>().toBeUnknown()
		expectTypeOf<Canonical<Socket>>().toBeUnknown()
		expectTypeOf<Canonical<Agent>>().toBeUnknown()
		const headers = canonical(new Headers({ cookie: 'a' }))
		const cookie: unknown = '$map' in headers ? undefined : headers['cookie']
		expect(cookie).toEqual({ $unserializable: 'withheld' })
	})

	test('a list of entries is an object, or pairs if a key is repeated', () => {
		const once = canonical(new URLSearchParams('a=1'))
		const twice = canonical(new URLSearchParams('a=1&a=2'))
		expectTypeOf(once).toEqualTypeOf<
			{ readonly [key: string]: string } | { readonly $map?: readonly (readonly [string, string])[] }
		>()
		expect([once, twice]).toEqual([
			{ a: '1' },
			{
				$map: [
					['a', '1'],
					['a', '2'],
				],
			},
		])
	})

	test('nested, optional, recursive and unknown types', () => {
		interface Tree {
			readonly name: string
			readonly made?: Date
			readonly children: Tree[]
			readonly extra: Record<string, Set<bigint>>
			readonly any: unknown
			[Symbol.iterator]?: () => Iterator<Tree>
		}
		const tree = canonical<Tree>({ name: 'a', children: [], extra: { x: new Set([1n]) }, any: [undefined] })
		const children: readonly Canonical<Tree>[] = tree.children
		const made: Date | undefined = tree.made
		const big: bigint | undefined = tree.extra['x']?.[0]
		expectTypeOf(tree.any).toEqualTypeOf<unknown>()
		expectTypeOf<Canonical<unknown>>().toEqualTypeOf<unknown>()
		expectTypeOf<Canonical<object>>().toEqualTypeOf<unknown>()
		// biome-ignore lint/suspicious/noExplicitAny: an untyped program passes any
		expectTypeOf<Canonical<any>>().toEqualTypeOf<unknown>()
		expectTypeOf<Canonical<Canonical<Tree>>['children']>().toExtend<readonly unknown[]>()
		expect([children, made, big, tree.any]).toEqual([[], undefined, 1n, [null]])
		// @ts-expect-error canonical data is frozen
		expect(() => tree.children.push(tree)).toThrow(TypeError)
	})
})
