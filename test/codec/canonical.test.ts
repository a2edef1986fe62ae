import { deepStrictEqual } from 'node:assert'
import { createECDH, createSecretKey } from 'node:crypto'
import { BlockList } from 'node:net'
import { PerformanceObserver } from 'node:perf_hooks'
import { Script } from 'node:vm'
import fc from 'fast-check'
import { Packr, Unpackr } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { canonicalise } from '../../src/codec/canonical.ts'
import { packDataBorrow } from '../../src/codec/data-packer.ts'
import { DataReader } from '../../src/codec/data-reader.ts'
import { fromJson, toJson } from '../../src/codec/json-dialect.ts'
import { DATA_BYTES_MAX } from '../../src/model/limits.ts'
import { CANONICAL_ROWS, failure, marker } from '../support/canonical-rows.ts'

function unpackData(packed: Uint8Array): unknown {
	const reader = new DataReader()
	const bytes = Buffer.from(packed)
	reader.open(bytes, bytes.toString('latin1'), 0)
	const value = reader.read(0, packed.length)
	expect(reader.end).toBe(packed.length)
	return value
}

describe('the canonical form', () => {
	test.each(CANONICAL_ROWS)('of %s', (_name, given, expected) => {
		const { value } = canonicalise(given)
		deepStrictEqual(value, expected)
	})

	test.each(CANONICAL_ROWS)(
		'of %s survives MessagePack, in our codec and others, and the JSON dialect',
		(_name, given) => {
			const { value, bytes } = canonicalise(given)
			const packed = Uint8Array.from(packDataBorrow(value))
			expect(packed.length).toBeLessThanOrEqual(bytes)
			deepStrictEqual(unpackData(packed), value)
			deepStrictEqual(fromJson(toJson(value)), value)
		},
	)

	test('of plain values is decoded equally by an independent MessagePack reader', () => {
		const given = { a: [1, 'x', true, null, 2.5], b: { c: 5n }, when: new Date(5) }
		const packed = new Packr({ useRecords: false }).pack(given)
		const { value } = canonicalise(given)
		expect(Buffer.from(packDataBorrow(value)).equals(packed)).toBe(true)
		expect(new Unpackr({ useRecords: false }).unpack(packDataBorrow(value) as Buffer)).toEqual(given)
	})

	test('is frozen, and later mutation of the input has no effect', () => {
		const given = { list: [1], bytes: Uint8Array.from([1]), when: new Date(1) }
		const value = canonicalise(given).value as typeof given
		given.list.push(2)
		given.bytes[0] = 9
		given.when.setTime(99)
		expect(value).toEqual({ list: [1], bytes: Uint8Array.from([1]), when: new Date(1) })
		expect(Object.isFrozen(value) && Object.isFrozen(value.list)).toBe(true)
	})

	test('of a value that is too deep or too large soon ends in a marker, and the rest stays', () => {
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

	test('of an error that is too large has a marker with that reason', () => {
		const { value, markers } = canonicalise(Object.assign(new Error('big'), Array(100_000).fill(1)))
		expect(value).toMatchObject({ message: 'big', ...marker('too large') })
		expect(markers).toBe(1)
	})

	test('counts markers and replaced texts', () => {
		expect(canonicalise({ a: failure, b: [Symbol('x')], c: '\ud800', '\udc00': 1 })).toMatchObject({
			markers: 2,
			replaced: 2,
		})
	})

	test('of any input never throws, is a fixed point, and survives MessagePack and JSON', () => {
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
				deepStrictEqual(unpackData(packed), value)
				deepStrictEqual(fromJson(toJson(value)), value)
			}),
			{ numRuns: 2000 },
		)
	})

	test('of an object that throws on every access is a marker', () => {
		const hostile = new Proxy({}, { get: failure, ownKeys: failure, getPrototypeOf: failure, has: failure })
		expect(canonicalise({ hostile }).value).toEqual({ hostile: marker('threw TypeError') })
	})
})

