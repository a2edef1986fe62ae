import { deepStrictEqual } from 'node:assert'
import fc from 'fast-check'
import { Packr, Unpackr } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { canonicalise } from '../../src/codec/canonical.ts'
import { packDataBorrow, unpackData } from '../../src/codec/data-packer.ts'
import { fromJson, toJson } from '../../src/codec/json-dialect.ts'

class Order {
	id = 7
	#secret = 1
	get total(): number {
		return this.#secret
	}
}
const nothing = undefined
const cyclic: Record<string, unknown> = { name: 'a' }
cyclic['self'] = cyclic
const marker = (reason: string) => ({ $unserializable: reason })
const failure = () => {
	throw new TypeError('no')
}
const boom = new RangeError('boom', { cause: 'because' })
Object.assign(boom, { code: 'E_BOOM', status: 500 })

/** Every row of the table in docs/FORMAT.md: what is handed in, and its canonical form. */
const ROWS: readonly (readonly [string, unknown, unknown])[] = [
	['null', null, null],
	['booleans', [true, false], [true, false]],
	['numbers', [0, 1, -1, 1.5, 2 ** 53, 1e300], [0, 1, -1, 1.5, 2 ** 53, 1e300]],
	['−0', -0, 0],
	['NaN and infinities', [Number.NaN, Infinity, -Infinity], [Number.NaN, Infinity, -Infinity]],
	['texts', 'grüß dich 👋', 'grüß dich 👋'],
	['lone surrogates', 'a\ud800b', 'a\ufffdb'],
	['undefined in a map', { a: 1, b: nothing }, { a: 1 }],
	['undefined in an array', [1, nothing, 3], [1, null, 3]],
	['holes', Object.assign([1], { 2: 3 }), [1, null, 3]],
	['bigints of 64 bits', [5n, -(2n ** 63n), 2n ** 64n - 1n], [5n, -(2n ** 63n), 2n ** 64n - 1n]],
	['bigints beyond 64 bits', [10n ** 30n, -(10n ** 30n)], [10n ** 30n, -(10n ** 30n)]],
	['bytes', Buffer.from('hi'), Uint8Array.from([104, 105])],
	['array buffers', Uint8Array.from([1, 2]).buffer, Uint8Array.from([1, 2])],
	['data views', new DataView(Uint8Array.from([1, 2, 3]).buffer, 1), Uint8Array.from([2, 3])],
	['other typed arrays', Float64Array.from([1.5, 2]), [1.5, 2]],
	['typed arrays of bigints', BigInt64Array.from([1n]), [1n]],
	['dates', new Date(1_714_200_000_123), new Date(1_714_200_000_123)],
	['invalid dates', new Date(Number.NaN), marker('invalid date')],
	['nested maps and arrays', { a: [{ b: [1] }] }, { a: [{ b: [1] }] }],
	['a Map with text keys', new Map([['a', new Map([['b', 1]])]]), { a: { b: 1 } }],
	[
		'a Map with other keys',
		new Map<unknown, unknown>([
			[1, 'x'],
			['k', 2],
		]),
		{
			$map: [
				[1, 'x'],
				['k', 2],
			],
		},
	],
	['a Set', new Set([1, 'a']), [1, 'a']],
	[
		'errors',
		boom,
		{ name: 'RangeError', message: 'boom', stack: boom.stack, cause: 'because', code: 'E_BOOM', status: 500 },
	],
	['class instances', new Order(), { id: 7 }],
	['toJSON', { toJSON: () => ({ a: 1 }) }, { a: 1 }],
	['toJSON of a URL', new URL('http://localhost/x'), 'http://localhost/x'],
	['boxed primitives', [Object('a'), Object(1)], ['a', 1]],
	['regular expressions', /a+/g, '/a+/g'],
	['functions', { f: failure }, { f: marker('function') }],
	['symbols', [Symbol('x')], [marker('symbol')]],
	[
		'promises and weak references',
		[Promise.resolve(), new WeakMap()],
		[marker('not data'), marker('not data')],
	],
	['cycles', cyclic, { name: 'a', self: marker('cycle') }],
	[
		'getters that throw',
		Object.defineProperty({ b: 1 }, 'a', { get: failure, enumerable: true }),
		{ b: 1, a: marker('threw TypeError') },
	],
	['toJSON that throws', { toJSON: failure }, marker('threw TypeError')],
	['__proto__ as a key', JSON.parse('{"__proto__": {"x": 1}}'), { __proto_: { x: 1 } }],
]

