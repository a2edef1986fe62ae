/**
 * The state at any moment of a long chain. Its cost depends on the distance to a checkpoint, not on the size
 * of the chain.
 */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { Recorder } from '../../src/recorder/recorder.ts'
import { stateAt } from '../../src/recorder/state-at.ts'
import { countingFileSystem } from '../support/counting-file-system.ts'
import { randomFrom, SEED, sizeOf, tellCounts } from '../support/counts.ts'
import { temporaryFolder } from '../support/temporary.ts'

const RECORDS = sizeOf('STATE_RECORDS')
const CHECKPOINTS = 100
const EVERY = Math.ceil(RECORDS / CHECKPOINTS)
const PLACES = 40
/**
 * The records between two checkpoints are read at most twice: backwards to find the checkpoint, and forwards
 * to fold them. Finding a position reads anchors, the end of the file and whole frames besides.
 */
const INTERVALS_READ_MAX = 2
const SEARCH_BYTES_MAX = 5 * 65_536
/** One percent of the file is several spans of 64 KiB at either size. */
const TEXT = 'what an order of an ordinary shop has to say for itself '.repeat(Math.ceil(1_400_000 / RECORDS))

test(`any of ${RECORDS} states reads at most two intervals of checkpoints (seed ${SEED})`, async () => {
	const path = join(temporaryFolder(), 'node.chain')
	const loop = new MeshLoop(new FileChainAppender(path), { clock: () => 0 })
	const recorder = new Recorder(loop, { eventsMax: 1 })
	recorder.start()
	const seqs: number[] = []
	for (let index = 1; index <= RECORDS; index++) {
		seqs.push(loop.emit('order', { index, text: TEXT })!.seq)
		if (index % EVERY === 0) recorder.checkpoint({ count: index, sum: sumTo(index) })
		if (index % 100 === 0) loop.flush()
	}
	await loop.close()

	const { system, counts } = countingFileSystem()
	await using chain = await openChain(path, { fs: system })
	const { bytes: fileBytes } = await chain.info()
	const random = randomFrom(SEED)
	const costs: number[] = []
	const startedMs = performance.now()
	for (let place = 0; place < PLACES; place++) {
		const index = 1 + Math.floor(random() * RECORDS)
		counts.bytes = 0
		let folded = 0
		const state = await stateAt(
			chain,
			{ seq: seqs[index - 1]! },
			{
				fold: ({ count, sum }, { data }) => {
					folded++
					return { count: count + 1, sum: sum + (data as { readonly index: number }).index }
				},
				initial: { count: 0, sum: 0 },
			},
		)
		expect(state).toEqual({ count: index, sum: sumTo(index) })
		expect(folded).toBeLessThan(EVERY + 1)
		costs.push(counts.bytes)
	}
	tellCounts(0, 'the state at random positions', {
		records: RECORDS,
		positions: PLACES,
		'file bytes': fileBytes,
		'maximum bytes read': Math.max(...costs),
		'average bytes read': Math.round(costs.reduce((sum, cost) => sum + cost, 0) / PLACES),
		'maximum share of the file': `${((100 * Math.max(...costs)) / fileBytes).toFixed(2)} %`,
		'average ms': Math.round((performance.now() - startedMs) / PLACES),
	})
	const intervalBytes = fileBytes / CHECKPOINTS
	expect(Math.max(...costs)).toBeLessThanOrEqual(INTERVALS_READ_MAX * intervalBytes + SEARCH_BYTES_MAX)
})

function sumTo(index: number): number {
	return (index * (index + 1)) / 2
}
