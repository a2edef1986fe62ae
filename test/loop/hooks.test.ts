import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, expect, test } from 'vitest'
import { show } from '../../src/guard/show.ts'
import { coreOf } from '../../src/loop/core-of.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import type { MeshLoopOptions } from '../../src/loop/options.ts'
import type { LogLine } from '../../src/model/record.ts'
import { reports, warnings } from './observed.ts'

const withClock = (clock: () => unknown) => new MeshLoop(undefined, { clock: clock as () => number })
const withContext = (context: () => unknown) => new MeshLoop(undefined, { context } as MeshLoopOptions)
const withTransform = (transform: (line: LogLine) => unknown, level: 'trace' | 'warn' = 'trace') =>
	new MeshLoop(undefined, { transform, level } as MeshLoopOptions)

function throws(): never {
	throw new Error('mine')
}

describe('clock', () => {
	test('times may step back', () => {
		const timesMs = [5, 3, 9]
		const loop = withClock(() => timesMs.shift())
		expect([loop.info('a'), loop.info('b'), loop.info('c')].map((record) => record?.tsMs)).toEqual([5, 3, 9])
	})

	test.each([
		['throws', throws],
		['gives NaN', () => Number.NaN],
		['gives a Date', () => new Date()],
		['gives a time too late', () => 9e15],
	])('one that %s is counted and replaced, and the record is not lost', (_title, clock) => {
		const said = warnings()
		const heard = reports('hook-error')
		const loop = withClock(clock)
		const before = Date.now()
		const tsMs = [loop.info('a')?.tsMs, loop.info('b')?.tsMs]
		expect(tsMs.every((ms) => ms !== undefined && ms >= before && ms <= Date.now())).toBe(true)
		expect(loop.stats().hookErrors).toBe(2)
		expect(heard).toEqual([
			expect.objectContaining({ source: loop, hook: 'clock' }),
			expect.objectContaining({ source: loop, hook: 'clock' }),
		])
		expect(said).toEqual(['HOOK_FAILED'])
	})

	test('one that publishes is not called for the line that it publishes', () => {
		const loop: MeshLoop = withClock(() => {
			loop.info('inner')
			return 5
		})
		expect(loop.info('outer')).toMatchObject({ seq: 2, tsMs: 5 })
	})
})

describe('context', () => {
	test('adds the fields that it finds for the publisher', () => {
		const storage = new AsyncLocalStorage<{ request: number }>()
		const loop = withContext(() => ({ daemonId: 'd', data: storage.getStore() }))
		expect(storage.run({ request: 7 }, () => loop.info('hello', { a: 1 }))).toMatchObject({
			daemonId: 'd',
			data: { request: 7, a: 1 },
		})
	})

	test('yields to the child, which yields to the line', () => {
		const loop = withContext(() => ({ nodeId: 'context', tsMs: 1, data: { a: 0, b: 0, c: 0 } }))
		const child = loop.child({ nodeId: 'child', data: { b: 1, c: 1 } })
		expect(child.info('hello', { c: 2 })).toMatchObject({
			nodeId: 'child',
			tsMs: 1,
			data: { a: 0, b: 1, c: 2 },
		})
	})

	test('may return nothing', () => {
		expect(withContext(() => undefined).info('hello', [1])?.data).toEqual([1])
	})

	test.each([
		['throws', throws],
		['gives a text', () => 'text'],
		['gives null', () => null],
		['gives a bad id', () => ({ daemonId: {} })],
		['gives a bad time', () => ({ tsMs: Number.NaN })],
		['gives data that is not a plain object', () => ({ data: [1] })],
	])('one that %s is counted, and the line is published', (_title, context) => {
		warnings()
		const loop = withContext(context)
		expect(loop.info('hello', { a: 1 })).toMatchObject({ message: 'hello', data: { a: 1 }, daemonId: null })
		expect(loop.stats().hookErrors).toBe(1)
	})

	test('one that publishes is not called for the line that it publishes', () => {
		const loop: MeshLoop = withContext(() => {
			loop.info('inner')
			return { daemonId: 'd' }
		})
		expect(loop.info('outer')).toMatchObject({ seq: 2, daemonId: 'd' })
		expect(loop.stats()).toMatchObject({ published: 2, hookErrors: 0 })
	})
})

