import { expect, test } from 'vitest'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import type { SampleSink } from '../../src/sources/source.ts'
import { SourceManager } from '../../src/sources/source-manager.ts'

test('many samples reach the loop before the flush interval has elapsed', async () => {
	await using loop = new MeshLoop()
	await using manager = new SourceManager(loop, { flushIntervalMs: 60_000 })
	await manager.archive('burst', {
		async monitor(sink: SampleSink) {
			for (let value = 0; value < 3000; value++) sink.push({ value })
			await new Promise((resolve) => sink.signal.addEventListener('abort', resolve))
		},
	})
	await expect.poll(async () => (await manager.status('burst')).counts.stored).toBe(3000)
})
