/** received = stored + dropped + queued, in cases that are easily missed. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import type { SampleSink } from '../../src/sources/source.ts'
import { SourceManager } from '../../src/sources/source-manager.ts'
import { temporaryFolder } from '../support/temporary.ts'

test('a sample that waits for room counts as queued', async () => {
	await using loop = new MeshLoop()
	await using manager = new SourceManager(loop, { queueSamplesMax: 1, flushIntervalMs: 60_000 })
	await manager.archive('pump', {
		async monitor(sink: SampleSink) {
			while (!sink.signal.aborted) await sink.put({ value: 1 })
		},
	})
	await expect.poll(async () => (await manager.status('pump')).counts.waits).toBe(1)
	const { counts, queued } = await manager.status('pump')
	expect([counts.received, counts.stored, queued]).toEqual([2, 0, 2])
})

test('samples queued in a killed process do not count as received in the next one', async () => {
	const registry = join(temporaryFolder(), 'sources.chain')
	const killed = new MeshLoop(new FileChainAppender(registry))
	const counts = { received: 10, stored: 5, dropped: { overflow: 2 } }
	killed.publish({ kind: 'source', daemonId: 'pump', data: { mode: 'monitor', state: 'active', counts } })
	await killed.close()
	await using loop = new MeshLoop()
	await using manager = new SourceManager(loop, { registry })
	expect(await manager.status('pump')).toMatchObject({ counts: { received: 7, stored: 5 }, queued: 0 })
})
