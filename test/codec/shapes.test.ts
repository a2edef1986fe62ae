/** Objects whose keys occur often have the same copies and the same bytes as all other objects. */
import fc from 'fast-check'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { ByteWriter } from '../../src/codec/byte-writer.ts'
import { packDataBorrow } from '../../src/codec/data-packer.ts'
import { DATA_OBJECTS_MAX } from '../../src/model/limits.ts'
import { sizeOf, tellCounts } from '../support/counts.ts'

const VALUES = sizeOf('SHAPED_VALUES')
/** Whether this process may create functions from text. The values are the same if it may not. */
const MAY_GENERATE = (() => {
	try {
		return new Function('return true')() === true
	} catch {
		return false
	}
})()
/** Returns the number of functions that this process generates if others generate `count`. */
const generable = (count: number) => (MAY_GENERATE ? count : 0)
const FUNCTIONS_MAX = generable(256)

interface Codec {
	readonly canonicalise: typeof import('../../src/codec/canonical.ts')['canonicalise']
	readonly encodeData: typeof import('../../src/codec/data-encoder.ts')['encodeData']
	/** Decodes a value that fills the bytes. Returns undefined if it is not in canonical form. */
	readonly decode: (bytes: Buffer) => unknown
	readonly reader: InstanceType<typeof import('../../src/codec/data-reader.ts')['DataReader']>
	/** Returns the number of functions that were generated. */
	readonly generated: () => number
}

/** The codec in use, which decides whether functions may be generated. */
let using = { isAllowed: true, generated: 0 }
const NativeFunction = Function

/** Returns a codec that has not learnt any shape. With `isAllowed` false, it cannot generate functions. */
async function newCodec(isAllowed = true): Promise<Codec> {
	const own = { isAllowed, generated: 0 }
	vi.stubGlobal(
		'Function',
		class extends NativeFunction {
			constructor(...texts: string[]) {
				if (!using.isAllowed) throw new EvalError('Code generation from strings disallowed for this context')
				super(...texts)
				using.generated++
			}
		},
	)
	vi.resetModules()
	const { canonicalise } = await import('../../src/codec/canonical.ts')
	const { encodeData } = await import('../../src/codec/data-encoder.ts')
	const { DataReader } = await import('../../src/codec/data-reader.ts')
	const reader = new DataReader()
	return {
		reader,
		decode: (bytes) => {
			using = own
			reader.open(bytes, bytes.toString('latin1'), 0)
			const value = reader.read(0, bytes.length)
			return value !== undefined && reader.end === bytes.length ? value : undefined
		},
		canonicalise: (value) => {
			using = own
			return canonicalise(value)
		},
		encodeData: (writer, value) => {
			using = own
			encodeData(writer, value)
		},
		generated: () => own.generated,
	}
}

afterEach(() => {
	vi.unstubAllGlobals()
})

function encodedBy(codec: Codec, value: unknown): Buffer {
	const writer = new ByteWriter()
	codec.encodeData(writer, value)
	return Buffer.from(writer.bytes.subarray(0, writer.pos))
}

/** Creates a value anew for each call, because reading it may change it. */
type Factory = () => unknown

/** Lists of keys that recur, with keys that begin like others, and keys that mean something to JavaScript. */
const SHAPES = [
	['id', 'plan'],
	['id', 'plan', 'a'],
	['requestId', 'method', 'status', 'user'],
	['requestId', 'status', 'größe'],
	['1', '0', 'a', ''],
	['constructor', 'hasOwnProperty', '$unserializable'],
	[],
]
const ODD_KEYS = [
	'__proto__',
	'\ud800',
	'\ud800x',
	'__proto_',
	'\ufffd',
	'k'.repeat(63),
	'k'.repeat(64),
	'ü'.repeat(63),
]

