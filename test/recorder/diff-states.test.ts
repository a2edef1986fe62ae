import { describe, expect, test } from 'vitest'
import { diffStates, formatChanges, type StateChange } from '../../src/recorder/index.ts'

const added = (path: StateChange['path'], to: unknown) => ({ type: 'added', path, from: undefined, to })
const removed = (path: StateChange['path'], from: unknown) => ({ type: 'removed', path, from, to: undefined })
const changed = (path: StateChange['path'], from: unknown, to: unknown) => ({
	type: 'changed',
	path,
	from,
	to,
})

class Cart {
	readonly items: number

	constructor(items: number) {
		this.items = items
	}
}

function cyclic(n: number): unknown {
	const state = { n, inner: { n, up: undefined as unknown } }
	state.inner.up = state
	return state
}

const large = (n: number) => ({ text: 'x'.repeat(2_000_000), last: { n } })

function nested(depth: number, leaf: unknown): unknown {
	let state = leaf
	for (let level = 0; level < depth; level++) state = { in: state }
	return state
}

describe('changes', () => {
	test.each([
		['an added field', { a: 1 }, { a: 1, b: 2 }, [added(['b'], 2)]],
		['a removed field', { a: 1, b: null }, { a: 1 }, [removed(['b'], null)]],
		['another value', { a: 1 }, { a: 2 }, [changed(['a'], 1, 2)]],
		['one at depth', { a: { b: [{ c: 1 }] } }, { a: { b: [{ c: 2 }] } }, [changed(['a', 'b', 0, 'c'], 1, 2)]],
		['an added object', {}, { a: { b: 1 } }, [added(['a'], { b: 1 })]],
		['an added element', [1], [1, 2], [added([1], 2)]],
		['elements less', { list: [1, 2, 3] }, { list: [1] }, [removed(['list', 1], 2), removed(['list', 2], 3)]],
		['a number that becomes a text', { a: 1 }, { a: '1' }, [changed(['a'], 1, '1')]],
		['a number that becomes a bigint', { a: 1 }, { a: 1n }, [changed(['a'], 1, 1n)]],
		['a bigint', { a: 1n }, { a: 2n ** 70n }, [changed(['a'], 1n, 2n ** 70n)]],
		['an object that becomes an array', { a: {} }, { a: [] }, [changed(['a'], {}, [])]],
		['an object that becomes null', { a: {} }, { a: null }, [changed(['a'], {}, null)]],
		['NaN that becomes null', { a: Number.NaN }, { a: null }, [changed(['a'], Number.NaN, null)]],
		['a date', { a: new Date(1) }, { a: new Date(2) }, [changed(['a'], new Date(1), new Date(2))]],
		['an object that becomes a date', { a: {} }, { a: new Date(2) }, [changed(['a'], {}, new Date(2))]],
		['a date that becomes an object', { a: new Date(2) }, { a: {} }, [changed(['a'], new Date(2), {})]],
		['a date that becomes its number', { a: new Date(2) }, { a: 2 }, [changed(['a'], new Date(2), 2)]],
		[
			'bytes',
			[Uint8Array.of(1)],
			[Uint8Array.of(1, 2)],
			[changed([0], Uint8Array.of(1), Uint8Array.of(1, 2))],
		],
		[
			'bytes that become a text',
			['bytes AQ=='],
			[Uint8Array.of(1)],
			[changed([0], 'bytes AQ==', Uint8Array.of(1))],
		],
		['bytes that become an array', [Uint8Array.of(1)], [[1]], [changed([0], Uint8Array.of(1), [1])]],
		['a root value', 1, 2, [changed([], 1, 2)]],
		['a root that changes its type', null, { a: 1 }, [changed([], null, { a: 1 })]],
		['an added root', undefined, [], [changed([], undefined, [])]],
		['the field `constructor`', {}, { constructor: 1 }, [added(['constructor'], 1)]],
		['the field `toString`', { toString: 1 }, {}, [removed(['toString'], 1)]],
		['the field `__proto__`', {}, JSON.parse('{"__proto__":{"a":1}}'), [added(['__proto_'], { a: 1 })]],
		['a value of a Map', { a: new Map([['x', 1]]) }, { a: new Map([['x', 2]]) }, [changed(['a', 'x'], 1, 2)]],
		[
			'a value of a Map whose keys are not texts',
			new Map([[1, 'x']]),
			new Map([[1, 'y']]),
			[changed(['$map', 0, 1], 'x', 'y')],
		],
		['an element of a Set', new Set([1]), new Set([1, 2]), [added([1], 2)]],
		[
			'the message of an Error',
			{ error: Object.assign(new Error('a'), { stack: '' }) },
			{ error: Object.assign(new Error('b'), { stack: '' }) },
			[changed(['error', 'message'], 'a', 'b')],
		],
		['a class instance of its own', { a: new Cart(1) }, { a: new Cart(2) }, [changed(['a', 'items'], 1, 2)]],
		['a value beside a cycle', cyclic(1), cyclic(2), [changed(['n'], 1, 2), changed(['inner', 'n'], 1, 2)]],
		['a value beyond the size of a record', large(1), large(2), [changed(['last', 'n'], 1, 2)]],
		[
			'a value deeper than in a record',
			nested(200, 1),
			nested(200, 2),
			[changed(Array(200).fill('in'), 1, 2)],
		],
		['a field whose name is empty', { '': 1 }, { '': 2 }, [changed([''], 1, 2)]],
	])('%s', (_name, from, to, changes) => {
		expect(diffStates(from, to)).toEqual(changes)
	})

	test('changes are in the order of their keys, additions last', () => {
		const changes = diffStates({ b: 1, a: { x: 1 }, gone: 0 }, { fresh: 0, a: { x: 2, y: 3 }, b: 2 })
		expect(changes.map(({ type, path }) => `${type} ${path.join('.')}`)).toEqual([
			'changed b',
			'changed a.x',
			'added a.y',
			'removed gone',
			'added fresh',
		])
	})

	test.each([
		['numbers', 1, 1],
		['NaN', { a: Number.NaN }, { a: Number.NaN }],
		['zeros', [0], [-0]],
		['bigints', [5n], [5n]],
		['dates', [new Date(7)], [new Date(7)]],
		['bytes', Uint8Array.of(1, 2), Buffer.from([1, 2])],
		['objects in another order', { a: 1, b: { c: [1, null] } }, { b: { c: [1, null] }, a: 1 }],
		['an undefined field, and no field', { a: undefined }, {}],
		['nothing', undefined, undefined],
		['Maps', new Map([['x', { n: 1 }]]), new Map([['x', { n: 1 }]])],
		['cycles', cyclic(1), cyclic(1)],
		['a value far too deep', nested(100_000, 1), nested(100_000, 1)],
	])('equal states have none: %s', (_name, from, to) => {
		expect(diffStates(from, to)).toEqual([])
	})

	test('neither state is changed, and a value that occurs twice is compared twice', () => {
		const shared = Object.freeze({ n: 1 })
		const changes = diffStates(
			Object.freeze({ a: shared, b: shared }),
			Object.freeze({ a: { n: 2 }, b: { n: 3 } }),
		)
		expect(changes).toEqual([changed(['a', 'n'], 1, 2), changed(['b', 'n'], 1, 3)])
	})
})

