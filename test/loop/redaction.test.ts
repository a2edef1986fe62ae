import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ByteWriter } from '../../src/codec/byte-writer.ts'
import { canonicalise } from '../../src/codec/canonical.ts'
import { encodeData } from '../../src/codec/data-encoder.ts'
import { packDataBorrow } from '../../src/codec/data-packer.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import type { MeshLoopOptions } from '../../src/loop/options.ts'
import { recordCrashes } from '../../src/loop/record-crashes.ts'
import type { RedactOptions } from '../../src/loop/redact-options.ts'
import { DATA_BYTES_MAX } from '../../src/model/limits.ts'
import type { LogRecord } from '../../src/model/record.ts'
import { BlackBox } from '../../src/recorder/black-box.ts'
import { Recorder } from '../../src/recorder/recorder.ts'
import { SEED } from '../support/counts.ts'
import { reports, warnings } from './observed.ts'

const CENSORED = '[redacted]'

const loopWith = (redact: MeshLoopOptions['redact']) => new MeshLoop(undefined, { redact })

/** Returns the recorded data. */
const redacted = (redact: MeshLoopOptions['redact'], data: unknown) =>
	loopWith(redact).info('hello', data)?.data

describe('a path selects', () => {
	test.each<[string, readonly string[], unknown, unknown]>([
		['a key', ['password'], { password: 'x', user: 'u' }, { password: CENSORED, user: 'u' }],
		['a nested key', ['a.b.c'], { a: { b: { c: 1, d: 2 } } }, { a: { b: { c: CENSORED, d: 2 } } }],
		['a whole object', ['a.b'], { a: { b: { c: 1 } }, d: 2 }, { a: { b: CENSORED }, d: 2 }],
		['nothing that is absent', ['a.b.c', 'x'], { a: { b: 1 } }, { a: { b: 1 } }],
		['null', ['a'], { a: null }, { a: CENSORED }],
		[
			'any key',
			['*.password'],
			{ a: { password: 1 }, b: { password: 2 }, password: 3 },
			{
				a: { password: CENSORED },
				b: { password: CENSORED },
				password: 3,
			},
		],
		[
			'every field with a final *',
			['a.*'],
			{ a: { b: 1, c: { d: 2 } } },
			{ a: { b: CENSORED, c: CENSORED } },
		],
		[
			'elements with [*]',
			['a[*].b'],
			{ a: [{ b: 1 }, { b: 2, c: 3 }, 4] },
			{
				a: [{ b: CENSORED }, { b: CENSORED, c: 3 }, 4],
			},
		],
		['elements with *', ['a.*.b'], { a: [{ b: 1 }] }, { a: [{ b: CENSORED }] }],
		['one element', ['a[1]', 'b.0'], { a: [1, 2, 3], b: [4] }, { a: [1, CENSORED, 3], b: [CENSORED] }],
		['elements of the data itself', ['[*].token'], [{ token: 1 }, 2], [{ token: CENSORED }, 2]],
		[
			'quoted keys',
			['["a.b"].c', "d['x y']", 'e[`f`]'],
			{ 'a.b': { c: 1 }, d: { 'x y': 2 }, e: { f: 3 } },
			{
				'a.b': { c: CENSORED },
				d: { 'x y': CENSORED },
				e: { f: CENSORED },
			},
		],
		[
			'keys with hyphens',
			['headers.set-cookie'],
			{ headers: { 'set-cookie': ['a'] } },
			{
				headers: { 'set-cookie': CENSORED },
			},
		],
		[
			'keys in any case',
			['Headers.AUTHORIZATION'],
			{ headers: { Authorization: 'a', authorization: 'b' } },
			{
				headers: { Authorization: CENSORED, authorization: CENSORED },
			},
		],
		[
			'any depth with **',
			['**.token'],
			{ token: 1, a: { token: 2, b: [{ c: { token: 3 } }] } },
			{
				token: CENSORED,
				a: { token: CENSORED, b: [{ c: { token: CENSORED } }] },
			},
		],
		[
			'any depth below a key',
			['a.**.token'],
			{ token: 1, a: { token: 2, b: { token: 3 } } },
			{
				token: 1,
				a: { token: CENSORED, b: { token: CENSORED } },
			},
		],
		[
			'a path after any depth',
			['**.a.*.b'],
			{ x: { a: { c: { b: 1 } } }, a: { b: 2 } },
			{
				x: { a: { c: { b: CENSORED } } },
				a: { b: 2 },
			},
		],
		[
			'values of several paths',
			['a', 'b.c', 'b.d'],
			{ a: 1, b: { c: 2, d: 3, e: 4 } },
			{
				a: CENSORED,
				b: { c: CENSORED, d: CENSORED, e: 4 },
			},
		],
		['entries of a Map', ['a.token'], { a: new Map([['token', 1]]) }, { a: { token: CENSORED } }],
		[
			'entries of a Map with other keys',
			['a.token', 'a[7].b', 'c.*'],
			{
				a: new Map<unknown, unknown>([
					['token', 1],
					[7, { b: 2 }],
					['d', 3],
				]),
				c: new Map([[1, 1]]),
			},
			{
				a: {
					$map: [
						['token', CENSORED],
						[7, { b: CENSORED }],
						['d', 3],
					],
				},
				c: { $map: [[1, CENSORED]] },
			},
		],
		[
			'entries that are repeated',
			['q.token'],
			{ q: new URLSearchParams('token=a&token=b&page=2') },
			{
				q: {
					$map: [
						['token', CENSORED],
						['token', CENSORED],
						['page', '2'],
					],
				},
			},
		],
		[
			'parts of a key of a Map',
			['**.token'],
			new Map([[{ token: 1 }, 2]]),
			{
				$map: [[{ token: CENSORED }, 2]],
			},
		],
		[
			'the result of toJSON',
			['a.token'],
			{ a: { toJSON: () => ({ token: 1 }) } },
			{ a: { token: CENSORED } },
		],
		[
			'fields of a class instance',
			['token'],
			new (class Login {
				token = 1
			})(),
			{ token: CENSORED },
		],
	])('%s', (_title, paths, data, expected) => {
		expect(redacted(paths, data)).toEqual(expected)
	})

	test('fields of an error, of its causes and of the errors in it', () => {
		const cause = Object.assign(new Error('inner'), { token: 's1' })
		const error = Object.assign(new AggregateError([cause], 'outer', { cause }), { token: 's2' })
		const data = redacted(['**.token'], { error }) as { error: { cause: object; errors: object[] } }
		expect(data.error).toMatchObject({ message: 'outer', token: CENSORED })
		expect(data.error.cause).toMatchObject({ message: 'inner', token: CENSORED })
		expect(data.error.errors[0]).toMatchObject({ message: 'inner', token: CENSORED })
	})
})

