/**
 * Logging calls with the arguments that people pass to other loggers: each call of the table in
 * docs/reference/logging-calls.md gives the same record from every kind of loop, and none throws.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BufferingAppender } from '../../src/appenders/buffering.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import type { LineFields, LogRecord } from '../../src/model/record.ts'
import { SEED } from '../support/counts.ts'
import { ODDITIES } from '../support/oddities.ts'
import { warnings } from './observed.ts'

type Call = (loop: MeshLoop) => LogRecord | undefined

interface Expected {
	readonly level?: string
	readonly kind?: string
	readonly message: string
	readonly data?: Readonly<Record<string, unknown>>
	readonly fields?: LineFields
}

class PaymentError extends Error {
	override readonly name = 'PaymentError'
	readonly code = 'E_CARD'
}

const failure = new PaymentError('no card')
/** The error in canonical form, without its stack. */
const stored = expect.objectContaining({ name: 'PaymentError', message: 'no card', code: 'E_CARD' })

const CALLS: readonly (readonly [string, Call, Expected])[] = [
	[
		'error(err)',
		(loop) => loop.error(failure),
		{ level: 'error', message: 'no card', data: { error: stored } },
	],
	[
		"error('failed', err)",
		(loop) => loop.error('failed', failure),
		{ level: 'error', message: 'failed', data: { error: stored } },
	],
	[
		"error('failed', { id }, err)",
		(loop) => loop.error('failed', { id: 7 }, failure),
		{ level: 'error', message: 'failed', data: { id: 7, error: stored } },
	],
	[
		"error(err, 'failed')",
		(loop) => loop.error(failure, 'failed'),
		{ level: 'error', message: 'failed', data: { error: stored } },
	],
	[
		"error(err, 'failed', { id })",
		(loop) => loop.error(failure, 'failed', { id: 7 }),
		{ level: 'error', message: 'failed', data: { id: 7, error: stored } },
	],
	[
		"error({ err }, 'failed')",
		(loop) => loop.error({ err: failure }, 'failed'),
		{ level: 'error', message: 'failed', data: { err: stored } },
	],
	['info({ a })', (loop) => loop.info({ a: 1 }), { message: 'log', data: { a: 1 } }],
	['info({ a, msg })', (loop) => loop.info({ a: 1, msg: 'text' }), { message: 'text', data: { a: 1 } }],
	[
		'info({ a, message })',
		(loop) => loop.info({ a: 1, message: 'text' }),
		{ message: 'text', data: { a: 1 } },
	],
	[
		'info({ a, msg }), msg is no text',
		(loop) => loop.info({ a: 1, msg: 5 }),
		{ message: 'log', data: { a: 1, msg: 5 } },
	],
	["info({ a }, 'text')", (loop) => loop.info({ a: 1 }, 'text'), { message: 'text', data: { a: 1 } }],
	[
		"info({ a }, '%s done', 'job')",
		(loop) => loop.info({ a: 1 }, '%s done', 'job'),
		{ message: 'job done', data: { a: 1 } },
	],
	["info('%s has %d', 'bob', 3)", (loop) => loop.info('%s has %d', 'bob', 3), { message: 'bob has 3' }],
	[
		'placeholders and more arguments',
		(loop) => loop.info('%s has %d', 'bob', 3, 'more', { x: 1 }),
		{ message: 'bob has 3', data: { args: ['more', { x: 1 }] } },
	],
	[
		'placeholders and an error',
		(loop) => loop.error('%s failed', 'job', failure),
		{ level: 'error', message: 'job failed', data: { error: stored } },
	],
	[
		"error('%s', err)",
		(loop) => loop.error('it was %s', failure),
		{ level: 'error', message: 'it was PaymentError: no card', data: { error: stored } },
	],
	["info('%o', object)", (loop) => loop.info('%j', { a: 1 }), { message: '{"a":1}' }],
	[
		'text with a percent sign, and data',
		(loop) => loop.info('GET /%d0%bf, 100%', { a: 1 }),
		{ message: 'GET /%d0%bf, 100%', data: { a: 1 } },
	],
	[
		"info('100%', 'of', 3)",
		(loop) => loop.info('100%', 'of', 3),
		{ message: '100%', data: { args: ['of', 3] } },
	],
	[
		"info('text', undefined, { nodeId })",
		(loop) => loop.info('text', undefined, { nodeId: 'n', daemonId: 7, tsMs: 5 }),
		{ message: 'text', fields: { nodeId: 'n', daemonId: 7, tsMs: 5 } },
	],
	[
		"info('text', { a }, { nodeId })",
		(loop) => loop.info('text', { a: 1 }, { nodeId: 'n' }),
		{ message: 'text', data: { a: 1 }, fields: { nodeId: 'n' } },
	],
	[
		"error('failed', err, { nodeId })",
		(loop) => loop.error('failed', failure, { nodeId: 'n' }),
		{ level: 'error', message: 'failed', data: { error: stored }, fields: { nodeId: 'n' } },
	],
	[
		"info('text', { a }, { nodeId, other })",
		(loop) => loop.info('text', { a: 1 }, { nodeId: 'n', other: 1 }),
		{ message: 'text', data: { a: 1, args: [{ nodeId: 'n', other: 1 }] }, fields: { nodeId: null } },
	],
	[
		"info('text', undefined, undefined)",
		(loop) => loop.info('text', undefined, undefined),
		{ message: 'text', fields: { nodeId: null } },
	],
	...(
		[
			['%d', 'abc'],
			['%i', 3.7],
			['%f', '1.5'],
			['%c', 'color: red'],
			['/%d0%bf', 'x'],
		] as const
	).map(([text, value]): readonly [string, Call, Expected] => [
		`info('${text}', ${value}), which console.log would change`,
		(loop) => loop.info(text, value, 'more'),
		{ message: text, data: { args: [value, 'more'] } },
	]),
	["info('%i of %d', 3, 7n)", (loop) => loop.info('%i of %d', 3, 7n), { message: '3 of 7n' }],
	['info(42)', (loop) => loop.info(42), { message: '42' }],
	['info(null)', (loop) => loop.info(null), { message: 'null' }],
	['info(undefined)', (loop) => loop.info(undefined), { message: 'undefined' }],
	['info(10n)', (loop) => loop.info(10n), { message: '10' }],
	['info(true)', (loop) => loop.info(true), { message: 'true' }],
	['info(symbol)', (loop) => loop.info(Symbol('s')), { message: 'Symbol(s)' }],
	['info(function)', (loop) => loop.info(function foo() {}), { message: '[Function: foo]' }],
	[
		"error('x', { a }, 5)",
		(loop) => loop.error('x', { a: 1 }, 5),
		{
			level: 'error',
			message: 'x',
			data: { a: 1, args: [5] },
		},
	],
	[
		"error('x', { error }, err)",
		(loop) => loop.error('x', { error: 'mine' }, failure),
		{ level: 'error', message: 'x', data: { error: stored, data: { error: 'mine' } } },
	],
	[
		'fatal(text)',
		(loop) => loop.fatal('dying'),
		{ level: 'error', message: 'dying', data: { level: 'fatal' } },
	],
	[
		'fatal(err)',
		(loop) => loop.fatal(failure),
		{ level: 'error', message: 'no card', data: { error: stored, level: 'fatal' } },
	],
	[
		'fatal(text, { level })',
		(loop) => loop.fatal('dying', { level: 5 }),
		{ level: 'error', message: 'dying', data: { level: 'fatal', data: { level: 5 } } },
	],
	[
		'publish({ msg, requestId })',
		(loop) => loop.publish({ msg: 'hello', requestId: 'r-2' }),
		{ message: 'hello', data: { requestId: 'r-2' } },
	],
	[
		'publish with both messages',
		(loop) => loop.publish({ message: 'hello', msg: 'other' }),
		{ message: 'hello', data: { msg: 'other' } },
	],
	[
		'publish with unknown fields and data',
		(loop) => loop.publish({ message: 'm', user: 'u', data: { a: 1 } }),
		{ message: 'm', data: { user: 'u', a: 1 } },
	],
	[
		'publish with invalid fields',
		(loop) => loop.publish({ kind: '$gap', level: 'loud', nodeId: {}, message: 'm' } as never),
		{ message: 'm', data: { kind: '$gap', level: 'loud', nodeId: {} } },
	],
	[
		'publish at a level in other forms',
		(loop) => loop.publish({ level: 'WARN', message: 'm' }) && loop.publish({ level: 40, message: 'm' }),
		{ level: 'warn', message: 'm' },
	],
	[
		'publish at level fatal',
		(loop) => loop.publish({ level: 'fatal', message: 'm' }),
		{ level: 'error', message: 'm', data: { level: 'fatal' } },
	],
	['publish(err)', (loop) => loop.publish(failure as never), { message: 'no card', data: { error: stored } }],
	['publish(text)', (loop) => loop.publish('text' as never), { message: 'text' }],
	[
		'publish({ message: err })',
		(loop) => loop.publish({ message: failure } as never),
		{ message: 'no card', data: { error: stored } },
	],
	['emit(kind, data)', (loop) => loop.emit('k', { a: 1 }), { kind: 'k', message: 'k', data: { a: 1 } }],
	[
		'emit at a level in other forms',
		(loop) => loop.emit('k', { a: 1 }, { level: 'Fatal' }),
		{ level: 'error', kind: 'k', message: 'k', data: { a: 1, level: 'fatal' } },
	],
	['emit(invalid kind)', (loop) => loop.emit('$k', { a: 1 }), { message: 'log', data: { kind: '$k', a: 1 } }],
	[
		'child({ requestId })',
		(loop) => loop.child({ orderId: 'o-1' }).info('hello', { a: 1 }),
		{ message: 'hello', data: { orderId: 'o-1', a: 1 } },
	],
	[
		'child with invalid fields',
		(loop) => loop.child({ nodeId: {}, data: 5 } as never).info('hello'),
		{ message: 'hello', data: { nodeId: {}, data: 5 } },
	],
]

