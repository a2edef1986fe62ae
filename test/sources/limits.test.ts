/** The maximum number of sources, here with a low maximum. */
import { expect, test, vi } from 'vitest'
import { BufferingAppender } from '../../src/appenders/buffering.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { fromIterable, SourceManager } from '../../src/sources/index.ts'

vi.mock('../../src/model/limits.ts', async (original) => ({
	...(await original<typeof import('../../src/model/limits.ts')>()),
	SOURCES_MAX: 3,
}))

test('aliases do not count as sources, and a source beyond the maximum is refused', async () => {
	const manager = new SourceManager(new MeshLoop(new BufferingAppender()))
	const source = () => fromIterable(async function* () {})
	await manager.archive('a', source())
	for (const alias of ['a1', 'a2', 'a3', 'a4']) await manager.alias(alias, 'a')
	await manager.archive('b', source())
	await manager.archive('c', source())
	await expect(manager.archive('d', source())).rejects.toMatchObject({ code: 'INVALID_USAGE' })
	await manager.forget('b')
	await manager.archive('d', source())
	await manager.close()
})