describe('redacted data', () => {
	test('is frozen, and shares everything that no path selects', () => {
		const appended: unknown[] = []
		const loop = new MeshLoop({ append: ({ data }: LogRecord) => void appended.push(data) } as never, {
			redact: ['a.secret', 'list[*].secret'],
		})
		const data = loop.info('hello', { a: { secret: 1, b: {} }, list: [{ secret: 2 }, { c: 3 }] })?.data as {
			a: { b: object }
			list: object[]
		}
		for (const part of [data, data.a, data.a.b, data.list, ...data.list]) {
			expect(Object.isFrozen(part)).toBe(true)
		}
		expect(appended).toEqual([data])
		expect(Object.keys(data)).toEqual(['a', 'list'])
	})

	test('that no path selects is not copied again', () => {
		const { value } = canonicalise({ a: { b: Number.NaN, c: new Date(5), d: Uint8Array.of(1) } })
		expect(redacted(['x.y', '**.z'], value)).toEqual(value)
		expect(loopWith(['x.y', '**.z', '*.*.*.*']).info('hello', { a: [Number.NaN] })?.data).toEqual({
			a: [Number.NaN],
		})
	})

	test('is counted', () => {
		const loop = loopWith(['**.token'])
		loop.info('hello', { token: 1, a: [{ token: 2 }] })
		loop.info('hello', { other: 1 })
		expect(loop.stats().redacted).toBe(2)
	})

	test('stays within the size of a record, whatever the censor', () => {
		const loop = loopWith({ paths: ['*[*]'], censor: 'x'.repeat(200) })
		const data = loop.info('hello', { list: new Array(900_000).fill(null) })?.data
		const { list } = data as { list: unknown[] }
		expect(list).toHaveLength(900_000)
		expect(list[0]).toBe('x'.repeat(200))
		expect(list.at(-1)).toBeNull()
		expect(packDataBorrow(data).length).toBeLessThanOrEqual(DATA_BYTES_MAX)
	})

	test.each([false, true])(
		'has the same encoding, whether its shape is known or not (remove: %s)',
		(remove) => {
			const loop = loopWith({ paths: ['user.token', 'list[*].token', '*.removed', 'b'], remove })
			const data = () => ({
				b: 5,
				2: 'two',
				id: 1,
				user: { id: 2, token: 'a' },
				list: [{ token: 'b', 0: 3 }],
			})
			const encoded = () => Buffer.from(packDataBorrow(loop.info('hello', data())?.data)).toString('hex')
			const [first, plain] = [encoded(), loop.info('hello', data())?.data]
			for (let time = 0; time < 50; time++) {
				const record = loop.info('hello', data())
				const writer = new ByteWriter()
				encodeData(writer, record?.data)
				expect(Buffer.from(writer.bytes.subarray(0, writer.pos)).toString('hex')).toBe(first)
				expect(Object.entries(record?.data as object)).toEqual(Object.entries(plain as object))
				expect(encoded()).toBe(first)
			}
		},
	)

	test('of any shape contains no selected value, and nothing else changes', () => {
		const key = fc.constantFrom('a', 'b', 'token', '0', '$map')
		const tree = fc.letrec<{ value: unknown }>((tie) => ({
			value: fc.oneof(
				{ depthSize: 'medium' },
				fc.integer(),
				fc.array(tie('value'), { maxLength: 3 }),
				fc.dictionary(key, tie('value'), { maxKeys: 4 }),
			),
		})).value
		fc.assert(
			fc.property(tree, (data) => {
				const given = canonicalise(data).value
				const loop = loopWith({ paths: ['**.token'], remove: true })
				const got = loop.info('hello', given)?.data
				expect(JSON.stringify(got ?? null)).not.toContain('"token"')
				const kept = JSON.parse(JSON.stringify(given ?? null), (name, value: unknown) =>
					name === 'token' ? undefined : value,
				)
				if (!JSON.stringify(given ?? null).includes('$map')) expect(got ?? null).toEqual(kept)
			}),
			{ seed: SEED, numRuns: 500 },
		)
	})
})