describe('transform', () => {
	test('sees the merged line and returns the line to publish', () => {
		const seen: LogLine[] = []
		const loop = withTransform((line) => {
			seen.push(line)
			return { ...line, message: 'redacted', data: { kept: true } }
		})
		const child = loop.child({ daemonId: 'd', data: { secret: 1 } })
		expect(child.publish({ kind: 'login', data: { user: 'u' } })).toMatchObject({
			kind: 'login',
			message: 'redacted',
			data: { kept: true },
			daemonId: 'd',
		})
		expect(seen).toEqual([
			{ kind: 'login', level: 'info', message: 'login', daemonId: 'd', data: { secret: 1, user: 'u' } },
		])
	})

	test('drops a line with null, counted, before anything is stamped', () => {
		const loop = withTransform((line) => (line.kind === 'noise' ? null : line))
		expect(loop.emit('noise', 1)).toBeUndefined()
		expect(loop.emit('signal', 1)?.seq).toBe(1)
		expect(loop.stats()).toMatchObject({ transformDropped: 1, published: 1 })
	})

	test.each([
		['throws', throws],
		['gives undefined', () => undefined],
		['gives a text', () => 'text'],
		['gives a promise', async (line: LogLine) => line],
		['gives a bad kind', (line: LogLine) => ({ ...line, kind: '$mine' })],
		['gives a bad level', (line: LogLine) => ({ ...line, level: 'loud' })],
		['gives a bad id', (line: LogLine) => ({ ...line, daemonId: {} })],
	])('one that %s removes message and data, counted, and keeps the rest', (_title, transform) => {
		const said = warnings()
		const loop = withTransform(transform)
		const record = loop.emit('login', { secret: 1 }, { message: 'secret', daemonId: 'd', level: 'warn' })
		expect(record).toMatchObject({
			kind: 'login',
			level: 'warn',
			message: 'login',
			data: { $unserializable: 'transform threw' },
			daemonId: 'd',
		})
		expect(show(loop.snapshot())).not.toContain('secret')
		expect(loop.stats()).toMatchObject({ transformErrors: 1, published: 1, transformDropped: 0 })
		expect(said).toEqual(['HOOK_FAILED'])
	})

	test('receives a valid line even if the original line was not, and is not at fault for it', () => {
		warnings()
		const loop = withTransform(({ message, ...line }) => ({ ...line, message: message?.toUpperCase() }))
		expect(loop.publish({ kind: '$mine', message: 'hello' })).toMatchObject({
			kind: 'log',
			message: 'HELLO',
			data: { kind: '$mine' },
		})
		expect(loop.stats()).toMatchObject({ transformErrors: 0, published: 1, invalidLines: 1 })
	})

	test('one that lowers the level below the loop’s level drops the line like any other', () => {
		const loop = withTransform((line) => ({ ...line, level: 'info' }), 'warn')
		expect(loop.error('loud')).toBeUndefined()
		expect(loop.stats()).toMatchObject({ belowLevel: 1, transformErrors: 0 })
	})

	test('one that publishes lets no untransformed line through', () => {
		warnings()
		const loop: MeshLoop = withTransform((line) => {
			loop.info('secret')
			return { ...line, message: 'clean' }
		})
		expect(loop.info('secret')?.seq).toBe(2)
		expect(loop.snapshot().map(({ message }) => message)).toEqual(['log', 'clean'])
	})

	test('sees the fields of a line that is a class instance', () => {
		class Line {
			get message() {
				return 'mine'
			}
			get daemonId() {
				return 'd'
			}
		}
		const record = withTransform((line) => line).publish(new Line())
		expect(record).toMatchObject({ message: 'mine', daemonId: 'd' })
	})

	test('sees lines of mesh-chain itself, so that secrets stay out of them too', () => {
		const loop = withTransform((line) => ({ ...line, data: { clean: true } }), 'warn')
		expect(coreOf(loop).publishOwn({ kind: '$crash', data: { secret: 1 } })).toMatchObject({
			data: { clean: true },
		})
	})
})
