/** What verify says of a chain without a closing anchor: only what the files show. */
import { truncateSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openChain } from '../../../src/chain/read/open-chain.ts'
import { verifyChain } from '../../../src/chain/verify/verify.ts'
import { FileChainAppender } from '../../../src/chain/write/file-chain-appender.ts'
import { MeshLoop } from '../../../src/loop/mesh-loop.ts'
import { temporaryFolder } from '../../support/temporary.ts'

test('a closing anchor that was cut off is named as a possible cause, beside a crash', async () => {
	const path = join(temporaryFolder(), 'node.chain')
	const loop = new MeshLoop(new FileChainAppender(path))
	for (let index = 0; index < 100; index++) loop.info(`line ${index}`)
	await loop.sync()
	await loop.close()
	const chain = await openChain(path)
	const { bytes } = await chain.info()
	await chain.close()
	expect((await verifyChain(path)).findings).toEqual([])
	truncateSync(path, bytes - 1)
	const { findings } = await verifyChain(path)
	expect(findings.map(({ kind }) => kind)).toEqual(['truncated', 'notClosed'])
	expect(findings[1]?.message).toMatch(
		/was killed, or the machine lost power, or its closing anchor was cut off$/,
	)
})
