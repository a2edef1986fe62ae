import { describe, expect, test } from 'vitest'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import type { MeshLoopOptions } from '../../src/loop/options.ts'
import { recordCrashes } from '../../src/loop/record-crashes.ts'
import { errorSerializer, requestSerializer, responseSerializer } from '../../src/loop/web-serializers.ts'
import { Recorder } from '../../src/recorder/recorder.ts'
import { reports, warnings } from './observed.ts'

const loopWith = (serializers: MeshLoopOptions['serializers'], options: MeshLoopOptions = {}) =>
	new MeshLoop(undefined, { serializers, ...options })

const idOf = (user: { id: number }) => user.id
const user = { id: 7, name: 'ada' }

describe('a serializer', () => {
	test('replaces the value of its key, and nothing else', () => {
		const loop = loopWith({ user: idOf })
		const data = { user, nested: { user }, other: 1 }
		expect(loop.info('a', data)?.data).toEqual({ user: 7, nested: { user }, other: 1 })
		expect(data.user).toBe(user)
		expect(loop.info('a', [user])?.data).toEqual([user])
		expect(loop.info('a')?.data).toBeUndefined()
	})

	test('that returns undefined removes its field', () => {
		expect(loopWith({ user: () => undefined }).info('a', { user, b: 1 })?.data).toEqual({ b: 1 })
	})

	test('is called once for the fields of a child, and for those of a line and of context', () => {
		const calls: unknown[] = []
		const loop = loopWith(
			{
				user: (given) => {
					calls.push(given)
					return idOf(given as typeof user)
				},
			},
			{ context: () => ({ data: { user: { id: 1 } } }) },
		)
		expect(loop.info('a')?.data).toEqual({ user: 1 })
		const child = loop.child({ data: { user: { id: 2 } } })
		calls.length = 0
		expect(child.info('a')?.data).toEqual({ user: 2 })
		expect(child.child({ data: { b: 1 } }).info('a')?.data).toEqual({ user: 2, b: 1 })
		expect(calls).toEqual([{ id: 1 }, { id: 1 }])
		expect(child.info('a', { user: { id: 3 } })?.data).toEqual({ user: 3 })
	})

	test('is called before transform, and its result is redacted', () => {
		const seen: unknown[] = []
		const loop = loopWith(
			{ user: ({ id }: typeof user) => ({ id, token: 's' }) },
			{
				redact: ['user.token'],
				transform: (line) => {
					seen.push(line.data)
					return line
				},
			},
		)
		expect(loop.info('a', { user })?.data).toEqual({ user: { id: 7, token: '[redacted]' } })
		expect(seen).toEqual([{ user: { id: 7, token: 's' } }])
	})

	test('for error or err also gets an error that is the whole data', () => {
		const error = new Error('no')
		for (const key of ['error', 'err']) {
			const loop = loopWith({ [key]: (given: unknown) => ({ is: given === error }) })
			expect(loop.publish({ data: error })?.data).toEqual({ is: true })
			expect(loop.info('a', { [key]: error })?.data).toEqual({ [key]: { is: true } })
		}
		const loop = loopWith({ error: (given) => ({ is: given === error }) })
		expect(loop.error(error)?.data).toEqual({ error: { is: true } })
		expect(loop.child({ b: 1 }).error('a', error)?.data).toEqual({ b: 1, error: { is: true } })
	})

	test('is called for the error of a crash, but not for the records of a recorder', () => {
		const loop = loopWith({
			error: () => 'serialized',
			session: () => 'no',
			state: () => 'no',
			id: () => 'no',
		})
		const stop = recordCrashes(loop)
		process.listeners('uncaughtExceptionMonitor').at(-1)?.(new Error('boom'), 'uncaughtException')
		stop()
		expect(loop.snapshot()[0]?.data).toEqual({ error: 'serialized', origin: 'uncaughtException' })
		const recorder = new Recorder(loop)
		recorder.start()
		recorder.checkpoint({ a: 1 })
		recorder.stop()
		expect(JSON.stringify(loop.snapshot({ kind: '$*' }))).not.toContain('"no"')
	})

	test.each<[string, () => unknown, unknown]>([
		[
			'throws',
			() => {
				throw new TypeError('mine')
			},
			{ $unserializable: 'threw TypeError' },
		],
		[
			'throws a promise that rejects',
			() => {
				throw Promise.reject(new Error('mine'))
			},
			{ $unserializable: 'threw object' },
		],
	])('that %s leaves a counted marker, and is said once', (_title, serializer, marker) => {
		const said = warnings()
		const heard = reports('hook-error')
		const loop = loopWith({ user: serializer })
		const data = [1, 2].map((b) => loop.info('a', { user, b })?.data)
		expect(data).toEqual([
			{ user: marker, b: 1 },
			{ user: marker, b: 2 },
		])
		expect(loop.stats()).toMatchObject({ hookErrors: 2, unserializable: 2, published: 2 })
		expect(heard[0]).toMatchObject({ source: loop, hook: 'serializers' })
		expect(said).toEqual(['HOOK_FAILED'])
	})

	test('that returns a promise leaves a marker', () => {
		const loop = loopWith({ user: () => Promise.reject(new Error('mine')) })
		expect(loop.info('a', { user })?.data).toEqual({ user: { $unserializable: 'not data' } })
	})

	test('that publishes is not called for the line that it publishes', () => {
		const loop: MeshLoop = loopWith({
			user: (given: unknown) => {
				loop.info('inner', { user: given })
				return 'outer'
			},
		})
		expect(loop.info('outer', { user })?.data).toEqual({ user: 'outer' })
		expect(loop.snapshot()[0]?.data).toEqual({ user })
	})

	test('of a getter that throws leaves a marker, and other getters are still called', () => {
		warnings()
		const failing = {
			enumerable: true,
			get: () => {
				throw new RangeError('mine')
			},
		}
		const data = Object.defineProperty(Object.defineProperty({ b: 1 }, 'user', failing), 'other', failing)
		expect(loopWith({ user: idOf }).info('a', data)?.data).toEqual({
			b: 1,
			user: { $unserializable: 'threw RangeError' },
			other: { $unserializable: 'threw RangeError' },
		})
	})

	test.each<[unknown, RegExp]>([
		[{ req: 5 }, /the serializer for "req" must be a function, not 5/],
		[{ req: null }, /the serializer for "req" must be a function/],
		[[], /serializers must be an object/],
		[null, /serializers must be an object/],
	])('%j is refused', (serializers, expected) => {
		const call = () => loopWith(serializers as never)
		expect(call).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
		expect(call).toThrow(expected)
	})
})