const scalar = fc.oneof(
	fc.constantFrom(
		null,
		undefined,
		true,
		false,
		0,
		-0,
		1,
		255,
		2 ** 31,
		-1,
		0.5,
		Number.NaN,
		2n ** 62n,
		2n ** 80n,
	),
	fc.constantFrom(
		'',
		'x',
		'GET',
		'/api/orders/1',
		'naïve',
		'日本語',
		'🙂',
		'\ud800',
		'x'.repeat(64),
		'é'.repeat(40),
	),
	fc.constantFrom(Symbol('s'), () => 1, /x/g),
	fc.integer(),
	fc.double(),
	fc.string({ unit: 'binary' }),
)
const leaf: fc.Arbitrary<Factory> = fc.oneof(
	{ weight: 5, arbitrary: scalar.map((value) => () => value) },
	fc.date({ min: new Date(-1e12), max: new Date(8e12) }).map((date) => () => new Date(date)),
	fc.uint8Array({ maxLength: 300 }).map((bytes) => () => Uint8Array.from(bytes)),
	fc.constantFrom<Factory>(
		() => Object.assign(new Error('boom', { cause: { a: 1 } }), { stack: 'at boom' }),
		() => Object.assign(new RangeError('r'), { stack: 'at r', code: 'E_R', a: 1 }),
		() => new Date(Number.NaN),
		() => Math,
		() =>
			new (class Point {
				x = 1
				y = [2]
			})(),
		() => new Proxy({ a: 1, b: 'x' }, {}),
		() =>
			new Proxy(
				{ a: 1 },
				{
					ownKeys: () => {
						throw new Error('trap')
					},
				},
			),
		() => {
			const { proxy, revoke } = Proxy.revocable({}, {})
			revoke()
			return proxy
		},
	),
)

/** What becomes of a field: the plain value, or a getter that returns it, throws, or changes the object. */
const HOW = ['plain', 'plain', 'plain', 'plain', 'getter', 'throws', 'deletes', 'adds', 'undefined'] as const

function objectFactory(fields: readonly (readonly [string, (typeof HOW)[number], Factory])[]): Factory {
	return () => {
		const object: Record<string, unknown> = {}
		for (const [key, how, create] of fields) {
			const get = () => {
				if (how === 'throws') throw new TypeError(`no ${key.length}`)
				if (how === 'deletes') Reflect.deleteProperty(object, 'status')
				if (how === 'adds') object['added'] = 1
				return create()
			}
			const isPlain = how === 'plain' || how === 'undefined'
			Object.defineProperty(object, key, {
				enumerable: true,
				configurable: true,
				...(isPlain ? { value: how === 'plain' ? create() : undefined, writable: true } : { get }),
			})
		}
		return object
	}
}

const { value: anyFactory } = fc.letrec<{ value: Factory }>((tie) => ({
	value: fc.oneof(
		{ maxDepth: 4 },
		leaf,
		fc.array(tie('value'), { maxLength: 4 }).map((list) => () => list.map((create) => create())),
		{
			weight: 4,
			arbitrary: fc
				.tuple(
					fc.oneof(
						{ weight: 9, arbitrary: fc.constantFrom(...SHAPES) },
						fc.shuffledSubarray([...SHAPES.flat(), ...ODD_KEYS], { maxLength: 6 }),
					),
					fc.array(fc.tuple(fc.constantFrom(...HOW), tie('value')), { minLength: 6, maxLength: 6 }),
				)
				.map(([keys, fields]) => [...new Set(keys)].map((key, index) => [key, ...fields[index]!] as const))
				.map(objectFactory),
		},
		fc.dictionary(fc.string(), tie('value'), { maxKeys: 3 }).map((fields) => () => {
			const named = Object.entries(fields).map(([key, create]) => [key, create()])
			return Object.fromEntries(named)
		}),
	),
}))

