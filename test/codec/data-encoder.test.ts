/** The encoder of `data` writes the very bytes that msgpackr would write. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ByteWriter } from '../../src/codec/byte-writer.ts'
import { canonicalise } from '../../src/codec/canonical.ts'
import { encodeData } from '../../src/codec/data-encoder.ts'
import { packDataBorrow } from '../../src/codec/data-packer.ts'

const VALUES = 20_000

function encoded(value: unknown): Buffer {
	const writer = new ByteWriter()
	writer.reserve(1)
	writer.byte(0xc1)
	encodeData(writer, value)
	return Buffer.from(writer.bytes.subarray(1, writer.pos))
}

const packed = (value: unknown) => Buffer.from(packDataBorrow(value))

/** Numbers and lengths at which the encoding changes, and their neighbours. */
const EDGES = [0, 0x1f, 0x20, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 2 ** 31, 2 ** 32]
const edges = EDGES.flatMap((edge) => [edge - 1, edge, edge + 1])

const scalar = fc.oneof(
	fc.constantFrom(null, true, false, ...edges, ...edges.map((edge) => -edge), 0.1, Number.NaN, 2 ** 53),
	fc.integer(),
	fc.double(),
	fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }),
	fc.date(),
	fc.uint8Array(),
	fc.string(),
	fc.string({ unit: 'binary' }),
	fc.string({ unit: 'grapheme', minLength: 10, maxLength: 80 }),
	fc.constantFrom(...edges.filter((edge) => edge >= 0 && edge < 300)).map((length) => 'x'.repeat(length)),
	fc.constantFrom('é'.repeat(15), 'é'.repeat(16), '日'.repeat(64), '😀', '\ud800', 'a\udc00b'),
)
const { value: anyData } = fc.letrec((tie) => ({
	value: fc.oneof(
		{ maxDepth: 4 },
		scalar,
		fc.array(tie('value'), { maxLength: 20 }),
		fc.dictionary(
			fc.oneof(fc.string(), fc.constantFrom('constructor', 'hasOwnProperty', 'toJSON', '1', '')),
			tie('value'),
			{
				maxKeys: 20,
			},
		),
		fc.dictionary(fc.string(), tie('value'), { noNullPrototype: true }),
	),
}))

test('any canonical value has the bytes that msgpackr writes', () => {
	fc.assert(
		fc.property(anyData, (given) => {
			const { value } = canonicalise(given)
			expect(encoded(value).equals(packed(value))).toBe(true)
		}),
		{ numRuns: VALUES },
	)
})

test('a value of an appender’s own caller has the same bytes as well, or is refused by both', () => {
	class Point {
		x = 1
		y = [2]
	}
	const sparse: unknown[] = []
	sparse[2] = 3
	const given = [
		new Point(),
		{ at: new Point() },
		new Map([['a', 1]]),
		new Set([1]),
		sparse,
		[undefined],
		{ a: undefined },
		{ a: () => {} },
	]
	for (const value of given) expect(encoded(value).equals(packed(value))).toBe(true)
	expect(() => encoded({ a: Symbol('a') })).toThrow()
})

describe('lengths at which headers change', () => {
	test.each([15, 16, 31, 32, 127, 128, 255, 256, 65_535, 65_536])('%i', (length) => {
		for (const unit of ['a', 'é', '日', '😀']) {
			const text = unit.repeat(length)
			for (const value of [text, { [text]: text }, [text, 1]])
				expect(encoded(value).equals(packed(value))).toBe(true)
		}
		const list = Array.from({ length }, (_, index) => index)
		const map = Object.fromEntries(list.map((index) => [`k${index}`, index]))
		for (const value of [list, map, { map, other: { a: 1 } }])
			expect(encoded(value).equals(packed(value))).toBe(true)
	})
})

test('an enumerable property of Object.prototype is no key', () => {
	Object.defineProperty(Object.prototype, 'polluted', {
		value: 1,
		enumerable: true,
		configurable: true,
		writable: true,
	})
	try {
		expect(encoded({ a: 1 }).equals(packed({ a: 1 }))).toBe(true)
	} finally {
		Reflect.deleteProperty(Object.prototype, 'polluted')
	}
})

test('a writer that an encoding grew keeps what it held', () => {
	const writer = new ByteWriter()
	writer.text('before')
	encodeData(writer, { a: 'x'.repeat(200_000), b: [1] })
	const expected = Buffer.concat([packed('before'), packed({ a: 'x'.repeat(200_000), b: [1] })])
	expect(Buffer.from(writer.bytes.subarray(0, writer.pos)).equals(expected)).toBe(true)
})

describe('a value that was just copied', () => {
	/** Objects of shapes that have generated functions. */
	const create = (index: number) => ({
		id: index,
		user: { id: index, plan: 'pro' },
		tags: [{ a: 1 }, { b: [{ a: 2 }] }],
	})
	const shaped = (count: number) => {
		for (let index = 0; index < count; index++)
			encodeData(new ByteWriter(), canonicalise(create(index)).value)
	}

	test('is encoded like any other, also if another one is copied or encoded in between', () => {
		shaped(40)
		const first = canonicalise(create(1)).value
		const second = canonicalise({ ...create(2), id: 'text' }).value
		const third = canonicalise({ user: first, list: [second, first] }).value
		const foreign = { id: 1, user: { plan: 'free', id: 2 }, more: third }
		for (const value of [first, second, third, foreign, second, first, foreign, third])
			expect(encoded(value).equals(packed(value))).toBe(true)
		canonicalise(create(3))
		for (const value of [third, first, { ...create(3) }])
			expect(encoded(value).equals(packed(value))).toBe(true)
	})

	test('may contain any number of objects', () => {
		shaped(40)
		for (const count of [63, 64, 65, 66, 300]) {
			const value = canonicalise(Array.from({ length: count }, (_unused, index) => create(index))).value
			expect(encoded(value).equals(packed(value))).toBe(true)
			expect(encoded(value).equals(packed(value))).toBe(true)
		}
	})

	test('may be one whose fields could not all be copied', () => {
		shaped(40)
		const broken = {
			id: 1,
			get user(): unknown {
				throw new Error('no user')
			},
			tags: [
				new Proxy(
					{},
					{
						ownKeys() {
							throw new Error('no keys')
						},
					},
				),
				create(1),
			],
		}
		const { value } = canonicalise({ ...create(1), broken, last: create(2) })
		expect(encoded(value).equals(packed(value))).toBe(true)
	})
})

test('constants are written completely wherever the buffer ends', () => {
	const key = 'é'.repeat(60)
	const create = () => ({ [key]: 'x', [`${key}2`]: null, c: { [`${key}3`]: 1 } })
	for (let index = 0; index < 40; index++) encoded(canonicalise(create()).value)
	const { value } = canonicalise(create())
	for (let free = 0; free < 1_000; free++) {
		const writer = new ByteWriter()
		writer.pos = writer.bytes.length - free
		encodeData(writer, value)
		expect(writer.bytes.subarray(64 * 1024 - free, writer.pos).equals(packed(value))).toBe(true)
	}
})