describe('a ready-made serializer', () => {
	const request = {
		method: 'GET',
		url: '/orders/7?token=s&page=2',
		id: 'r-1',
		headers: { Authorization: 'Bearer s', 'User-Agent': 'curl', cookie: 'id=s' },
		body: { password: 's' },
		socket: { remoteAddress: '10.0.0.1', remotePort: 5000, key: 's' },
	}
	const form = {
		id: 'r-1',
		method: 'GET',
		url: '/orders/7?…',
		remoteAddress: '10.0.0.1',
		remotePort: 5000,
	}

	test('for requests records no headers, body or socket', () => {
		expect(requestSerializer()(request)).toEqual(form)
		expect(requestSerializer()('text')).toBe('text')
	})

	test('records the headers and the query that are asked for', () => {
		const all = requestSerializer({ headers: ['user-agent', 'AUTHORIZATION', 'absent'], query: true })
		expect(all(request)).toEqual({
			...form,
			url: '/orders/7?token=s&page=2',
			headers: { 'user-agent': 'curl', authorization: 'Bearer s' },
		})
		const fetched = new Request('http://localhost/a?b=1', { headers: { 'x-id': '5', cookie: 's' } })
		expect(requestSerializer({ headers: ['X-Id'] })(fetched)).toEqual({
			method: 'GET',
			url: 'http://localhost/a?…',
			headers: { 'x-id': '5' },
		})
	})

	test('for responses records the status and the address', () => {
		const response = { status: 404, data: { token: 's' }, headers: { 'set-cookie': ['s'], age: '5' } }
		expect(responseSerializer()(response)).toEqual({ statusCode: 404 })
		expect(responseSerializer({ headers: ['age'] })(response)).toEqual({
			statusCode: 404,
			headers: { age: '5' },
		})
		expect(responseSerializer()(null)).toBeNull()
	})

	test('for errors records only known fields, and those that are asked for', () => {
		const cause = Object.assign(new Error('inner'), { code: 'E_INNER', config: { password: 's' } })
		const error = Object.assign(new AggregateError([cause], 'outer', { cause }), {
			status: 500,
			orderId: 7,
			details: { token: 's' },
		})
		const recorded = new MeshLoop(undefined, {
			serializers: { err: errorSerializer({ fields: ['orderId'] }) },
		}).info('a', { err: error })?.data
		const inner = { name: 'Error', message: 'inner', stack: cause.stack, code: 'E_INNER' }
		expect(recorded).toEqual({
			err: {
				name: 'AggregateError',
				message: 'outer',
				stack: error.stack,
				status: 500,
				orderId: 7,
				cause: inner,
				errors: [inner],
			},
		})
	})

	test('for errors ends where the causes are endless', () => {
		const error = new Error('loop')
		error.cause = error
		const text = JSON.stringify(errorSerializer()(error))
		expect(text.match(/"loop"/g)).toHaveLength(17)
		expect(errorSerializer()(undefined)).toBeUndefined()
	})

	test.each([
		() => requestSerializer({ headers: 'user-agent' } as never),
		() => responseSerializer({ headers: [5] } as never),
		() => requestSerializer({ query: 1 } as never),
		() => errorSerializer({ fields: null } as never),
		() => errorSerializer({ stack: false } as never),
	])('refuses wrong options: %s', (call) => {
		expect(call).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
	})
})
