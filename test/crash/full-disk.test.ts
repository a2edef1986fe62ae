/** A real full file system: a small tmpfs, mounted by the test. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, statfsSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { verifyChain } from '../../src/chain/verify/verify.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { expectLossesCounted } from '../support/counted-losses.ts'
import { randomFrom, SEED, tellCounts } from '../support/counts.ts'
import { collect } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

function smallDisk(bytes: number): string {
	const disk = join(temporaryFolder(), 'disk')
	mkdirSync(disk)
	const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', disk])
	if (status !== 0) {
		throw new Error(
			`this test is not allowed to mount a small disk: ${stderr}\n` +
				'type: sudo -E npm test (or run it as root in a container with --cap-add SYS_ADMIN)',
		)
	}
	onTestFinished(() => void spawnSync('umount', ['-l', disk]))
	return disk
}

test('a service survives a full disk: its chain then has every record, and the file is whole', async () => {
	const disk = smallDisk(512 * 1024)
	const path = join(disk, 'node.chain')
	const loop = new MeshLoop(new FileChainAppender(path))
	loop.info('before')
	loop.flush()
	writeFileSync(join(disk, 'ballast'), Buffer.alloc(statfsSync(disk).bavail * statfsSync(disk).bsize - 8192))
	const published = 1500
	for (let index = 0; index < published; index++) {
		loop.info(`record ${index} ${'x'.repeat(100)}`)
		if (index % 10 === 0) await new Promise((resolve) => setImmediate(resolve))
	}
	expect(loop.stats().appender).toMatchObject({ failing: true, lastError: expect.stringContaining('ENOSPC') })
	expect(statfsSync(disk).bavail).toBeLessThanOrEqual(2)
	expect((await verifyChain(path)).ok).toBe(true)
	unlinkSync(join(disk, 'ballast'))
	await expect.poll(() => loop.committedSeq).toBe(published + 1)
	await loop.close()
	const chain = await openChain(path)
	const found = await collect(chain.records())
	expect(found).toHaveLength(published + 1)
	await chain.close()
	expect((await verifyChain(path)).findings).toEqual([])
	expect(readFileSync(path).length).toBeGreaterThan(published * 100)
	tellCounts(6, 'a real full disk', { published: published + 1, 'in the chain': found.length, lost: 0 })
})

test('on a disk filled and freed 100 times, the chain resumes by itself and counts every loss', async () => {
	const retainBytes = 256 * 1024
	const rotateBytes = retainBytes / 4
	// The size in docs/guarantees/files.md.
	const disk = smallDisk(retainBytes + 4 * rotateBytes + 1024 * 1024)
	const path = join(disk, 'node.chain')
	const ballast = join(disk, 'ballast')
	const random = randomFrom(SEED)
	const below = (limit: number) => Math.floor(random() * limit)
	const appender = new FileChainAppender(path, {
		retain: { bytes: retainBytes },
		pendingBytesMax: 128 * 1024,
	})
	const loop = new MeshLoop(appender)
	const turns = async (count: number) => {
		for (let turn = 0; turn < count; turn++) {
			const text = 'x'.repeat(below(400))
			for (let index = below(200); index > 0; index--) loop.info(text)
			await new Promise((resolve) => setImmediate(resolve))
		}
	}
	let failures = 0
	for (let filling = 0; filling < 100; filling++) {
		const free = statfsSync(disk).bavail * statfsSync(disk).bsize
		writeFileSync(ballast, Buffer.alloc(Math.max(0, free - below(64 * 1024))))
		await turns(8)
		if (loop.stats().appender.failing) failures++
		expect((await verifyChain(path)).ok, `seed ${SEED}, filling ${filling}`).toBe(true)
		unlinkSync(ballast)
		await turns(below(3))
	}
	await expect.poll(() => loop.committedSeq === loop.stats().lastSeq).toBe(true)
	const { lost } = loop.stats().appender
	await loop.close()
	const counts = await expectLossesCounted(path, loop.stats().lastSeq, lost)
	expect(failures).toBeGreaterThan(10)
	tellCounts(6, `a real disk filled 100 times (seed ${SEED})`, { fillings: 100, failures, ...counts })
})