describe('with remove', () => {
	test('selected fields are absent, and elements are null', () => {
		const redact: RedactOptions = { paths: ['a.token', 'list[1]', 'map.token'], remove: true }
		const map = new Map<unknown, unknown>([
			['token', 1],
			[2, 3],
		])
		expect(redacted(redact, { a: { token: 1, b: 2 }, list: [1, 2], map })).toEqual({
			a: { b: 2 },
			list: [1, null],
			map: { $map: [[2, 3]] },
		})
	})
})

describe('a censor', () => {
	test('may be a text', () => {
		expect(redacted({ paths: ['a'], censor: '***' }, { a: 1 })).toEqual({ a: '***' })
	})

	test('may be a function of the value and its path', () => {
		const seen: unknown[] = []
		const censor = (value: unknown, path: readonly (string | number)[]) => {
			seen.push([value, path])
			return typeof value === 'string' ? value.slice(-2) : null
		}
		const data = redacted({ paths: ['**.card', 'list[*]'], censor }, { a: { Card: '12345' }, list: [1] })
		expect(data).toEqual({ a: { Card: '45' }, list: [null] })
		expect(seen).toEqual([
			['12345', ['a', 'Card']],
			[1, ['list', 0]],
		])
	})

	test.each<[string, () => unknown]>([
		[
			'throws',
			() => {
				throw new Error('mine')
			},
		],
		['returns undefined', () => undefined],
		['returns an object', () => ({ card: '12345' })],
		['returns a function', () => () => {}],
		['returns a promise that rejects', () => Promise.reject(new Error('mine'))],
	])('that %s is counted and said once, and the value is replaced', (_title, censor) => {
		const said = warnings()
		const heard = reports('hook-error')
		const loop = loopWith({ paths: ['card'], censor })
		const data = [loop.info('a', { card: '12345', b: 1 }), loop.info('a', { card: '12345' })].map(
			(record) => record?.data,
		)
		expect(data).toEqual([{ card: CENSORED, b: 1 }, { card: CENSORED }])
		expect(loop.stats()).toMatchObject({ hookErrors: 2, redacted: 2 })
		expect(heard).toHaveLength(2)
		expect(heard[0]).toMatchObject({ source: loop, hook: 'redact' })
		expect(said).toEqual(['HOOK_FAILED'])
	})

	test('that publishes is not called for the line that it publishes', () => {
		const loop: MeshLoop = loopWith({
			paths: ['list[*].card', 'card'],
			censor: (value) => {
				loop.info('inner', { card: value, list: [{ card: 1 }] })
				return 'x'
			},
		})
		expect(loop.info('outer', { card: 1, list: [{ card: 2 }, { card: 3 }] })?.data).toEqual({
			card: 'x',
			list: [{ card: 'x' }, { card: 'x' }],
		})
		expect(loop.snapshot().map(({ message }) => message)).toEqual(['inner', 'inner', 'inner', 'outer'])
		expect(loop.snapshot()[0]?.data).toEqual({ card: CENSORED, list: [{ card: CENSORED }] })
	})
})

