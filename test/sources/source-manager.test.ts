import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { droppedTotal } from '../../src/sources/counters.ts'
import { readRegistry, type Source, SourceManager } from '../../src/sources/index.ts'
import { FaultyFileSystem } from '../support/faulty-file-system.ts'
import { FullAppender, managerOf, ScriptedSource } from '../support/scripted-source.ts'
import { temporaryFolder } from '../support/temporary.ts'

const turn = () => new Promise((resolve) => setImmediate(resolve))
const registryPath = () => join(temporaryFolder(), 'registry.chain')

describe('at every moment', () => {
	const steps = fc.array(
		fc.constantFrom('push', 'flood', 'bad', 'put', 'pause', 'resume', 'stop', 'full', 'heal', 'turn', 'lost'),
		{ maxLength: 60 },
	)
	test.each(['newest', 'oldest'] as const)(
		'received = stored + dropped + queued, dropping the %s',
		async (drop) => {
			await fc.assert(
				fc.asyncProperty(steps, async (all) => {
					const appender = new FullAppender()
					appender.isFull = false
					const loop = new MeshLoop(appender)
					const manager = new SourceManager(loop, { queueSamplesMax: 20, drop })
					const source = new ScriptedSource()
					await manager.archive('a', source)
					const run: Record<string, () => unknown> = {
						push: () => source.push(1, Date.now()),
						flood: () => Array.from({ length: 30 }, (_unused, value) => source.push(value)),
						bad: () => [undefined, 'text', () => {}].map((value) => source.push(value, 5)),
						put: () => void source.sink.put({ value: 2 }),
						full: () => {
							appender.isFull = true
						},
						heal: () => {
							appender.isFull = false
						},
						turn,
						lost: () => source.sink.lost(new Error('gone')),
						pause: () => manager.pause('a'),
						resume: () => manager.resume('a'),
						stop: () => manager.stop('a'),
					}
					for (const step of all) {
						await run[step]!()
						const { counts, queued } = await manager.status('a')
						expect(counts.received).toBe(counts.stored + droppedTotal(counts) + queued)
					}
					appender.isFull = false
					await manager.close()
					await loop.close()
				}),
				{ numRuns: 25, interruptAfterTimeLimit: 4000, examples: [[['flood', 'put']]] },
			)
		},
	)
})

describe('a received sample', () => {
	test('is stored unchanged, whatever happens to the object later', async () => {
		const { manager, values } = managerOf()
		const source = new ScriptedSource()
		await manager.archive('a', source)
		const value = { count: 1, call: () => {} }
		source.push(value)
		value.count = 2
		await turn()
		expect(values()).toEqual([{ count: 1, call: { $unserializable: 'function' } }])
		expect((await manager.status('a')).counts.unserializable).toBe(1)
	})

	test('is counted and never causes a throw, even if it is not a sample', async () => {
		const { manager } = managerOf()
		const source = new ScriptedSource()
		await manager.archive('a', source)
		const { proxy, revoke } = Proxy.revocable({}, {})
		revoke()
		for (const nothing of [undefined, null, 5, {}]) source.sink.push(nothing as never)
		source.push(proxy)
		await turn()
		expect((await manager.status('a')).counts).toMatchObject({ received: 5, stored: 1, dropped: { type: 4 } })
	})

	test('fits through a loop whose ring holds a single record', async () => {
		const appender = new FullAppender()
		appender.isFull = false
		const loop = new MeshLoop(appender, { ringCapacity: 1 })
		const manager = new SourceManager(loop)
		const source = new ScriptedSource()
		await manager.archive('a', source)
		source.push(1)
		await turn()
		expect((await manager.status('a')).counts.stored).toBe(1)
		await manager.close()
		await loop.close()
	})

	test('counts its extra fields among the bytes of the queue', async () => {
		const { manager } = managerOf({ queueBytesMax: 100_000 }, new FullAppender())
		const source = new ScriptedSource()
		await manager.archive('a', source, { fields: ['image'] })
		for (let count = 0; count < 20; count++) {
			source.field('image').sink.push({ value: new Uint8Array(20_000).fill(count) })
			source.push(count)
		}
		const { queued, counts } = await manager.status('a')
		expect([queued < 8, counts.dropped.overflow]).toEqual([true, 20 - queued])
	})
})

