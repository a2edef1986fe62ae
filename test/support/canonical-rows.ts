/** The table of types in docs/FORMAT.md, row by row: the data passed in, and its canonical form. */
import { createHash } from 'node:crypto'
import { Agent } from 'node:http'
import { Readable } from 'node:stream'
import { runInNewContext } from 'node:vm'

class Order {
	id = 7
	#secret = 1
	get total(): number {
		return this.#secret
	}
}
class Money {
	#cents = 500
	get cents(): number {
		return this.#cents
	}
}
class Unset {
	later: number | undefined
}
class Pairs {
	*entries(): Generator<[string, number]> {
		yield ['a', 1]
		yield ['a', 2]
	}
}
Object.defineProperty(Pairs.prototype, Symbol.iterator, { value: Pairs.prototype.entries })
class Named extends Headers {
	label = 'mine'
}
function formOf(...pairs: [string, string][]): FormData {
	const form = new FormData()
	for (const [key, value] of pairs) form.append(key, value)
	return form
}
const nothing = undefined
const cyclic: Record<string, unknown> = { name: 'a' }
cyclic['self'] = cyclic
export const marker = (reason: string) => ({ $unserializable: reason })
export const failure = () => {
	throw new TypeError('no')
}
const boom = new RangeError('boom', { cause: 'because' })
Object.assign(boom, { code: 'E_BOOM', status: 500 })

export const CANONICAL_ROWS: readonly (readonly [string, unknown, unknown])[] = [
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
	[
		'Headers',
		new Headers({ 'x-request-id': 'r-1', accept: '*/*' }),
		{ accept: '*/*', 'x-request-id': 'r-1' },
	],
	['a subclass of Headers', new Named({ a: '1' }), { a: '1' }],
	[
		'a header of a user in Headers',
		new Headers({ Cookie: 'id=1', accept: '*/*' }),
		{ accept: '*/*', cookie: marker('withheld') },
	],
	['a request', new Request('http://localhost/a?b=1'), { method: 'GET', url: 'http://localhost/a?…' }],
	['a response', new Response('a', { status: 404 }), { statusCode: 404 }],
	[
		'an error of HTTP',
		Object.assign(new Error('no'), { stack: 'none', status: 404, body: 'text', headers: {} }),
		{
			name: 'Error',
			message: 'no',
			stack: 'none',
			status: 404,
			body: marker('withheld'),
			headers: marker('withheld'),
		},
	],
	[
		'streams',
		[Readable.from([]), createHash('sha256'), new Agent()],
		[marker('not data'), marker('not data'), marker('not data')],
	],
	['a URL with user information', new URL('http://a:b@localhost/'), 'http://[withheld]@localhost/'],
	['search parameters', new URLSearchParams('page=2&sort=name'), { page: '2', sort: 'name' }],
	[
		'search parameters with a key that is repeated',
		new URLSearchParams('a=1&b=2&a=3'),
		{
			$map: [
				['a', '1'],
				['b', '2'],
				['a', '3'],
			],
		},
	],
	['a form', formOf(['amount', '5']), { amount: '5' }],
	['a form with the key __proto__', formOf(['__proto__', 'x']), { __proto_: 'x' }],
	[
		'a class that iterates as a Map does',
		new Pairs(),
		{
			$map: [
				['a', 1],
				['a', 2],
			],
		},
	],
	['an instance with private fields alone', new Money(), marker('no fields: Money')],
	['an instance whose fields are not set', new Unset(), marker('no fields: Unset')],
	['an empty object', [{}, Object.create(null)], [{}, {}]],
	['an empty object of another realm', runInNewContext('({ a: {}, b: [] })'), { a: {}, b: [] }],
	['iterators', [new Map().keys()], [marker('no fields: Map Iterator')]],
	['namespaces', [Math, Reflect], [marker('no fields: Math'), marker('no fields: Reflect')]],
	['cycles', cyclic, { name: 'a', self: marker('cycle') }],
	[
		'getters that throw',
		Object.defineProperty({ b: 1 }, 'a', { get: failure, enumerable: true }),
		{ b: 1, a: marker('threw TypeError') },
	],
	['toJSON that throws', { toJSON: failure }, marker('threw TypeError')],
	['__proto__ as a key', JSON.parse('{"__proto__": {"x": 1}}'), { __proto_: { x: 1 } }],
	[
		'__proto__ as a key where its other names are taken',
		JSON.parse('{"__proto_2": 3, "__proto__": 1, "__proto_": 2}'),
		{ __proto_2: 3, __proto_3: 1, __proto_: 2 },
	],
	[
		'keys that differ in lone surrogates alone',
		{ 'a\ud800': 1, 'a\ud801': 2, 'a\ufffd': 3 },
		{ 'a\ufffd2': 1, 'a\ufffd3': 2, 'a\ufffd': 3 },
	],
	[
		'errors with fields that every object has a name for',
		Object.assign(new Error('odd'), { stack: 'none', toString: 1, constructor: 2 }),
		{ name: 'Error', message: 'odd', stack: 'none', toString: 1, constructor: 2 },
	],
]