describe('the canonical form', () => {
	test.each(ROWS)('of %s', (_name, given, expected) => {
		const { value } = canonicalise(given)
		deepStrictEqual(value, expected)
	})

	test.each(ROWS)('of %s survives MessagePack, ours and any other, and the JSON dialect', (_name, given) => {
		const { value, bytes } = canonicalise(given)
		const packed = Uint8Array.from(packDataBorrow(value))
		expect(packed.length).toBeLessThanOrEqual(bytes)
		deepStrictEqual(unpackData(packed, 0, packed.length), value)
		deepStrictEqual(fromJson(toJson(value)), value)
	})

	test('of plain values reads the same in a reader of MessagePack that knows nothing of us', () => {
		const given = { a: [1, 'x', true, null, 2.5], b: { c: 5n }, when: new Date(5) }
		const packed = new Packr({ useRecords: false }).pack(given)
		const { value } = canonicalise(given)
		expect(Buffer.from(packDataBorrow(value)).equals(packed)).toBe(true)
		expect(new Unpackr({ useRecords: false }).unpack(packDataBorrow(value) as Buffer)).toEqual(given)
	})

	test('is frozen, and later mutation of what was handed in changes nothing', () => {
		const given = { list: [1], bytes: Uint8Array.from([1]), when: new Date(1) }
		const value = canonicalise(given).value as typeof given
		given.list.push(2)
		given.bytes[0] = 9
		given.when.setTime(99)
		expect(value).toEqual({ list: [1], bytes: Uint8Array.from([1]), when: new Date(1) })
		expect(Object.isFrozen(value) && Object.isFrozen(value.list)).toBe(true)
	})

	test('of what is too deep or too large ends in a marker, quickly, and the rest stays', () => {
		let deep: unknown = 1
		for (let level = 0; level < 100; level++) deep = [deep]
		expect(JSON.stringify(canonicalise(deep).value)).toContain('too deep')
		const large = canonicalise({ before: 1, large: 'x'.repeat(3_000_000), after: 2 })
		expect(large.value).toEqual({ before: 1, large: marker('too large'), after: 2 })
		const long = canonicalise(new Array(5_000_000).fill(1)).value as unknown[]
		expect(long.length).toBeLessThan(200_000)
		expect(long.at(-1)).toEqual(marker('too large'))
		expect(canonicalise(large).bytes).toBeLessThan(2_000_000)
	})

	test('counts markers and replaced texts', () => {
		expect(canonicalise({ a: failure, b: [Symbol('x')], c: '\ud800', '\udc00': 1 })).toMatchObject({
			markers: 2,
			replaced: 2,
		})
	})

	test('never throws, is a fixed point, and survives MessagePack and JSON, whatever is handed in', () => {
		const anything = fc.anything({
			withBigInt: true,
			withBoxedValues: true,
			withDate: true,
			withMap: true,
			withSet: true,
			withTypedArray: true,
			withSparseArray: true,
			withUnicodeString: true,
			withNullPrototype: true,
		})
		fc.assert(
			fc.property(anything, (given) => {
				const { value, bytes } = canonicalise(given)
				deepStrictEqual(canonicalise(value).value, value)
				if (value === undefined) return
				const packed = Uint8Array.from(packDataBorrow(value))
				expect(packed.length).toBeLessThanOrEqual(bytes)
				deepStrictEqual(unpackData(packed, 0, packed.length), value)
				deepStrictEqual(fromJson(toJson(value)), value)
			}),
			{ numRuns: 2000 },
		)
	})

	test('of an object whose every question throws is a marker', () => {
		const hostile = new Proxy({}, { get: failure, ownKeys: failure, getPrototypeOf: failure, has: failure })
		expect(canonicalise({ hostile }).value).toEqual({ hostile: marker('threw TypeError') })
	})
})