const CONTEXT = { requestId: 'r-1' }

/** The loops from which each call is made, and the data that each adds. */
const LOOPS: readonly (readonly [string, () => MeshLoop, Readonly<Record<string, unknown>>])[] = [
	['a loop', () => new MeshLoop(new BufferingAppender()), {}],
	['a child', () => new MeshLoop(new BufferingAppender()).child(CONTEXT), CONTEXT],
	['a typed loop', () => new MeshLoop<{ order: { id: number } }>(new BufferingAppender()), {}],
	['a loop with context', () => new MeshLoop(new BufferingAppender(), { context: () => CONTEXT }), CONTEXT],
	[
		'a loop with transform',
		() => new MeshLoop(new BufferingAppender(), { transform: (line) => ({ ...line }) }),
		{},
	],
	['detached methods', () => detached(new MeshLoop(new BufferingAppender())), {}],
]

/** Returns an object with methods that have no `this`, as after `const { info } = loop`. */
function detached(loop: MeshLoop): MeshLoop {
	const { trace, debug, info, warn, error, fatal, publish, emit, child } = loop
	const methods = { trace, debug, info, warn, error, fatal, publish, emit, child }
	return Object.fromEntries(
		Object.entries(methods).map(([name, method]) => [
			name,
			(...args: never[]) => Reflect.apply(method, undefined, args),
		]),
	) as never
}

