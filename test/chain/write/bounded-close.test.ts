import { expect, onTestFinished, test } from 'vitest'
import { openChain } from '../../../src/chain/read/open-chain.ts'
import { verifyChain } from '../../../src/chain/verify/verify.ts'
import { FileChainAppender } from '../../../src/chain/write/file-chain-appender.ts'
import { stateText } from '../../../src/cli/info.ts'
import { printable } from '../../../src/cli/printable.ts'
import { consume } from '../../../src/consume/consume.ts'
import { nodeFileSystem } from '../../../src/platform/file-system.ts'
import { newChainPath } from '../../support/chains.ts'
import { FaultyFileSystem } from '../../support/faulty-file-system.ts'
import { MemoryFileSystem } from '../../support/memory-file-system.ts'
import { record } from '../../support/records.ts'
import { heardWarnings } from '../../support/warnings.ts'

const plain = (_style: string, text: unknown) => printable(text)

async function grow(appender: FileChainAppender, count: number): Promise<void> {
	for (let left = count; left > 0; left--) {
		appender.append(record(appender.nextSeq))
		await appender.sync()
		await new Promise((resolve) => setImmediate(resolve))
	}
}

for (const code of ['EMFILE', 'ENFILE', 'EAGAIN']) {
	for (const call of ['open', 'openSync', 'read', 'fstat', 'readdirSync', 'statSync'] as const) {
		test(`a tail and a consumer wait while ${call} fails with ${code}, report it, miss nothing`, async () => {
			const told = heardWarnings()
			const path = newChainPath()
			const appender = new FileChainAppender(path, { rotateRecords: 5 })
			onTestFinished(() => appender.close())
			await grow(appender, 12)
			const fs = new FaultyFileSystem()
			await using chain = await openChain(path, { fs })
			fs.fail(call, code)
			const handled: number[] = []
			const consumer = consume(chain, 'patient', ({ seq }) => void handled.push(seq), { pollIntervalMs: 2 })
			const tailed: number[] = []
			const tail = (async () => {
				for await (const { seq } of chain.tail({ pollIntervalMs: 2, toSeq: 40 })) tailed.push(seq)
			})()
			await expect
				.poll(() => told.map(({ code }) => code), { timeout: 20_000 })
				.toContain('MESH_CHAIN_READER_WAITING')
			await grow(appender, 12)
			fs.heal()
			await expect.poll(() => handled.length, { timeout: 20_000 }).toBe(24)
			fs.fail(call, code)
			await grow(appender, 17)
			fs.heal()
			await tail
			await expect.poll(() => handled.length, { timeout: 20_000 }).toBe(41)
			await consumer.close()
			const seqs = Array.from({ length: 41 }, (_unused, index) => index + 1)
			expect(handled).toEqual(seqs)
			expect(tailed).toEqual(seqs.slice(0, 40))
		})
	}
}

test('a tail waiting for descriptors ends at once when its signal aborts', async () => {
	const told = heardWarnings()
	const path = newChainPath()
	const appender = new FileChainAppender(path)
	await grow(appender, 1)
	const fs = new FaultyFileSystem()
	await using chain = await openChain(path, { fs })
	fs.fail('statSync', 'EMFILE')
	const over = new AbortController()
	const tail = chain.tail({ signal: over.signal })[Symbol.asyncIterator]()
	const next = tail.next()
	await expect
		.poll(() => told.map(({ code }) => code), { timeout: 20_000 })
		.toContain('MESH_CHAIN_READER_WAITING')
	over.abort()
	expect((await next).done).toBe(true)
	await appender.close()
})

test('close waits for the disk up to closeTimeoutMs, and reports what may be lost', async () => {
	let isHung = false
	const fs = {
		...nodeFileSystem,
		fdatasync: () => (isHung ? new Promise<never>(() => {}) : Promise.resolve()),
	}
	const path = newChainPath()
	const appender = new FileChainAppender(path, { fs, closeTimeoutMs: 50 })
	await grow(appender, 3)
	isHung = true
	appender.append(record(4))
	await expect(appender.close()).rejects.toMatchObject({
		code: 'CLOSE_FAILED',
		message: /50 ms.*from seq 4 on/,
	})
	expect(appender.stats().lostAtClose).toBe(0)
})

test('a failed close has its own code, and info and verify show it until the next opening', async () => {
	const path = '/disk/node.chain'
	const fs = new MemoryFileSystem()
	const appender = new FileChainAppender(path, { fs })
	await grow(appender, 2)
	fs.capacity = fs.usedBytes
	for (let seq = 3; seq <= 9; seq++) appender.append(record(seq, { message: 'x'.repeat(5_000) }))
	const failed = { code: 'CLOSE_FAILED', seq: 3, message: /7 records are not in it/ }
	await expect(appender.close()).rejects.toMatchObject(failed)
	fs.capacity = Number.POSITIVE_INFINITY
	const chain = await openChain(path, { fs })
	const info = await chain.info()
	await chain.close()
	expect(info).toMatchObject({ state: 'crashed', lastSeq: 2, unwritten: 7 })
	expect(String(stateText(info, plain))).toMatch(
		/the last writer failed to close it; 7 records could not be written/,
	)
	const { findings } = await verifyChain(path, { fs })
	expect(findings).toMatchObject([{ kind: 'notClosed', message: /its close failed/ }])
	const next = new FileChainAppender(path, { fs })
	await grow(next, 1)
	await next.close()
	const again = await openChain(path, { fs })
	expect((await again.info()).unwritten).toBeUndefined()
	await again.close()
})
