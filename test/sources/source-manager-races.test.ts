/** Operations on a source while another operation is in flight. */
import { EventEmitter, once } from 'node:events'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { droppedTotal } from '../../src/sources/counters.ts'
import { fromEmitter, fromIterable, SourceManager } from '../../src/sources/index.ts'
import { temporaryFolder } from '../support/temporary.ts'

/** A manager that has one source in its registry, and a function that completes its restore. */
async function restoring() {
	const registry = join(temporaryFolder(), 'registry.chain')
	const emitter = new EventEmitter()
	const before = managerOf({ registry })
	await before.archive('pump', fromEmitter(emitter, 'value'))
	await before.close()
	const manager = managerOf({ registry })
	const gate = new EventEmitter()
	const asked = once(gate, 'asked')
	const create = async () => {
		gate.emit('asked')
		await once(gate, 'make')
		return fromEmitter(emitter, 'value')
	}
	return { manager, emitter, create, asked, make: () => gate.emit('make') }
}

function managerOf(options: ConstructorParameters<typeof SourceManager>[1]): SourceManager {
	const loop = new MeshLoop()
	const manager = new SourceManager(loop, options)
	onTestFinished(async () => {
		await manager.close()
		await loop.close()
	})
	return manager
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

test.each(['pause', 'stop', 'forget'] as const)(
	'%s during a restore waits for the source, and then ends it',
	async (what) => {
		const { manager, emitter, create, asked, make } = await restoring()
		const restored = manager.restore(create)
		await asked
		const ended = manager[what]('pump')
		make()
		expect(await restored).toBe(1)
		await ended
		expect(emitter.listenerCount('value')).toBe(0)
	},
)

test('close during a restore ends the source', async () => {
	const { manager, emitter, create, asked, make } = await restoring()
	const restored = manager.restore(create)
	await asked
	await manager.close()
	make()
	expect(await restored).toBe(0)
	expect(emitter.listenerCount('value')).toBe(0)
})

test('a restore without another operation starts the source', async () => {
	const { manager, emitter, create, asked, make } = await restoring()
	const restored = manager.restore(create)
	await asked
	make()
	expect(await restored).toBe(1)
	expect(emitter.listenerCount('value')).toBe(1)
})

test('close during a resume ends the source', async () => {
	const { manager, emitter, create, asked, make } = await restoring()
	await manager.pause('pump')
	await manager.restore(create)
	const resumed = manager.resume('pump')
	await asked
	const closed = manager.close()
	make()
	await expect(resumed).rejects.toMatchObject({ code: 'SOURCES_CLOSED' })
	await closed
	expect(emitter.listenerCount('value')).toBe(0)
})

test('a sample that waits for room is counted as queued', async () => {
	const manager = managerOf({ queueSamplesMax: 1, flushIntervalMs: 60_000 })
	async function* values() {
		yield* [1, 2, 3]
		await new Promise(() => {})
	}
	await manager.archive('pump', fromIterable(values))
	await turn()
	const { counts, queued } = await manager.status('pump')
	expect(counts.waits).toBe(1)
	expect([counts.received, queued]).toEqual([2, 2])
	expect(counts.received).toBe(counts.stored + droppedTotal(counts) + queued)
})