describe.each(LOOPS)('from %s', (_from, newLoop, added) => {
	test.each(CALLS)('%s', (_call, call, expected) => {
		warnings()
		const { level = 'info', kind = 'log', message, data, fields } = expected
		const record = call(newLoop())
		expect(record).toMatchObject({ level, kind, message, ...fields })
		const withAdded = { ...added, ...data }
		if (Object.keys(withAdded).length === 0) expect(record).not.toHaveProperty('data')
		else expect(record?.data).toEqual(withAdded)
	})
})

test.each(CALLS)('after close, %s returns undefined and is counted', async (_call, call) => {
	warnings()
	const loop = new MeshLoop(new BufferingAppender())
	await loop.close()
	expect(call(loop)).toBeUndefined()
	expect(loop.stats().publishedAfterClose).toBeGreaterThan(0)
})

test('promise.catch(loop.error) records the error', async () => {
	const loop = new MeshLoop(new BufferingAppender())
	const record = await Promise.reject(failure).catch(loop.error)
	expect(record).toMatchObject({ level: 'error', message: 'no card', data: { error: stored } })
	const child = loop.child(CONTEXT)
	expect(await Promise.reject(failure).catch(child.error)).toMatchObject({
		data: { requestId: 'r-1', error: stored },
	})
})