/** The value with the order of its keys, and whether everything in it is frozen. */
function ordered(value: unknown, isFrozen = true): unknown {
	if (typeof value !== 'object' || value === null) return [typeof value, value]
	if (value instanceof Date || value instanceof Uint8Array) return value
	const entries = Object.entries(value).map(([key, field]) => [key, ordered(field, isFrozen)])
	return [
		Array.isArray(value),
		isFrozen === Object.isFrozen(value),
		Object.getPrototypeOf(value) === Object.prototype,
		entries,
	]
}

test('copies and bytes do not depend on what was learnt', async () => {
	const general = await newCodec(false)
	const learning = await newCodec()
	const forgetful: Factory[] = []
	await fc.assert(
		fc.property(anyFactory, (create) => {
			const expected = general.canonicalise(create())
			const given = learning.canonicalise(create())
			expect(ordered(given.value)).toStrictEqual(ordered(expected.value))
			expect([given.bytes, given.markers, given.replaced]).toEqual([
				expected.bytes,
				expected.markers,
				expected.replaced,
			])
			const packed = Buffer.from(packDataBorrow(expected.value))
			for (const codec of [general, learning])
				for (const value of [expected.value, given.value])
					expect(encodedBy(codec, value).equals(packed)).toBe(true)
			if (forgetful.length < 100) forgetful.push(create)
		}),
		{ numRuns: VALUES },
	)
	expect(general.generated()).toBe(0)
	expect(learning.generated()).toBeGreaterThan(generable(51) - 1)
	tellCounts(0, 'copied and encoded, with and without generated functions', {
		values: VALUES,
		functions: learning.generated(),
		differences: 0,
	})
	expect(learning.generated()).toBeLessThanOrEqual(2 * FUNCTIONS_MAX)
	// Values that a codec has never seen have the same copies as well.
	const fresh = await newCodec()
	for (const create of forgetful)
		expect(ordered(fresh.canonicalise(create()).value)).toStrictEqual(
			ordered(learning.canonicalise(create()).value),
		)
})

test('decoded values do not depend on what was learnt, whatever the bytes are', async () => {
	const general = await newCodec(false)
	const learning = await newCodec()
	const changes = fc.array(
		fc.tuple(fc.nat(), fc.oneof(fc.nat(255), fc.constantFrom(0xa1, 0xc0, 0xd9, 0xde))),
		{
			maxLength: 3,
		},
	)
	let refused = 0
	fc.assert(
		fc.property(anyFactory, fc.option(changes, { freq: 2 }), fc.nat(), (create, given, cut) => {
			const { value } = general.canonicalise(create())
			if (value === undefined) return
			let packed = Buffer.from(packDataBorrow(value))
			expect(ordered(learning.decode(packed), false)).toStrictEqual(ordered(value, true))
			expect(ordered(general.decode(packed), false)).toStrictEqual(ordered(value, true))
			for (const [at, byte] of given ?? []) packed[at % packed.length] = byte
			if (given?.length === 1) packed = packed.subarray(0, cut % packed.length)
			if (given?.length === 2) packed = Buffer.concat([packed, packed])
			const expected = general.decode(packed)
			if (expected === undefined) refused++
			expect(ordered(learning.decode(packed), false)).toStrictEqual(ordered(expected, false))
		}),
		{ numRuns: VALUES },
	)
	expect(general.generated()).toBe(0)
	expect(learning.generated()).toBeGreaterThan(generable(21) - 1)
	expect(refused).toBeGreaterThan(1000)
	tellCounts(0, 'decoded, with and without generated functions', {
		values: VALUES,
		refused,
		functions: learning.generated(),
		differences: 0,
	})
})

