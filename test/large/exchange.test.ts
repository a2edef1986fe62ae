/** A long chain is exported, imported into a new chain, and exported again. The bytes are identical. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { verifyChain } from '../../src/chain/verify/verify.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { exportJsonl } from '../../src/jsonl/export.ts'
import { importJsonl } from '../../src/jsonl/import.ts'
import { sizeOf, tellCounts } from '../support/counts.ts'
import { record } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

const EPOCHS = 4

async function hashOf(path: string): Promise<string> {
	const hash = createHash('sha256')
	for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
	return hash.digest('hex')
}

test('a long chain exported, imported and exported again yields the same bytes', async () => {
	const records = sizeOf('EXCHANGE_RECORDS')
	const folder = temporaryFolder()
	const [path, copy] = [join(folder, 'node.chain'), join(folder, 'copy.chain')]
	for (let epoch = 0; epoch < EPOCHS; epoch++) {
		const appender = new FileChainAppender(path)
		for (let left = Math.ceil(records / EPOCHS); left > 0; left--) {
			const seq = appender.nextSeq
			appender.append(
				record(seq, {
					epoch: appender.epoch,
					kind: seq % 3 === 0 ? 'order.accepted' : 'log',
					level: seq % 100 === 0 ? 'error' : 'info',
					daemonId: BigInt(seq % 8),
					data:
						seq % 2 === 0 ? { seq, at: new Date(seq), bytes: Uint8Array.of(seq & 255), text: 'é\n' } : seq,
				}),
			)
			if (seq % 1000 === 0) appender.flush()
		}
		await appender.close()
	}
	const startedMs = performance.now()
	const [first, second] = [join(folder, 'first.jsonl'), join(folder, 'second.jsonl')]
	await using chain = await openChain(path)
	const exported = await exportJsonl(chain, first)
	const exportedMs = performance.now()
	const imported = await importJsonl(first, copy)
	const importedMs = performance.now()
	await using copied = await openChain(copy)
	await exportJsonl(copied, second)
	expect(exported.lines).toBe(Math.ceil(records / EPOCHS) * EPOCHS)
	expect(imported).toMatchObject({ records: exported.lines, absent: 0, outOfOrder: 0 })
	expect(await hashOf(second)).toBe(await hashOf(first))
	const report = await verifyChain(copy)
	expect([report.ok, report.findings]).toEqual([true, []])
	tellCounts(0, 'exported, imported and exported again', {
		records: exported.lines,
		'export ms': Math.round(exportedMs - startedMs),
		'import ms': Math.round(importedMs - exportedMs),
		differences: 0,
	})
})