describe('an operation', () => {
	test('waits for a restore of the same name, and a restore for it', async () => {
		const path = registryPath()
		const before = managerOf({ registry: path }).manager
		await before.archive('a', new ScriptedSource())
		await before.close()
		const { manager } = managerOf({ registry: path })
		const source = new ScriptedSource()
		const restored = manager.restore(async () => {
			await turn()
			return source
		})
		await turn()
		await manager.pause('a')
		expect(await restored).toBe(1)
		expect(await manager.status('a')).toMatchObject({ state: 'paused', connection: 'idle' })
		expect(source.sink.signal.aborted).toBe(true)
	})

	test('starts nothing in a manager that was closed meanwhile', async () => {
		const path = registryPath()
		const before = managerOf({ registry: path }).manager
		await before.archive('a', new ScriptedSource())
		await before.close()
		const { manager } = managerOf({ registry: path })
		const source = new ScriptedSource()
		const asked = deferred<Source>()
		const isAsked = deferred<void>()
		const restored = manager.restore(() => {
			isAsked.resolve()
			return asked.promise
		})
		await isAsked.promise
		await manager.close()
		asked.resolve(source)
		expect(await restored).toBe(0)
		expect(source.attempts).toHaveLength(0)
	})

	test.each([
		[
			'throws',
			() => {
				throw new Error('stuck')
			},
		],
		['rejects', () => Promise.reject(new Error('stuck'))],
	])('ends also when end() of the source %s, and records the failure', async (_how, end) => {
		const { manager } = managerOf()
		const source = Object.assign(new ScriptedSource(), { end }) as Source
		await manager.archive('a', source)
		await manager.pause('a')
		await turn()
		expect(await manager.status('a')).toMatchObject({ state: 'paused', counts: { lastError: 'stuck' } })
		await manager.close()
	})

	test('a source that the registry cannot save is not archived, now or after a restart', async () => {
		const fs = new FaultyFileSystem()
		const path = registryPath()
		const { manager } = managerOf({ registry: path, fs })
		await manager.archive('kept', new ScriptedSource())
		fs.failWrites('ENOSPC')
		const source = new ScriptedSource()
		await expect(manager.archive('a', source)).rejects.toMatchObject({ code: 'WRITE_FAILED' })
		expect(source.attempts).toHaveLength(0)
		await expect(manager.status('a')).rejects.toMatchObject({ code: 'SOURCE_NOT_FOUND' })
		fs.heal()
		await manager.close()
		expect([...(await readRegistry(path)).entries.keys()]).toEqual(['kept'])
	})
})

describe('a registry', () => {
	test('has one manager at a time', async () => {
		const path = registryPath()
		const { manager } = managerOf({ registry: path })
		await manager.statuses()
		expect(() => new SourceManager(new MeshLoop(), { registry: path })).toThrow(
			expect.objectContaining({ code: 'CHAIN_LOCKED' }),
		)
	})

	test('does not count queued samples as received: a kill would lose them', async () => {
		const path = registryPath()
		const { manager } = managerOf({ registry: path }, new FullAppender())
		const source = new ScriptedSource()
		await manager.archive('a', source)
		source.push(1)
		await manager.alias('b', 'a')
		expect((await manager.status('a')).counts.received).toBe(1)
		const { counts } = (await readRegistry(path)).entries.get('a')!
		expect(counts).toMatchObject({ received: 0, stored: 0 })
	})
})

function deferred<T>() {
	let resolve: (value: T) => void = () => {}
	const promise = new Promise<T>((onResolve) => {
		resolve = onResolve
	})
	return { promise, resolve }
}