describe('redaction applies to', () => {
	const redact = ['**.token']
	const secret = 'z7secret'
	const expected = { token: CENSORED }

	test.each<[string, (loop: MeshLoop) => unknown]>([
		['a level method', (loop) => loop.warn('a', { token: secret })],
		['emit', (loop) => loop.emit('a', { token: secret })],
		['publish', (loop) => loop.publish({ kind: 'a', data: { token: secret } })],
		['publishBatch', (loop) => loop.publishBatch([{ data: { token: secret } }])],
		['the fields of a child', (loop) => loop.child({ data: { token: secret } }).info('a')],
		[
			'the fields of a child of a child',
			(loop) =>
				loop
					.child({ data: { token: secret } })
					.child({ data: {} })
					.info('a'),
		],
		['a child with data of its own', (loop) => loop.child({ data: {} }).info('a', { token: secret })],
		[
			'a replayed record',
			(loop) => loop.publish({ data: { token: secret }, origin: { chainId: 'c', epoch: 1, seq: 1 } }),
		],
	])('%s', (_title, publish) => {
		const loop = loopWith(redact)
		publish(loop)
		expect(loop.snapshot().map(({ data }) => data)).toEqual([expected])
	})

	test('context', () => {
		const loop = new MeshLoop(undefined, { redact, context: () => ({ data: { token: secret } }) })
		expect(loop.info('a', { b: 1 })?.data).toEqual({ token: CENSORED, b: 1 })
	})

	test('what transform returns', () => {
		const loop = new MeshLoop(undefined, { redact, transform: (line) => ({ ...line, data: { token: 1 } }) })
		expect(loop.info('a')?.data).toEqual(expected)
	})

	test('records of crashes', () => {
		const loop = loopWith(['**.token', 'origin'])
		const stop = recordCrashes(loop)
		process.listeners('uncaughtExceptionMonitor').at(-1)?.(
			Object.assign(new Error('boom'), { token: secret }),
			'uncaughtException',
		)
		stop()
		expect(loop.snapshot()[0]).toMatchObject({
			kind: '$crash',
			data: { error: { message: 'boom', token: CENSORED }, origin: 'uncaughtException' },
		})
	})

	test('lines in a black box', () => {
		const loop = new MeshLoop(undefined, { redact, level: 'info' })
		const box = new BlackBox(loop)
		loop.debug('held', { token: secret, b: 1 })
		box.trigger('now')
		const [held] = loop.snapshot({ kind: '$blackbox' })
		expect(held?.data).toMatchObject({ lines: [{ message: 'held', data: { token: CENSORED, b: 1 } }] })
	})

	test('the state in a checkpoint, but not its identity', () => {
		const loop = loopWith(['**.token', 'session', 'id', 'recorder', '*'])
		const recorder = new Recorder(loop)
		recorder.start()
		recorder.checkpoint({ token: secret }, { label: 'one' })
		recorder.stop()
		const records = loop.snapshot({ kind: '$*' })
		expect(records.map(({ kind }) => kind)).toEqual(['$session', '$checkpoint', '$session'])
		const sessions = records.map(({ data }) => (data as { session: unknown }).session)
		expect(new Set(sessions).size).toBe(1)
		expect(sessions).not.toContain(CENSORED)
		expect(JSON.stringify(records)).not.toContain(secret)
	})
})

