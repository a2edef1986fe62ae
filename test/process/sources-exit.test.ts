/** Samples and counters are saved, however the archiving process ends. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { readRegistry } from '../../src/sources/index.ts'
import { runModule } from '../support/process.ts'
import { collect } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

/**
 * Archives 1,000 samples of an emitter, some of them of another type, and ends in the given way within the
 * same turn.
 */
const ENDING = `
	import { EventEmitter } from 'node:events'
	import { FileChainAppender, MeshLoop } from 'mesh-chain'
	import { fromEmitter, SourceManager } from 'mesh-chain/sources'
	const [, folder, ending] = process.argv
	const loop = new MeshLoop(new FileChainAppender(folder + '/samples.chain'))
	const manager = new SourceManager(loop, { registry: folder + '/sources.chain', flushIntervalMs: 60_000 })
	const emitter = new EventEmitter()
	await manager.archive('pump', fromEmitter(emitter, 'value'))
	for (let index = 0; index < 1000; index++) emitter.emit('value', index % 100 === 99 ? 'odd' : index)
	if (ending === 'exit') process.exit(3)
	if (ending === 'throw') throw new Error('the end')
`

test.each([
	['exit', 3],
	['throw', 1],
	['return', 0],
])('%s: queued samples are in the chain, and the counters agree', async (ending, status) => {
	const folder = temporaryFolder()
	expect((await runModule(ENDING, [folder, ending])).status).toBe(status)
	await using chain = await openChain(join(folder, 'samples.chain'))
	const records = await collect(chain.records({ kind: 'sample' }))
	expect(records).toHaveLength(990)
	const { entries } = await readRegistry(join(folder, 'sources.chain'))
	expect(entries.get('pump')?.counts).toMatchObject({ received: 1000, stored: 990, dropped: { type: 10 } })
})
