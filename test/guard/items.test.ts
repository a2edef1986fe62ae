/** Iterables and errors of foreign code: reads yield plain values and always end. */
import { expect, test } from 'vitest'
import { ForeignItems } from '../../src/guard/items.ts'
import { within } from '../../src/guard/promises.ts'
import { asCoded, isSoundError, LogAppendError, MeshChainError } from '../../src/model/errors.ts'

const endless: PromiseLike<unknown> = {
	// biome-ignore lint/suspicious/noThenProperty: that is what is tested.
	then: (resolve: never) => (resolve as (value: unknown) => void)(endless) as never,
}

const source = (iterator: object) => ({ [Symbol.asyncIterator]: () => iterator })
const noneLeft = () => expect.unreachable('the source ended in time')

async function collected(iterable: unknown): Promise<unknown[]> {
	const items: unknown[] = []
	for await (const item of new ForeignItems(iterable, 1000, noneLeft)) items.push(item)
	return items
}

async function* generated() {
	yield 1
	yield 2
}

test('items are the same as with for await, for synchronous and asynchronous sources', async () => {
	expect(await collected(generated())).toEqual([1, 2])
	expect(await collected([1, Promise.resolve(2), new Set([3])])).toEqual([1, 2, new Set([3])])
	expect(await collected('ab')).toEqual(['a', 'b'])
	await expect(collected([1, Promise.reject(new Error('mine'))])).rejects.toThrow('mine')
	for (const none of [null, undefined, 5, {}, { [Symbol.iterator]: 5 }])
		await expect(collected(none)).rejects.toThrow(TypeError)
})

test.each([
	['its step', { next: () => endless }],
	['its item', { next: async () => ({ done: false, value: endless }) }],
	['an empty step', { next: async () => null }],
	['no next', {}],
])('a source that returns an endless thenable or nothing ends with an error: %s', async (_name, iterator) => {
	await expect(collected(source(iterator))).rejects.toThrow(TypeError)
})

test('an endless thenable among the items of a list ends with an error', async () => {
	await expect(collected([endless])).rejects.toThrow('keeps resolving with other thenables')
})

test('return is called on a source at most once, and never after it has ended or failed', async () => {
	const told: string[] = []
	const returning = (name: string, next: () => Promise<unknown>) => ({
		next,
		return: async () => void told.push(name),
	})
	for await (const _ of new ForeignItems(
		source(returning('left', async () => ({ done: false, value: 1 }))),
		1000,
		noneLeft,
	))
		break
	await collected(source(returning('ended', async () => ({ done: true }))))
	await collected(source(returning('failed', () => Promise.reject(new Error('mine'))))).catch(() => {})
	expect(told).toEqual(['left'])
})

test.each([
	['hangs', () => new Promise(() => {}), 1],
	['returns an endless thenable', () => endless, 0],
	[
		'throws',
		() => {
			throw new Error('mine')
		},
		0,
	],
])('a source whose return %s does not block the consumer', async (_name, end, left) => {
	let timesLeft = 0
	const next = async () => ({ done: false, value: 1 })
	const items = new ForeignItems(source({ next, return: end }), 10, () => void timesLeft++)
	await items.next()
	expect((await within(items.return(), 10_000)).is).toBe(left === 1 ? 'fulfilled' : 'rejected')
	expect(timesLeft).toBe(left)
	expect(await items.next()).toEqual({ value: undefined, done: true })
})

test('only an error with plain fields is passed on unchanged', () => {
	const sound = new MeshChainError('WRITE_FAILED', 'full')
	expect(asCoded(sound, 'EXPORT_FAILED', 'no')).toBe(sound)
	expect(isSoundError(new LogAppendError('full'))).toBe(true)
	for (const name of ['message', 'code']) {
		const odd = new MeshChainError('WRITE_FAILED', 'full')
		Object.defineProperty(odd, name, { get: () => expect.unreachable('it was read') })
		expect(isSoundError(odd)).toBe(false)
		const bad = Object.assign(new MeshChainError('WRITE_FAILED', 'full'), { [name]: Symbol('odd') })
		expect(asCoded(bad, 'EXPORT_FAILED', 'no')).toMatchObject({ code: 'EXPORT_FAILED' })
	}
	const { proxy, revoke } = Proxy.revocable(sound, {})
	revoke()
	for (const other of [proxy, new Error('plain'), undefined, { code: 'WRITE_FAILED', message: 'full' }])
		expect(isSoundError(other)).toBe(false)
})