test('messages are recorded as they are', () => {
	expect(loopWith(['**.message', '*']).info('the token is abc')?.message).toBe('the token is abc')
})

test('any number of different keys uses bounded memory and redacts every one', () => {
	const loop = new MeshLoop(undefined, {
		redact: ['**.token', 'users.*.card', '**.a.*.*.b'],
		ringCapacity: 1,
	})
	for (let round = 0; round < 40; round++) {
		const users = Object.fromEntries(
			Array.from({ length: 500 }, (_unused, at) => [`u${round}-${at}`, { card: 1, token: 2, at }]),
		)
		const data = loop.info('hello', { users })?.data as { users: Record<string, object> }
		const values = Object.values(data.users)
		expect(values).toHaveLength(500)
		expect(values.every((user) => 'card' in user && user.card === CENSORED)).toBe(true)
		expect(values.every((user) => 'token' in user && user.token === CENSORED)).toBe(true)
	}
})

describe('the option', () => {
	test.each<[string, unknown, RegExp]>([
		['', '""', /a key is missing at character 1/],
		['a path that is not a text', 7, /must be a string/],
		['an empty key', 'a..b', /"a..b".*a key is missing at character 3/],
		['a final dot', 'a.', /a key is missing at character 3/],
		['an unclosed bracket', 'a[0', /character 2 must be \[\*\], \[0\] or \["key"\]/],
		['a bracket without quotes', 'a[b]', /character 2 must be/],
		['text after a bracket', 'a["b"]c', /character 7 must be \. or \[/],
		['part of a key with *', 'pass*', /\* stands for a whole key/],
		['a space', 'a b', /character 2 must be \. or \[/],
		['a final **', 'a.**', /a key must follow \*\*/],
		['a lone **', '**', /a key must follow \*\*/],
	])('refuses %s: %j', (_title, path, expected) => {
		const call = () => loopWith([path === '""' ? '' : path] as string[])
		expect(call).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
		expect(call).toThrow(expected)
	})

	test.each<[unknown, RegExp]>([
		['a.b', /redact must be a list of paths/],
		[null, /redact must be a list of paths/],
		[{}, /paths of redact must be a list of paths, not undefined/],
		[{ paths: 'a' }, /paths of redact/],
		[{ paths: ['a'], censor: 5 }, /censor of redact must be a text or a function, not 5/],
		[{ paths: ['a'], censor: null }, /censor of redact/],
		[{ paths: ['a'], censor: 'x'.repeat(300) }, /censor of redact must be at most 256 characters/],
		[{ paths: ['a'], remove: 'yes' }, /remove of redact must be true or false/],
		[{ paths: ['a'], remove: true, censor: 'x' }, /both censor and remove/],
		[{ paths: ['a'], replace: 1 }, /no such option: "replace"/],
	])('refuses %j', (redact, expected) => {
		const call = () => loopWith(redact as never)
		expect(call).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
		expect(call).toThrow(expected)
	})

	test('may be an empty list', () => {
		expect(redacted([], { a: 1 })).toEqual({ a: 1 })
	})
})