test('the methods of a subclass are bound, too', () => {
	class Service extends MeshLoop {
		override error(...args: unknown[]) {
			return super.error(...args, { from: 'service' })
		}
	}
	const { error } = new Service(new BufferingAppender())
	expect(error('failed')?.data).toEqual({ from: 'service' })
})

test('a record that is published again keeps its fields, but its seq, epoch and state are new', () => {
	const loop = new MeshLoop(new BufferingAppender())
	const record = loop.info('first', { a: 1 })!
	expect(loop.publish(record)).toEqual({ ...record, seq: 2 })
})

test('invalid values are counted, and the first one gives a warning', () => {
	const loop = new MeshLoop(new BufferingAppender())
	const said = warnings()
	loop.publish({ level: 'loud' })
	loop.publish({ tsMs: 'today' } as never)
	loop.publish({ extra: 'unknown fields are valid' } as never)
	expect(loop.stats()).toMatchObject({ invalidLines: 2, published: 3 })
	expect(said).toEqual(['INVALID_LINE'])
})

/** Functions that return values that no call expects. A property cannot contain a revoked proxy itself. */
const anything = fc.oneof(
	fc.constantFrom(...Object.values(ODDITIES)),
	fc
		.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true })
		.map((value) => () => value),
	fc.string().map((value) => () => value),
	fc.constant(() => failure),
)

test('no call throws, and each gives one record whose ring copy is what the appender has', () => {
	warnings()
	fc.assert(
		fc.property(
			fc.constantFrom('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'emit', 'publish'),
			fc.array(anything, { maxLength: 5 }),
			fc.boolean(),
			(name, makers, isChild) => {
				const arity = name === 'publish' ? 1 : name === 'emit' ? 3 : 5
				const args = makers.slice(0, arity).map((make) => make())
				const appender = new BufferingAppender()
				const root = new MeshLoop(appender)
				const loop = isChild ? root.child(args[0] as object) : root
				const record = Reflect.apply(loop[name as 'info'], undefined, args)
				expect(record).toBeDefined()
				expect(appender.captured()).toEqual([record])
			},
		),
		{ seed: SEED, numRuns: 2000 },
	)
})

describe('the level', () => {
	test.each([
		['WARN', 'warn'],
		['Warning', 'warn'],
		[40, 'warn'],
		[35, 'info'],
		['fatal', 'fatal'],
		[60, 'fatal'],
		['silent', 'silent'],
		[Number.POSITIVE_INFINITY, 'silent'],
		[undefined, 'trace'],
	])('%s is %s', (given, level) => {
		const loop = new MeshLoop(undefined, { level: given })
		expect(loop.level).toBe(level)
		const set = new MeshLoop(undefined, { level: 'debug' })
		set.level = given
		expect(set.level).toBe(level)
	})

	test('of a child is the level of its parent again after it was set to undefined', () => {
		const loop = new MeshLoop(undefined, { level: 'warn' })
		const child = loop.child({}, { level: 'debug' })
		expect(child.level).toBe('debug')
		child.level = undefined
		expect(child.level).toBe('warn')
	})

	test('fatal publishes only lines at level fatal, and silent publishes none', () => {
		const loop = new MeshLoop(new BufferingAppender(), { level: 'fatal' })
		expect([loop.error('x'), loop.fatal('y')?.message]).toEqual([undefined, 'y'])
		expect([loop.isLevelEnabled('error'), loop.isLevelEnabled('fatal')]).toEqual([false, true])
		loop.level = 'silent'
		expect([loop.fatal('z'), loop.publish({ level: 'silent' })]).toEqual([undefined, undefined])
		expect(loop.silent('nothing')).toBeUndefined()
		expect(loop.stats()).toMatchObject({ published: 1, belowLevel: 3 })
	})

	test.each(['loud', '', Number.NaN, null, {}])('%s is refused', (level) => {
		const invalid = expect.objectContaining({ code: 'INVALID_LEVEL' })
		expect(() => new MeshLoop(undefined, { level: level as never })).toThrow(invalid)
	})

	test('fatal as a filter accepts only lines at level fatal', () => {
		const appender = new BufferingAppender()
		const loop = new MeshLoop(appender)
		loop.error('x', { level: 'other' })
		loop.fatal('y')
		expect(appender.captured({ level: 'fatal' }).map(({ message }) => message)).toEqual(['y'])
		expect(loop.snapshot({ level: 'error' })).toHaveLength(2)
	})
})