describe('a map in a forged file', () => {
	const raw = (hex: string) => Buffer.from(hex.replaceAll(' ', ''), 'hex')

	test.each([
		['two equal keys', raw('de0002 a161 01 a161 02')],
		['the key __proto__', raw('de0001 a95f5f70726f746f5f5f de0001 a161 01')],
		['a key that is a number', raw('de0001 01 01')],
	])('with %s is refused, again and again', async (_what, bytes) => {
		const codec = await newCodec()
		for (let index = 0; index < 100; index++) expect(codec.decode(bytes)).toBeUndefined()
		expect(codec.generated()).toBe(0)
		expect({}).not.toHaveProperty('a')
	})

	test('may have keys that look like code', async () => {
		const codec = await newCodec()
		const keys = ['"', "'", '`', '\\', '\u2028', '\n', '*/', '"]}); globalThis.attacked = 1; ({"']
		for (const key of keys) {
			const map = { [key]: 1, b: { [key]: key } }
			const bytes = Buffer.from(packDataBorrow(map))
			for (let index = 0; index < 40; index++) expect(codec.decode(bytes)).toStrictEqual(map)
		}
		expect(codec.generated()).toBe(generable(2 * keys.length))
		expect(globalThis).not.toHaveProperty('attacked')
	})

	test('may be nested deeply, with other keys than its beginning lets expect', async () => {
		const codec = await newCodec()
		const nested = (depth: number, key: (depth: number) => string): object =>
			depth === 0 ? {} : { a: nested(depth - 1, key), [key(depth)]: 1 }
		for (let index = 0; index < 40; index++) codec.decode(Buffer.from(packDataBorrow(nested(14, () => 'b'))))
		expect(codec.generated()).toBe(generable(1))
		const valueAt = vi.spyOn(codec.reader, 'valueAt')
		const forged = nested(14, (depth) => `c${depth}`)
		expect(codec.decode(Buffer.from(packDataBorrow(forged)))).toStrictEqual(forged)
		// Decoding each map twice at every level would take 2^14 calls.
		expect(valueAt.mock.calls.length).toBeGreaterThan(generable(1) - 1)
		expect(valueAt.mock.calls.length).toBeLessThan(200)
	})

	test.each([
		['with', true],
		['without', false],
	])('may contain as many objects as any value, and not one more, %s a function', async (_how, isAllowed) => {
		const codec = await newCodec(isAllowed)
		const small = { a: 'x', b: 'y' }
		for (let index = 0; index < 40; index++) codec.decode(Buffer.from(packDataBorrow(small)))
		expect(codec.generated()).toBe(isAllowed ? generable(1) : 0)
		// Each map counts as five objects: itself, two keys and two strings. The array counts as one.
		const maps = Math.floor((DATA_OBJECTS_MAX - 1) / 5)
		const left = DATA_OBJECTS_MAX - 1 - 5 * maps
		const list = (strings: number, from = 0) => [
			...Array.from({ length: strings }, () => 'z'),
			...Array.from({ length: maps - from }, () => small),
		]
		expect(codec.decode(Buffer.from(packDataBorrow(list(left))))).toEqual(list(left))
		expect(codec.decode(Buffer.from(packDataBorrow(list(left + 1))))).toBeUndefined()
		expect(codec.decode(Buffer.from(packDataBorrow(list(left + 5, 1))))).toEqual(list(left + 5, 1))
	})
})

