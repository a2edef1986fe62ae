/**
 * A volume of the documented size, which other programs fill and free at random. Bounds hold, and the chain
 * resumes by itself.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FileChainAppender } from '../../../src/chain/write/file-chain-appender.ts'
import { MeshLoop } from '../../../src/loop/mesh-loop.ts'
import { expectLossesCounted } from '../../support/counted-losses.ts'
import { MemoryFileSystem } from '../../support/memory-file-system.ts'

const PATH = '/disk/node.chain'
const RETAIN_BYTES = 256 * 1024
const ROTATE_BYTES = RETAIN_BYTES / 4
/** The size in docs/guarantees/files.md. */
const VOLUME_BYTES = RETAIN_BYTES + 4 * ROTATE_BYTES + 1024 * 1024

const step = fc.record({
	/** Room for the chain while the volume is filled; undefined for all of it. */
	roomBytes: fc.option(fc.nat(100_000), { nil: undefined }),
	bursts: fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 3 }),
	bytes: fc.nat(400),
})

test('a volume filled and freed 100 times: every loss is counted, and no bound is exceeded', async () => {
	const scenario = fc.array(step, { minLength: 100, maxLength: 100 })
	const property = fc.asyncProperty(scenario, async (steps) => {
		const fs = new MemoryFileSystem()
		const options = { fs, retain: { bytes: RETAIN_BYTES }, pendingBytesMax: 128 * 1024 }
		const appender = new FileChainAppender(PATH, options)
		const loop = new MeshLoop(appender)
		const sizes = () => fs.paths.filter((path) => path.endsWith('.chain')).map((path) => fs.get(path).length)
		for (const { roomBytes, bursts, bytes } of steps) {
			fs.capacity = roomBytes === undefined ? VOLUME_BYTES : Math.min(VOLUME_BYTES, fs.usedBytes + roomBytes)
			for (const count of bursts) {
				for (let index = 0; index < count; index++) loop.info('x'.repeat(bytes))
				await new Promise((resolve) => setImmediate(resolve))
				expect(Math.max(...sizes())).toBeLessThan(2 * ROTATE_BYTES + 32 * 1024)
				expect(sizes().reduce((sum, size) => sum + size, 0)).toBeLessThan(RETAIN_BYTES + 4 * ROTATE_BYTES)
			}
		}
		fs.capacity = VOLUME_BYTES
		await expect.poll(() => loop.committedSeq === loop.stats().lastSeq, { timeout: 20_000 }).toBe(true)
		expect(fs.usedBytes).toBeLessThan(VOLUME_BYTES)
		const { lost } = loop.stats().appender
		await loop.close()
		await expectLossesCounted(PATH, loop.stats().lastSeq, lost, { fs })
	})
	await fc.assert(property, { numRuns: 5 })
}, 240_000)
