import { expect, test } from 'vitest'
import { readWatermark } from '../../../src/chain/files/watermark-file.ts'
import { WATERMARK_BYTES } from '../../../src/chain/format/watermark.ts'
import { openChain } from '../../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../../src/chain/write/file-chain-appender.ts'
import { type FileSystem, nodeFileSystem } from '../../../src/platform/file-system.ts'
import { newChainPath } from '../../support/chains.ts'
import { MemoryFileSystem } from '../../support/memory-file-system.ts'
import { runModule } from '../../support/process.ts'
import { record } from '../../support/records.ts'
import { heardWarnings } from '../../support/warnings.ts'

const SLOT_BYTES = WATERMARK_BYTES / 2

/**
 * A disk that refuses `times` writes of the watermark, starting with write number `failing`. A refused write
 * may be half done.
 */
function failingMarks(failing: number, times: number, half: boolean): FileSystem {
	let marks = 0
	return {
		...nodeFileSystem,
		writeSync(fd, buffer, offset, length, position) {
			if (buffer.length !== SLOT_BYTES || position! % SLOT_BYTES !== 0)
				return nodeFileSystem.writeSync(fd, buffer, offset, length, position)
			marks++
			if (marks < failing || marks >= failing + times)
				return nodeFileSystem.writeSync(fd, buffer, offset, length, position)
			if (half) nodeFileSystem.writeSync(fd, buffer, offset, length >> 1, position)
			throw Object.assign(new Error('ENOSPC: forced by the test'), { code: 'ENOSPC' })
		},
	}
}

test('a failed watermark write is counted, reported once, retried; durableOnly tails catch up', async () => {
	const warned = heardWarnings()
	let failures = 0
	for (const failing of [1, 2, 3, 4]) {
		for (const times of [1, 2, 5]) {
			for (const half of [false, true]) {
				failures++
				const path = newChainPath()
				const fs = failingMarks(failing, times, half)
				const appender = new FileChainAppender(path, { fs, durability: 'disk' })
				for (let seq = 1; seq <= 3; seq++) {
					appender.append(record(seq))
					await appender.sync()
					// The watermark never claims more than is true, and never less than before.
					expect(readWatermark(nodeFileSystem, path, undefined)?.seq ?? 0).toBeLessThanOrEqual(seq)
				}
				const chain = await openChain(path)
				const seen: number[] = []
				// Nothing more is published, so only the writer's own retry delivers the last records.
				for await (const { seq } of chain.tail({ durableOnly: true, pollIntervalMs: 5 })) {
					seen.push(seq)
					if (seq === 3) break
				}
				expect(seen).toEqual([1, 2, 3])
				await chain.close()
				expect(appender.stats()).toMatchObject({ watermarkFailures: times, failure: undefined })
				await appender.close()
				expect(readWatermark(nodeFileSystem, path, undefined)?.seq).toBe(3)
			}
		}
	}
	await expect.poll(() => warned.length).toBe(failures)
	expect(new Set(warned.map(({ code }) => code))).toEqual(new Set(['MESH_CHAIN_WATERMARK_FAILING']))
}, 120_000)

test('a watermark removed or replaced under its writer is created again by the next sync', async () => {
	const folder = '/chains'
	const path = `${folder}/node.chain`
	const changes: Record<string, (fs: MemoryFileSystem, before: Buffer) => void> = {
		removed: (fs) => fs.unlinkSync(`${path}.durable`),
		'moved away': (fs) => fs.renameSync(`${path}.durable`, `${folder}/elsewhere`),
		'replaced by an empty file': (fs) => {
			fs.put(`${folder}/other`, Buffer.alloc(0))
			fs.renameSync(`${folder}/other`, `${path}.durable`)
		},
		'replaced by an older one': (fs, before) => {
			fs.put(`${folder}/other`, before)
			fs.renameSync(`${folder}/other`, `${path}.durable`)
		},
		'replaced by a text': (fs) => {
			fs.put(`${folder}/other`, Buffer.alloc(1000, 'some text '))
			fs.renameSync(`${folder}/other`, `${path}.durable`)
		},
	}
	for (const durability of ['os', 'disk'] as const) {
		for (const [what, change] of Object.entries(changes)) {
			for (const synced of [1, 2, 5]) {
				const fs = new MemoryFileSystem()
				const appender = new FileChainAppender(path, { fs, durability })
				let seq = 0
				const append = async () => {
					appender.append(record(++seq))
					await appender.sync()
				}
				const before = Buffer.from(fs.get(`${path}.durable`))
				while (seq < synced) await append()
				for (let times = 0; times < 3; times++) {
					change(fs, before)
					await append()
					expect([what, readWatermark(fs, path, undefined)?.seq]).toEqual([what, seq])
				}
				change(fs, before)
				await appender.close()
				// The watermark at the close is synced, too.
				expect([what, readWatermark(fs, path, undefined)?.seq]).toEqual([what, seq])
				expect(appender.stats().watermarkFailures).toBe(0)
			}
		}
	}
})

test('a process that exits during an fdatasync does not start a second one on that file', async () => {
	const path = newChainPath()
	const { stdout, stderr } = await runModule(
		`
		import { fstatSync, readFileSync, writeSync } from 'node:fs'
		import { FileChainAppender, nodeFileSystem } from 'mesh-chain'
		const path = process.argv.at(-1)
		let inFlight
		const again = []
		const fs = {
			...nodeFileSystem,
			// Never answered: what it would have said, nobody will know.
			fdatasync: (fd) => { inFlight = fd; return new Promise(() => {}) },
			fdatasyncSync: (fd) => { if (fd === inFlight) again.push(fd); nodeFileSystem.fdatasyncSync(fd) },
		}
		const appender = new FileChainAppender(path, { fs, durability: 'disk' })
		const record = (seq) => ({
			seq, epoch: 1, tsMs: seq, level: 'info', kind: 'log', message: 'm',
			daemonId: null, nodeId: null, chainPending: false,
		})
		appender.append(record(1))
		appender.sync().catch(() => {})
		await new Promise((resolve) => setImmediate(resolve))
		appender.append(record(2))
		process.on('exit', () => {
			writeSync(1, JSON.stringify([again.length, appender.committedSeq, inFlight !== undefined]))
		})
		process.exit(0)
		`,
		[path],
	)
	expect(JSON.parse(stdout), stderr).toEqual([0, 0, true])
	const chain = await openChain(path)
	expect(await chain.end()).toMatchObject({ state: 'exited', exitCode: 0 })
	const { lastSeq } = await chain.info()
	await chain.close()
	// All records have reached the OS; the watermark claims no more than is known.
	expect([lastSeq, readWatermark(nodeFileSystem, path, undefined)?.seq]).toEqual([2, 0])
})