describe('what is learnt', () => {
	const shaped = (index: number) => ({ [`a${index}`]: 1, b: { [`c${index}`]: 'x' } })

	test('at most 256 shapes have a function, and objects of all others are copied and encoded', async () => {
		const codec = await newCodec()
		for (let round = 0; round < 40; round++)
			for (let index = 0; index < 1000; index++) {
				const { value } = codec.canonicalise(shaped(index))
				if (round % 20 === 0) {
					expect(value).toEqual(shaped(index))
					expect(encodedBy(codec, value).equals(Buffer.from(packDataBorrow(value)))).toBe(true)
				}
			}
		// One that creates the objects, and one that encodes them.
		expect(codec.generated()).toBe(2 * FUNCTIONS_MAX)
	})

	test('keys that are ids are not learnt, and leave space for what comes later', async () => {
		const codec = await newCodec()
		for (let index = 0; index < 100_000; index++)
			codec.canonicalise({ requestId: 'r', byId: { [`id-${index}`]: 1, [`id-${index}b`]: 2 } })
		const before = codec.generated()
		expect(before).toBeLessThanOrEqual(1)
		for (let index = 0; index < 40; index++) codec.canonicalise({ later: 1, and: { again: 2 } })
		expect(codec.generated()).toBe(before + generable(2))
	})

	test('ids that occur again and again fill the tree, which is emptied sooner or later', async () => {
		const codec = await newCodec()
		const flood = (from: number, to: number) => {
			for (let index = from; index < to; index++)
				for (let time = 0; time < 12; time++) codec.canonicalise({ [`id-${index}`]: 1 })
		}
		flood(0, 5000)
		for (let index = 0; index < 60; index++) codec.canonicalise({ later: 1 })
		expect(codec.generated()).toBe(0)
		// Every id is seen more often than a candidate needs, but not often enough for a function.
		for (let round = 0; round < 60 && codec.generated() === 0; round++) {
			flood(5000 + round * 400, 5400 + round * 400)
			for (let index = 0; index < 60; index++) codec.canonicalise({ later: 1 })
		}
		expect(codec.generated()).toBe(generable(1))
	})

	test('a key that looks like code is a constant', async () => {
		const codec = await newCodec()
		const key = '"]}); globalThis.attacked = true; ({"\u2028\u2029`$\\\n'
		const create = () => ({ [key]: 1, "'": { [`${key}2`]: 'x' } })
		for (let index = 0; index < 40; index++) {
			const { value } = codec.canonicalise(create())
			expect(value).toStrictEqual(create())
			expect(encodedBy(codec, value).equals(Buffer.from(packDataBorrow(create())))).toBe(true)
		}
		expect(codec.generated()).toBe(generable(4))
		expect(globalThis).not.toHaveProperty('attacked')
	})
})

test('a getter may publish: a copy within a copy of the same shape changes neither', async () => {
	const codec = await newCodec()
	const create = (inner: unknown): object => ({ a: '\ud800', b: inner, c: { d: Symbol('d') } })
	const publishing = () =>
		Object.defineProperty(create(0), 'b', {
			get: () => codec.canonicalise(create(1)).value,
			enumerable: true,
		})
	for (let index = 0; index < 40; index++) {
		expect(codec.canonicalise(publishing())).toEqual({
			...codec.canonicalise(create(create(1))),
			markers: 1,
			replaced: 1,
			bytes: codec.canonicalise(create(codec.canonicalise(create(1)).value)).bytes,
		})
	}
})

test('an enumerable property of Object.prototype is in no copy', async () => {
	const codec = await newCodec()
	Object.defineProperty(Object.prototype, 'polluted', {
		value: 1,
		enumerable: true,
		configurable: true,
		writable: true,
	})
	try {
		for (let index = 0; index < 40; index++)
			expect(Object.keys(codec.canonicalise({ a: 1, b: {} }).value as object)).toEqual(['a', 'b'])
	} finally {
		Reflect.deleteProperty(Object.prototype, 'polluted')
	}
})

test('an object that throws after some of its fields leaves none of them with other objects', async () => {
	const codec = await newCodec()
	const create = () => {
		let asked = 0
		const getOwnPropertyDescriptor = (target: object, key: string | symbol) => {
			if (key === 'z' && ++asked === 2) throw new Error('trap')
			return Reflect.getOwnPropertyDescriptor(target, key)
		}
		return { a: 1, list: [{ x: 1, y: new Proxy({ first: 1, z: 2 }, { getOwnPropertyDescriptor }) }], b: 2 }
	}
	for (let index = 0; index < 40; index++)
		expect(codec.canonicalise(create()).value).toEqual({
			a: 1,
			list: [{ x: 1, y: { $unserializable: 'threw Error' } }],
			b: 2,
		})
})