/** Platform classes whose instances keep their state private. */
const WITHOUT_FIELDS: readonly object[] = [
	...[new Blob(['a']), new File(['a'], 'a.txt')],
	...[new AbortController(), AbortSignal.abort(), new Event('a'), new EventTarget(), new CustomEvent('a')],
	...[new ReadableStream(), new WritableStream(), new TransformStream(), new CompressionStream('gzip')],
	...[
		new TextEncoder(),
		new TextDecoder(),
		new Intl.NumberFormat('en'),
		new Intl.Locale('en'),
		new BlockList(),
	],
	...[createSecretKey(Buffer.alloc(16)), createECDH('secp256k1'), new Script('1')],
	...[[][Symbol.iterator](), 'a'[Symbol.iterator](), new Set().entries(), new FinalizationRegistry(() => {})],
	...[new PerformanceObserver(() => {}), Object.create({ inherited: 1 })],
]

test.each(WITHOUT_FIELDS.map((given) => [Object.prototype.toString.call(given), given] as const))(
	'%s becomes a counted marker with the name of its class',
	(_name, given) => {
		const { value, markers, bytes } = canonicalise({ given })
		expect(value).toEqual({ given: { $unserializable: expect.stringMatching(/^no fields: \w/) } })
		expect(markers).toBe(1)
		expect(packDataBorrow(value).length).toBeLessThanOrEqual(bytes)
	},
)

test('a class whose entries are endless or not pairs becomes a marker', () => {
	class Endless {
		*entries() {
			for (;;) yield ['a', 1]
		}
	}
	Object.defineProperty(Endless.prototype, Symbol.iterator, { value: Endless.prototype.entries })
	expect(canonicalise(new Endless()).value).toEqual(marker('too large'))
	class Odd {
		*entries() {
			yield 5
		}
	}
	Object.defineProperty(Odd.prototype, Symbol.iterator, { value: Odd.prototype.entries })
	expect(canonicalise(new Odd()).value).toEqual(marker('threw TypeError'))
})

test('keys with the same canonical form are made unique in linear time', () => {
	// Keys of lone surrogates: as many different keys as fit. A JSON parser creates them from external input.
	const lone = (unit: number) => String.fromCharCode(0xd800 + unit)
	const keys = Array.from(
		{ length: 20_000 },
		(_, index) => lone(index % 1024) + lone(Math.floor(index / 1024)),
	)
	const { value, markers } = canonicalise(Object.fromEntries(keys.map((key, index) => [key, index])))
	expect(markers).toBe(0)
	expect(new Set(Object.values(value as object)).size).toBe(20_000)
}, 10_000)

test('a Map, a Set or a list of entries of any size takes bounded work and is marked as cut', () => {
	class Endless extends Map {
		override *[Symbol.iterator](): Generator<[string, number], undefined> {
			for (;;) yield ['a', 1]
		}
	}
	class EndlessSet extends Set {
		override *[Symbol.iterator](): Generator<number, undefined> {
			for (;;) yield 1
		}
	}
	let asked = 0
	class Counted extends Map {
		override *[Symbol.iterator](): Generator<[string, number], undefined> {
			for (; asked < 3e6; asked++) yield [`k${asked}`, asked]
		}
	}
	const query = new URLSearchParams()
	for (let index = 0; index < 200_000; index++) query.append(`k${index}`, 'v')
	for (const data of [new Endless(), new EndlessSet(), new Counted(), query]) {
		const { value, bytes, markers } = canonicalise(data)
		expect(markers).toBeGreaterThanOrEqual(1)
		expect(bytes).toBeLessThan(DATA_BYTES_MAX + 1024)
		expect(JSON.stringify(value)).toContain('"too large"')
	}
	expect(asked).toBeLessThan(200_000)
})

test('a Map and a Set that just fit are complete', () => {
	const map = new Map(Array.from({ length: 30_000 }, (_, index) => [`k${index}`, index]))
	expect(canonicalise(map)).toMatchObject({ markers: 0, value: Object.fromEntries(map) })
	const set = new Set(Array.from({ length: 100_000 }, (_, index) => index))
	expect(canonicalise(set)).toMatchObject({ markers: 0, value: [...set] })
	const texts = new Map<string, unknown>([
		['big', 'x'.repeat(2 * DATA_BYTES_MAX)],
		['a', 1],
		['b', 2],
	])
	expect(canonicalise(texts).value).toEqual({ big: { $unserializable: 'too large' }, a: 1, b: 2 })
})