describe('changes as text', () => {
	const text = (from: unknown, to: unknown) => formatChanges(diffStates(from, to))

	test('one line for each change, with its sign, its path and its values', () => {
		expect(text({ cart: { items: [1, 2] }, old: true }, { cart: { items: [1, 3] }, 'new': 'x' })).toBe(
			'~ cart.items[1]: 2 -> 3\n- old: true\n+ new: "x"\n',
		)
		expect(text({}, {})).toBe('')
	})

	test('the state itself, and an array, have paths too', () => {
		expect(text(1, null)).toBe('~ (state): 1 -> null\n')
		expect(text([{ a: 1 }], [{ a: 2 }])).toBe('~ [0].a: 1 -> 2\n')
	})

	test('dates, bytes, bigints and NaN have their JSON form', () => {
		const from = { at: new Date(0), bytes: Uint8Array.of(1), big: 5n, not: 0 }
		const to = { at: new Date(1000), bytes: Uint8Array.of(2), big: 6n, not: Number.NaN }
		expect(text(from, to)).toBe(
			[
				'~ at: {"$date":"1970-01-01T00:00:00.000Z"} -> {"$date":"1970-01-01T00:00:01.000Z"}',
				'~ bytes: {"$bytes":"AQ=="} -> {"$bytes":"Ag=="}',
				'~ big: {"$bigint":"5"} -> {"$bigint":"6"}',
				'~ not: 0 -> {"$number":"NaN"}',
				'',
			].join('\n'),
		)
	})

	test('keys that are not identifiers are quoted: numbers, spaces, dots, brackets, empty', () => {
		const keys = ['0', 'a b', 'a.b', 'a[0]', '', 'naïve', '$x', '(state)', '-']
		const lines = text({}, Object.fromEntries(keys.map((key) => [key, 1]))).split('\n')
		expect(lines.slice(0, -1)).toEqual([
			'+ ["0"]: 1',
			'+ ["a b"]: 1',
			'+ ["a.b"]: 1',
			'+ ["a[0]"]: 1',
			'+ [""]: 1',
			'+ naïve: 1',
			'+ $x: 1',
			'+ ["(state)"]: 1',
			'+ ["-"]: 1',
		])
	})

	test('no control character reaches a terminal or breaks a line, in keys as in values', () => {
		const evil = '\u001b[31m\r\n\u0085\u009b\u2028\u202e\u007f'
		const lines = text({ [evil]: evil }, { other: [evil] })
		expect(lines.split('\n')).toHaveLength(3)
		expect(lines.replaceAll('\n', '')).toMatch(/^[\x20-\x7e]+$/)
	})
})
